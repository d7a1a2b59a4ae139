package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/render"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// suiteReport is what a suite prints as JSON. Its schema is docs/schema/suitereport.v1alpha1.json.
type suiteReport struct {
	APIVersion    string        `json:"apiVersion"`
	Kind          string        `json:"kind"` // SuiteReport
	Outcome       string        `json:"outcome"`
	Alpha         float64       `json:"alpha"`         // over all splits together
	AlphaPerSplit float64       `json:"alphaPerSplit"` // what each verdict was made at
	Splits        []suiteResult `json:"splits"`
}

// suiteResult is one split of a suite.
type suiteResult struct {
	Name     string         `json:"name"`
	Split    string         `json:"split"`
	Outcome  string         `json:"outcome"`
	Run      string         `json:"run"` // id; empty where nothing was stored
	Requests int64          `json:"requests"`
	Reasons  []string       `json:"reasons"`
	Limits   []limitOutcome `json:"limits"`
	report   report.Report  // its limits have made the verdict worse already, where they did
}

// limitOutcome is a limit and whether it held.
type limitOutcome struct {
	Backend  string  `json:"backend"`
	Quantile float64 `json:"quantile"`
	LimitMs  float64 `json:"limitMs"`
	Outcome  string  `json:"outcome"`
	Text     string  `json:"text"`
}

// suiteRun is one split of a suite, configured and not yet run.
type suiteRun struct {
	suiteSplit
	cfg    bench.Config
	limits []limit
}

// runSuite runs several splits one after the other and ends as the worst of them. The error rate holds for all
// together: each verdict is made at alpha divided by their number (Bonferroni), and the requests that it needs are
// planned for that.
func (c *runCommand) runSuite(ctx context.Context, flags *pflag.FlagSet, args []string) error {
	switch output := flags.Lookup("output").Value.String(); {
	case len(args) > 0:
		return fmt.Errorf("SPLIT %q: -f and --all-splits say which splits are run; leave it out", args[0])
	case c.suite != "" && c.allSplits:
		return errors.New("--filename and --all-splits: give one of them")
	case output != "text" && output != "json" && output != "markdown":
		return fmt.Errorf("-o %q: several splits are printed as text, markdown or json; --junit writes a file beside it",
			output)
	}
	suite, err := c.splits(ctx)
	if err != nil {
		return err
	}
	// All is read before anything is sent: a mistake in the last split is no surprise after the first hour.
	out := suiteReport{
		APIVersion: report.APIVersion, Kind: "SuiteReport", Outcome: report.Pass, Alpha: c.cfg.Options.Alpha,
		AlphaPerSplit: c.cfg.Options.Alpha / float64(len(suite.Splits)),
	}
	runs := make([]suiteRun, len(suite.Splits))
	for i, s := range suite.Splits {
		if runs[i], err = c.configure(flags, s, s.over(suite.Defaults), out.AlphaPerSplit); err != nil {
			return fmt.Errorf("split %s: %w", s.Name, err)
		}
	}
	for i, s := range runs {
		if c.dryRun {
			err = c.app.dryRun(ctx, s.cfg)
		} else {
			c.say("split %d of %d: %s", i+1, len(runs), s.Name)
			err = out.run(ctx, c.app, s)
		}
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			break // interrupted: what was measured is said
		}
	}
	if c.dryRun {
		return nil
	}
	if err := c.write(form(flags.Lookup("output").Value.String()), out.document()); err != nil {
		return err
	}
	delivered := c.deliverSuite(ctx, out)
	if ctx.Err() != nil {
		return interrupted{}
	}
	return cmp.Or(outcomeError(out.Outcome, c.result.failOn), delivered)
}

// run carries out one split.
func (s *suiteReport) run(ctx context.Context, a *app, one suiteRun) error {
	p := a.newProgress()
	one.cfg.Progress = p.show
	r, err := bench.Run(ctx, one.cfg)
	p.end()
	if err != nil {
		return fmt.Errorf("split %s: %w", one.Name, err)
	}
	result := resultOf(one.suiteSplit, r, one.limits)
	s.Splits, s.Outcome = append(s.Splits, result), report.WorseOutcome(s.Outcome, result.Outcome)
	return nil
}

