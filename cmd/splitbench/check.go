package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/nearest"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/render"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// checkCommand holds the flags of `check`.
type checkCommand struct {
	*app
	cfg     bench.Config
	cluster clusterFlags
	output  form
	all     bool
	probe   bool
	offMesh bool
}

func newCheck(a *app) *cobra.Command {
	k := &checkCommand{app: a}
	cmd := &cobra.Command{
		Use:   "check [SPLIT]",
		Short: "Check whether the split can be measured, and what is wrong if not",
		Long: `check reads the clusters, separates root causes from consequences, and changes nothing. Without SPLIT it
checks every split of the namespace, with -A every split of the cluster. With --probe the source pod sends some thirty
requests and reads its own proxy's counters. It exits with 4 if a fatal check failed. See splitbench explain CHECK for
more about a check.`,
		Example: `  splitbench check ts/podinfo --context west --remote-context east -n test --from deploy/frontend -c nginx
  splitbench check ts/podinfo -n test --from deploy/frontend --probe -o json
  splitbench check -A -o short
  splitbench check ts/podinfo -n test --from pod/legacy --expect-off-mesh --probe`,
		Args:              oneSplit,
		ValidArgsFunction: k.cluster.completeSplits,
	}
	return k.cluster.command(a, cmd, &k.cfg, k.check,
		under("Request", urlFlag{}, bound(throughFlag), bound(lawFlag), &requestFlags{}),
		under("Checks", k),
		under("Runner pods", runnerFlags{}),
		under("Output", outputFlag(&k.output, "text", "short", "json", "junit")),
	)
}

func (k *checkCommand) register(flags *pflag.FlagSet, _ *bench.Config) {
	flags.BoolVarP(&k.all, "all-namespaces", "A", false, "look at every split of the cluster")
	flags.BoolVar(&k.probe, "probe", false, "let the source pod send some thirty requests and read its proxy's counters")
	flags.BoolVar(&k.offMesh, "expect-off-mesh", false,
		"the control experiment: the source pod has no proxy, and gateways must refuse it")
}

func (k *checkCommand) complete(cfg *bench.Config) error {
	switch {
	case hasSource(cfg.Query):
	case k.probe:
		return errors.New("--probe: name the pod that asks with --from, such as deploy/frontend")
	case k.offMesh:
		return errors.New("--expect-off-mesh: name the pod that is outside the mesh with --from")
	}
	return nil
}

func (k *checkCommand) check(ctx context.Context, args []string) error {
	if k.all && len(args) > 0 {
		return fmt.Errorf("-A: looks at every split; leave %s out", args[0])
	}
	cfg := &k.cfg
	if err := k.cluster.prepare(cfg, args); err != nil {
		return err
	}
	k.eachClient(mesh.Client.Remembering)
	if len(args) > 0 {
		return k.one(ctx)
	}
	namespace := cfg.Query.Namespace
	if k.all {
		namespace = ""
		k.cluster.grant(cfg, "-A")
	}
	found, err := mesh.Find(ctx, cfg.Local, namespace, nil)
	switch {
	case err != nil:
		return k.unread(err, law.Snapshot{})
	case len(found) == 0:
		return k.none(ctx)
	case len(found) == 1 && !k.all:
		cfg.Query.Split = found[0].Split
		return k.one(ctx)
	}
	return k.many(ctx, found)
}

// eachClient puts another client in the place of each.
func (k *checkCommand) eachClient(change func(mesh.Client) mesh.Client) {
	k.cfg.Local = change(k.cfg.Local)
	for i := range k.cfg.Remotes {
		k.cfg.Remotes[i].Client = change(k.cfg.Remotes[i].Client)
	}
}

// one checks the split that the query names.
func (k *checkCommand) one(ctx context.Context) error {
	checks, snap, err := k.look(ctx, k.cfg)
	if err != nil {
		return k.unread(err, snap)
	}
	outline := report.ChecksOutline(checks)
	if !snap.Split.Found && snap.Split.Name != "" { // what follows from a wrong name is not worth reading
		outline = report.RefusedChecksOutline(snap.Split.Namespace+"/"+snap.Split.Name, checks)
	}
	if err := k.print(checks, outline); err != nil {
		return err
	}
	for _, note := range snap.Notes {
		k.say("note: %s", note)
	}
	return endOfChecks(checks)
}

// look checks one split. With an error the snapshot is what was read until then.
func (k *checkCommand) look(ctx context.Context, cfg bench.Config) ([]preflight.Result, law.Snapshot, error) {
	snap, err := bench.Discover(ctx, cfg)
	if err != nil {
		return nil, snap, err
	}
	v := preflight.View{Snapshot: snap, OffMesh: k.offMesh}
	if k.probe {
		if v.Probed, err = bench.ProbePod(ctx, cfg, v); err != nil {
			if ctx.Err() != nil {
				return nil, snap, err
			}
			// What the API says is worth printing all the same; what the pod would have said stays unknown.
			snap.Notes = append(snap.Notes, "the pod could not be asked: "+err.Error())
		}
	}
	return preflight.Run(v), snap, nil
}

