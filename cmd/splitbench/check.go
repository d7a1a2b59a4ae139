package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// checking are the flags of check.
type checking struct {
	c       cluster
	output  string
	url     string
	all     bool
	probe   bool
	offMesh bool
}

func checkCommand(a *app) *cobra.Command {
	var k checking
	cmd := &cobra.Command{
		Use:   "check [SPLIT]",
		Short: "Say whether the split can be measured, and what is wrong where not",
		Long: `check reads the clusters, tells root causes from consequences, and changes nothing. Without SPLIT it looks at every split of the
namespace, with -A at every split of the cluster. With --probe the source pod sends some thirty requests and reads its own
proxy's counters. It exits with 4 when a fatal check failed. splitbench explain CHECK says more of each.`,
		Example: `  splitbench check ts/podinfo --context west --remote-context east -n test --from deploy/frontend -c nginx
  splitbench check ts/podinfo -n test --from deploy/frontend --probe -o json
  splitbench check -A -o short
  splitbench check ts/podinfo -n test --from pod/legacy --expect-off-mesh --probe`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: k.c.completeSplits,
		RunE:              func(cmd *cobra.Command, args []string) error { return k.run(a, cmd, args) },
	}
	k.c.add(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&k.output, "output", "o", "text", "text, short, json or junit")
	flags.BoolVarP(&k.all, "all-namespaces", "A", false, "look at every split of the cluster")
	flags.BoolVar(&k.probe, "probe", false, "let the source pod send some thirty requests and read its proxy's counters")
	flags.BoolVar(&k.offMesh, "expect-off-mesh", false, "the control experiment: the source pod has no proxy, and gateways must refuse it")
	flags.StringVar(&k.url, "url", "", "what --probe requests; default: the root Service and its port")
	hideRare(flags)
	return cmd
}

func (k *checking) run(a *app, cmd *cobra.Command, args []string) error {
	if err := checkOutput(k.output, "text", "short", "json", "junit"); err != nil {
		return err
	}
	hasSource := k.c.from != "" || k.c.selector != ""
	switch {
	case k.all && len(args) > 0:
		return fmt.Errorf("-A: looks at every split; leave %s out", args[0])
	case k.probe && !hasSource:
		return errors.New("--probe: name the pod that asks with --from, such as deploy/frontend")
	case k.offMesh && !hasSource:
		return errors.New("--expect-off-mesh: name the pod that is outside the mesh with --from")
	}
	cfg := bench.Config{URL: k.url, Log: a.talk()}
	if exe, err := os.Executable(); err == nil {
		cfg.Self = exe
	}
	if err := k.c.prepare(&cfg, args); err != nil {
		return err
	}
	cfg.Local = cfg.Local.Remembering()
	for i := range cfg.Remotes {
		cfg.Remotes[i].Client = cfg.Remotes[i].Client.Remembering()
	}
	if len(args) > 0 {
		return k.one(cmd.Context(), a, cfg)
	}
	namespace := cfg.Query.Namespace
	if k.all {
		namespace = ""
	}
	found, err := mesh.Find(cmd.Context(), cfg.Local, namespace)
	if err != nil {
		return a.unread(err, law.Snapshot{}, k.output)
	}
	if len(found) == 1 && !k.all {
		cfg.Query.Split = found[0].Split
		return k.one(cmd.Context(), a, cfg)
	}
	return k.many(cmd.Context(), a, cfg, found)
}

// one checks the split that the query names.
func (k *checking) one(ctx context.Context, a *app, cfg bench.Config) error {
	checks, notes, err := k.look(ctx, cfg)
	if err != nil {
		return err.end(a, k.output)
	}
	if err := a.printChecks(checks, k.output); err != nil {
		return err
	}
	for _, note := range notes {
		fmt.Fprintf(a.talk(), "splitbench: note: %s\n", untrusted.Safe(note))
	}
	return endOfChecks(checks)
}

// unseen is a look that came to nothing, with what was read until then.
type unseen struct {
	err  error
	snap law.Snapshot
}

func (u *unseen) end(a *app, output string) error { return a.unread(u.err, u.snap, output) }

func (k *checking) look(ctx context.Context, cfg bench.Config) ([]preflight.Result, []string, *unseen) {
	snap, err := mesh.Discover(ctx, cfg.Local, cfg.Remotes, cfg.Query)
	if err != nil {
		return nil, nil, &unseen{err, snap}
	}
	v := preflight.View{Snapshot: snap, OffMesh: k.offMesh}
	if k.probe {
		if v.Probed, err = bench.ProbePod(ctx, cfg, v); err != nil {
			if ctx.Err() != nil {
				return nil, nil, &unseen{err, snap}
			}
			// What the API says is worth printing all the same; what the pod would have said stays unknown.
			snap.Notes = append(snap.Notes, "the pod could not be asked: "+err.Error())
		}
	}
	return preflight.Run(v), snap.Notes, nil
}