// splits are those of the file, or all of the namespace.
func (c *runCommand) splits(ctx context.Context) (suiteFile, error) {
	if c.suite != "" {
		return readSuite(c.suite)
	}
	var s suiteFile
	if err := c.cluster.prepare(&c.cfg, nil); err != nil {
		return s, err
	}
	namespace := c.cfg.Query.Namespace
	names, err := mesh.Splits(ctx, c.cfg.Local, namespace)
	switch {
	case err != nil:
		return s, err
	case len(names) == 0:
		return s, fmt.Errorf("--all-splits: namespace %s has no split", namespace)
	case len(names) > maxSplits:
		return s, fmt.Errorf("--all-splits: namespace %s has %d splits, at most %d are run", namespace, len(names), maxSplits)
	}
	for _, n := range names {
		s.Splits = append(s.Splits, suiteSplit{Name: n, Split: n})
	}
	return s, nil
}

// configure reads one split's configuration: the command line's flags, then the settings'.
func (c *runCommand) configure(
	parent *pflag.FlagSet, s suiteSplit, settings suiteSettings, alpha float64,
) (suiteRun, error) {
	one := &runCommand{app: c.app}
	sections, flags := one.sections(), pflag.NewFlagSet("run", pflag.ContinueOnError)
	register(flags, &one.cfg, sections)
	out := suiteRun{suiteSplit: s}
	var err error
	parent.Visit(func(p *pflag.Flag) {
		if flags.Lookup(p.Name) != nil && err == nil {
			err = copyFlag(flags, p)
		}
	})
	if err != nil {
		return out, err
	}
	if err := settings.apply(flags); err != nil {
		return out, err
	}
	one.cfg.Options.Alpha = alpha
	if err := c.complete(flags, &one.cfg, sections); err != nil {
		return out, err
	}
	if err := one.cluster.prepareSource(&one.cfg, []string{s.Split}); err != nil {
		return out, err
	}
	labels := maps.Clone(settings.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, one.cfg.Labels)
	if len(labels) > 0 {
		one.cfg.Labels = labels
	}
	out.cfg = one.cfg
	out.limits, err = settings.limits()
	return out, err
}

// copyFlag sets a flag to what another command's flag of the same name was given.
func copyFlag(to *pflag.FlagSet, from *pflag.Flag) error {
	if several, ok := from.Value.(pflag.SliceValue); ok {
		for _, v := range several.GetSlice() {
			if err := to.Set(from.Name, v); err != nil {
				return err
			}
		}
		return nil
	}
	return to.Set(from.Name, from.Value.String())
}

// resultOf is one split's report with its limits: a limit that is broken fails a split, one that cannot be told makes
// it inconclusive, and neither makes anything better.
func resultOf(s suiteSplit, r report.Report, limits []limit) suiteResult {
	sum := report.Summarize(r)
	out := suiteResult{
		Name: s.Name, Split: s.Split, Run: sum.ID, Requests: sum.Requests, Limits: []limitOutcome{}, report: r,
	}
	if r.Verdict.Outcome != report.Invalid {
		for _, l := range limits {
			out.Limits = append(out.Limits, l.check(r)...)
		}
	}
	for _, o := range out.Limits {
		out.report = report.Limited(out.report, o.Outcome, o.Text)
	}
	out.Outcome, out.Reasons = out.report.Verdict.Outcome, slices.Clone(out.report.Verdict.Reasons)
	return out
}

// check holds the limit against the likely ranges of the report's response times, which windows of time made.
func (l limit) check(r report.Report) []limitOutcome {
	switch {
	case r.GatewayCost == nil:
		return []limitOutcome{l.unknown(l.backend, "its response times have no likely ranges")}
	case r.GatewayCost.Why != "":
		return []limitOutcome{l.unknown(l.backend, r.GatewayCost.Why)}
	}
	var out []limitOutcome
	for _, b := range r.GatewayCost.Backends {
		if l.backend != "*" && l.backend != b.Backend {
			continue
		}
		i := slices.IndexFunc(b.Quantiles, func(q report.QuantileTime) bool { return math.Abs(q.Quantile-l.quantile) < 1e-9 })
		if i < 0 {
			return []limitOutcome{l.unknown(l.backend, "only p50, p90 and p99 have likely ranges")}
		}
		out = append(out, l.against(b.Backend, b.Quantiles[i]))
	}
	if len(out) == 0 {
		return []limitOutcome{l.unknown(l.backend, "it is no backend of the split that answered")}
	}
	return out
}