// many checks several splits, each by itself, over clients that remember what they have read.
func (k *checkCommand) many(ctx context.Context, found []mesh.Found) error {
	k.eachClient(mesh.Client.Wide)
	var all []report.SplitChecks
	var results []preflight.Result
	for _, f := range found {
		one := k.cfg
		one.Query.Namespace, one.Query.Split = f.Namespace, f.Split
		if one.Query.FromNamespace == "" && hasSource(one.Query) {
			one.Query.FromNamespace = k.cfg.Query.Namespace
		}
		checks, snap, err := k.look(ctx, one)
		split := report.SplitChecks{Namespace: f.Namespace, Split: f.Split, Checks: checks}
		if err != nil {
			var e *mesh.Error
			if !errors.As(err, &e) || ctx.Err() != nil {
				return k.unread(err, snap)
			}
			split.Checks = []preflight.Result{unreadCheck(err, e, snap)}
		} else {
			split.Notes = snap.Notes
		}
		all, results = append(all, split), append(results, split.Checks...)
	}
	err := k.printAll(all, report.SplitsOutline(all), report.CheckListOf(all))
	return cmp.Or(err, endOfChecks(results))
}

// none is a namespace, or a cluster, without a split: the list says which kinds it has, and that nothing can be
// measured.
func (k *checkCommand) none(ctx context.Context) error {
	k.cfg.Query.Split = "ts/none"
	snap, err := bench.Discover(ctx, k.cfg)
	if err != nil {
		return k.unread(err, snap)
	}
	kinds := snap.Split.Why
	snap.Split.Name, snap.Split.Why = "", "there is no split in namespace "+k.cfg.Query.Namespace
	if strings.Contains(kinds, "serves no") {
		snap.Split.Why += "; " + kinds
	}
	if k.all {
		snap.Split.Why = "there is no split in any namespace"
	}
	checks := preflight.Run(preflight.View{Snapshot: snap, OffMesh: k.offMesh})
	return cmp.Or(k.print(checks, report.ChecksOutline(checks)), endOfChecks(checks))
}

func endOfChecks(checks []preflight.Result) error {
	if slices.ContainsFunc(checks, preflight.Result.Failure) {
		return exitCode(report.ExitInvalid)
	}
	return nil
}

// print writes the checks of one split.
func (k *checkCommand) print(checks []preflight.Result, outline report.Outline) error {
	return k.printAll([]report.SplitChecks{{Checks: checks}}, outline, report.ChecksOf(checks))
}

// printAll writes checks as text, which is their outline, as JSON, which is the document, and in the forms that one
// split and several have alike.
func (k *checkCommand) printAll(all []report.SplitChecks, outline report.Outline, doc any) error {
	return k.write(k.output, document{
		"text":  func(w io.Writer) error { return k.text(w, outline) },
		"short": func(w io.Writer) error { return k.text(w, report.FindingsOutline(all)) },
		"json":  jsonOf(doc),
		"junit": func(w io.Writer) error { return render.JUnit(w, "splitbench check", report.Suites(all)...) },
	})
}

// unread ends a check of clusters that could not be read. It is said as one failed check too, with the rules that are
// missing, so that a program has a document and a person has what to ask for.
func (k *checkCommand) unread(err error, snap law.Snapshot) error {
	var e *mesh.Error
	if codeOf(err) != report.ExitInvalid || !errors.As(err, &e) {
		return err
	}
	failed := unreadCheck(err, e, snap)
	if k.output == "json" || k.output == "junit" {
		return errors.Join(err, k.print([]preflight.Result{failed}, report.Outline{}))
	}
	if failed.Apply == "" || k.quiet {
		return err
	}
	return errors.Join(err, render.Lines(k.stdout, failed.Apply))
}

func unreadCheck(err error, e *mesh.Error, snap law.Snapshot) preflight.Result {
	return preflight.Result{
		ID: "SB000", Category: "clusters", Name: "the clusters can be read",
		Severity: preflight.Fatal, Status: preflight.Failed,
		Seen: untrusted.Printable(strings.TrimSuffix(err.Error(), "; "+e.Hint)), Hint: untrusted.Printable(e.Hint),
		Apply: preflight.MissingRules(preflight.View{Snapshot: snap}),
	}
}

// newExplain needs no cluster: a check's id is what a report, a log or a colleague says.
func newExplain(a *app) *cobra.Command {
	var output form
	cmd := &cobra.Command{
		Use:   "explain [CHECK]",
		Short: "Explain what a check looks at, why it fails and what to do; without an id, list all checks",
		Example: `  splitbench explain SB012
  splitbench explain SB012 -o jsonpath='{.checks[0].remedy}'
  splitbench explain`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: first(quietly(checkIDs)),
	}
	work := func(_ context.Context, args []string) error {
		checks := preflight.Checks()
		outline := report.CheckIndexOutline(checks)
		if len(args) > 0 {
			c, ok := preflight.Explain(strings.ToUpper(args[0]))
			if !ok {
				return fmt.Errorf("explain %q: there is no such check; %s", args[0], orChecks(args[0]))
			}
			checks, outline = []preflight.Check{c}, report.ExplanationOutline(c)
		}
		return a.write(output, document{
			"text": func(w io.Writer) error { return a.text(w, outline) },
			"json": jsonOf(report.ExplanationsOf(checks)),
		})
	}
	return a.command(cmd, nil, work, under("Output", outputFlag(&output, "text", "json")))
}

// orChecks is the check that was meant, by its number or nearly by its name, else the command that lists them.
func orChecks(id string) string {
	var ids []string
	for _, c := range preflight.Checks() {
		ids = append(ids, c.ID)
	}
	if n, err := strconv.Atoi(strings.TrimLeft(strings.ToUpper(id), "SB")); err == nil {
		if same := fmt.Sprintf("SB%03d", n); slices.Contains(ids, same) {
			return "did you mean " + same + "?"
		}
		ids = nil
	}
	return cmp.Or(nearest.Question(id, ids), "splitbench explain lists them")
}