// many checks several splits, each by itself, over clients that remember what they have read.
func (k *checking) many(ctx context.Context, a *app, cfg bench.Config, found []mesh.Found) error {
	if len(found) == 0 {
		return k.none(ctx, a, cfg)
	}
	cfg.Local = cfg.Local.Wide()
	for i := range cfg.Remotes {
		cfg.Remotes[i].Client = cfg.Remotes[i].Client.Wide()
	}
	var all []report.SplitChecks
	for _, f := range found {
		one := cfg
		one.Query.Namespace, one.Query.Split = f.Namespace, f.Split
		if one.Query.FromNamespace == "" && k.c.from+k.c.selector != "" {
			one.Query.FromNamespace = cfg.Query.Namespace
		}
		checks, notes, failed := k.look(ctx, one)
		if failed != nil {
			var e *mesh.Error
			if !errors.As(failed.err, &e) || ctx.Err() != nil {
				return failed.end(a, k.output)
			}
			checks = []preflight.Result{unreadCheck(failed.err, e, failed.snap)}
		}
		all = append(all, report.SplitChecks{Namespace: f.Namespace, Split: f.Split, Checks: checks, Notes: notes})
	}
	if err := a.printManyChecks(all, k.output); err != nil {
		return err
	}
	for _, s := range all {
		if err := endOfChecks(s.Checks); err != nil {
			return err
		}
	}
	return nil
}

// none is a namespace, or a cluster, without a split: the list says which kinds it has, and that nothing can be measured.
func (k *checking) none(ctx context.Context, a *app, cfg bench.Config) error {
	cfg.Query.Split = "ts/none"
	snap, err := mesh.Discover(ctx, cfg.Local, cfg.Remotes, cfg.Query)
	if err != nil {
		return a.unread(err, snap, k.output)
	}
	snap.Split.Name = ""
	why := "there is no split in namespace " + cfg.Query.Namespace
	if kinds := snap.Split.Why; strings.Contains(kinds, "serves no") {
		why += "; " + kinds
	}
	snap.Split.Why = why
	if k.all {
		snap.Split.Why = "there is no split in any namespace"
	}
	checks := preflight.Run(preflight.View{Snapshot: snap, OffMesh: k.offMesh})
	if err := a.printChecks(checks, k.output); err != nil {
		return err
	}
	return endOfChecks(checks)
}

func endOfChecks(checks []preflight.Result) error {
	for _, r := range checks {
		if r.Failure() {
			return exitCode(report.ExitInvalid)
		}
	}
	return nil
}

func (a *app) checkStyle() report.TextOptions {
	return report.TextOptions{Color: a.colored(a.stdout), ASCII: !a.unicode(a.stdout)}
}

func (a *app) printChecks(checks []preflight.Result, output string) error {
	switch output {
	case "json":
		return report.WriteChecksJSON(a.stdout, checks)
	case "junit":
		return report.WriteChecksJUnit(a.stdout, []report.SplitChecks{{Checks: checks}})
	case "short":
		if a.quiet {
			return nil
		}
		return report.WriteChecksShort(a.stdout, []report.SplitChecks{{Checks: checks}}, a.checkStyle())
	}
	if a.quiet {
		return nil
	}
	return report.WriteChecks(a.stdout, checks, a.checkStyle())
}

func (a *app) printManyChecks(all []report.SplitChecks, output string) error {
	switch {
	case output == "json":
		return report.WriteCheckListJSON(a.stdout, all)
	case output == "junit":
		return report.WriteChecksJUnit(a.stdout, all)
	case a.quiet:
		return nil
	case output == "short":
		return report.WriteChecksShort(a.stdout, all, a.checkStyle())
	}
	return report.WriteManyChecks(a.stdout, all, a.checkStyle())
}

// unread ends a check of clusters that could not be read. It is said as one failed check too, with the rules that are missing, so
// that a program has a document and a person has what to ask for.
func (a *app) unread(err error, snap law.Snapshot, output string) error {
	var e *mesh.Error
	if codeOf(err) != report.ExitInvalid || !errors.As(err, &e) {
		return err
	}
	failed := unreadCheck(err, e, snap)
	if output == "text" || output == "short" {
		if failed.Apply == "" || a.quiet {
			return err
		}
		return errors.Join(err, report.WriteApply(a.stdout, failed))
	}
	return errors.Join(err, a.printChecks([]preflight.Result{failed}, output))
}

func unreadCheck(err error, e *mesh.Error, snap law.Snapshot) preflight.Result {
	return preflight.Result{
		ID: "SB000", Category: "clusters", Name: "the clusters can be read", Severity: preflight.Fatal, Status: preflight.Failed,
		Seen: untrusted.Printable(strings.TrimSuffix(err.Error(), "; "+e.Hint)), Hint: untrusted.Printable(e.Hint),
		Apply: preflight.MissingRules(preflight.View{Snapshot: snap}),
	}
}