// against holds the limit against the times of one backend.
func (l limit) against(backend string, q report.QuantileTime) limitOutcome {
	o := l.unknown(backend, "it "+q.Why)
	switch {
	case q.HighMs != nil && *q.HighMs <= o.LimitMs:
		o.Outcome = report.Pass
		o.Text = fmt.Sprintf("p%g of %s is at most %.4g ms, below %s", 100*l.quantile, backend, *q.HighMs, l.most)
	case q.LowMs != nil && *q.LowMs > o.LimitMs:
		o.Outcome = report.Fail
		o.Text = fmt.Sprintf("p%g of %s is at least %.4g ms, above %s", 100*l.quantile, backend, *q.LowMs, l.most)
	case q.LowMs != nil && q.HighMs != nil:
		return l.unknown(backend, fmt.Sprintf("it is likely %.4g to %.4g ms", *q.LowMs, *q.HighMs))
	}
	return o
}

func (l limit) unknown(backend, why string) limitOutcome {
	return limitOutcome{
		Backend: backend, Quantile: l.quantile, LimitMs: float64(l.most.Microseconds()) / 1000, Outcome: report.Inconclusive,
		Text: fmt.Sprintf("whether p%g of %s is below %s cannot be told: %s", 100*l.quantile, backend, l.most, why),
	}
}

// document are the forms of a suite.
func (s suiteReport) document() document {
	return document{
		"text": s.writeText,
		"json": jsonOf(s),
		"markdown": func(w io.Writer) error {
			for _, x := range s.Splits {
				if err := render.Markdown(w, x.report.Outline()); err != nil {
					return err
				}
				fmt.Fprintln(w)
			}
			return nil
		},
	}
}

func (s suiteReport) writeText(w io.Writer) error {
	rows := make([][]string, len(s.Splits))
	count := map[string]int{}
	for i, x := range s.Splits {
		rows[i] = []string{
			untrusted.Safe(x.Name), x.Outcome, fmt.Sprint(x.Requests), untrusted.Safe(x.Split), untrusted.Safe(x.Run),
		}
		count[x.Outcome]++
	}
	if err := render.Table(w, []string{"NAME", "OUTCOME", "REQUESTS", "SPLIT", "RUN"}, rows); err != nil {
		return err
	}
	for _, x := range s.Splits {
		for _, why := range x.Reasons {
			if x.Outcome != report.Pass {
				fmt.Fprintf(w, "%s: %s\n", untrusted.Safe(x.Name), untrusted.Printable(why))
			}
		}
	}
	fmt.Fprintf(w, "\n%d pass, %d fail, %d inconclusive, %d invalid. ",
		count[report.Pass], count[report.Fail], count[report.Inconclusive], count[report.Invalid])
	_, err := fmt.Fprintf(w, "A wrong verdict anywhere among these splits comes up at most %.4g %% of the time:\n"+
		"each was judged at alpha %.4g, which is %g divided by their number (Bonferroni).\n",
		100*s.Alpha, s.AlphaPerSplit, s.Alpha)
	return err
}

// deliverSuite writes one JUnit file of all, and sends each report where one would be sent.
func (c *runCommand) deliverSuite(ctx context.Context, s suiteReport) error {
	each := c.result.sinks
	each.junit = ""
	reports := make([]report.Report, len(s.Splits))
	var errs []error
	for i, x := range s.Splits {
		c.stepSummary(x.report)
		reports[i] = x.report
		errs = append(errs, c.deliver(ctx, each, x.report))
	}
	return errors.Join(append(errs, writeJUnit(c.result.sinks.junit, reports...))...)
}
