package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/mesh"
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

// runSuite runs several splits one after the other and ends as the worst of them. The error rate holds for all together:
// each verdict is made at alpha divided by their number (Bonferroni), and the requests that it needs are planned for that.
func (a *app) runSuite(cmd *cobra.Command, f *runFlags, args []string) error {
	switch {
	case len(args) > 0:
		return fmt.Errorf("SPLIT %q: -f and --all-splits say which splits are run; leave it out", args[0])
	case f.suite != "" && f.allSplits:
		return errors.New("--filename and --all-splits: give one of them")
	case f.output != "text" && f.output != "json" && f.output != "markdown":
		return fmt.Errorf("-o %q: several splits are printed as text, markdown or json; --junit writes a file beside it", f.output)
	}
	if err := f.to.check(); err != nil {
		return err
	}
	failOn, err := report.ParseFailOn(f.failOn)
	if err != nil {
		return err
	}
	suite, err := f.splits(cmd.Context())
	if err != nil {
		return err
	}
	// All is read before anything is sent: a mistake in the last split is no surprise after the first hour.
	alpha := f.alpha / float64(len(suite.Splits))
	configs := make([]bench.Config, len(suite.Splits))
	limits := make([][]limit, len(suite.Splits))
	for i, s := range suite.Splits {
		settings := s.over(suite.Defaults)
		if configs[i], err = a.suiteConfig(cmd, settings, s.Split, alpha); err != nil {
			return fmt.Errorf("split %s: %w", s.Name, err)
		}
		limits[i], err = settings.limits()
		if err != nil {
			return fmt.Errorf("split %s: latency: %w", s.Name, err)
		}
	}
	if f.dryRun {
		for i := range configs {
			if err := a.dryRun(cmd, configs[i]); err != nil {
				return err
			}
		}
		return nil
	}
	out := suiteReport{APIVersion: report.APIVersion, Kind: "SuiteReport", Outcome: report.Pass, Alpha: f.alpha, AlphaPerSplit: alpha}
	for i, s := range suite.Splits {
		fmt.Fprintf(a.talk(), "splitbench: split %d of %d: %s\n", i+1, len(suite.Splits), untrusted.Safe(s.Name))
		p := a.newProgress()
		configs[i].Progress = p.show
		r, err := bench.Run(cmd.Context(), configs[i])
		p.end()
		if err != nil {
			return fmt.Errorf("split %s: %w", s.Name, err)
		}
		out.Splits = append(out.Splits, resultOf(s, r, limits[i]))
		out.Outcome = report.WorseOutcome(out.Outcome, out.Splits[i].Outcome)
		if cmd.Context().Err() != nil {
			break // interrupted: what was measured is said
		}
	}
	if err := a.printSuite(out, f.output); err != nil {
		return err
	}
	delivered := a.deliverSuite(cmd.Context(), &f.to, out)
	if cmd.Context().Err() != nil {
		return interrupted{}
	}
	return cmp.Or(done(out.Outcome, failOn), delivered)
}

// splits are those of the file, or all of the namespace.
func (f *runFlags) splits(ctx context.Context) (suiteFile, error) {
	if f.suite != "" {
		return readSuite(f.suite)
	}
	var cfg bench.Config
	if err := f.prepare(&cfg, nil); err != nil {
		return suiteFile{}, err
	}
	names, err := mesh.Splits(ctx, cfg.Local, cfg.Query.Namespace)
	if err != nil {
		return suiteFile{}, err
	}
	switch {
	case len(names) == 0:
		return suiteFile{}, fmt.Errorf("--all-splits: namespace %s has no split", cfg.Query.Namespace)
	case len(names) > maxSplits:
		return suiteFile{}, fmt.Errorf("--all-splits: namespace %s has %d splits, at most %d are run", cfg.Query.Namespace, len(names), maxSplits)
	}
	var s suiteFile
	for _, n := range names {
		s.Splits = append(s.Splits, suiteSplit{Name: n, Split: n})
	}
	return s, nil
}

// suiteConfig is the configuration of one split: the command line's flags, then the settings'.
func (a *app) suiteConfig(parent *cobra.Command, s suiteSettings, split string, alpha float64) (bench.Config, error) {
	var one runFlags
	cmd := &cobra.Command{Use: "run"}
	one.add(cmd)
	cmd.SetContext(parent.Context())
	var err error
	parent.Flags().Visit(func(p *pflag.Flag) {
		if f := cmd.Flags().Lookup(p.Name); f != nil && err == nil {
			err = copyFlag(cmd.Flags(), p)
		}
	})
	if err == nil {
		err = s.apply(cmd.Flags())
	}
	if err != nil {
		return bench.Config{}, err
	}
	one.alpha = alpha
	cfg, _, err := one.configure(a, cmd, []string{split})
	for k, v := range s.Labels {
		if cfg.Labels == nil {
			cfg.Labels = map[string]string{}
		}
		if _, given := cfg.Labels[k]; !given {
			cfg.Labels[k] = v
		}
	}
	return cfg, err
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

// resultOf is one split's report with its limits: a limit that is broken fails a split, one that cannot be told makes it
// inconclusive, and neither makes anything better.
func resultOf(s suiteSplit, r report.Report, limits []limit) suiteResult {
	sum := report.Summarize(r)
	out := suiteResult{Name: s.Name, Split: s.Split, Run: sum.ID, Requests: sum.Requests, Limits: []limitOutcome{}, report: r}
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
	ms := float64(l.most.Microseconds()) / 1000
	unknown := func(why string) []limitOutcome {
		return []limitOutcome{{l.backend, l.quantile, ms, report.Inconclusive, fmt.Sprintf("whether p%g of %s is below %s cannot be told: %s", 100*l.quantile, l.backend, l.most, why)}}
	}
	if r.GatewayCost == nil || r.GatewayCost.Why != "" {
		why := "its response times have no likely ranges"
		if r.GatewayCost != nil {
			why = r.GatewayCost.Why
		}
		return unknown(why)
	}
	var out []limitOutcome
	for _, b := range r.GatewayCost.Backends {
		if l.backend != "*" && l.backend != b.Backend {
			continue
		}
		i := slices.IndexFunc(b.Quantiles, func(q report.QuantileTime) bool { return math.Abs(q.Quantile-l.quantile) < 1e-9 })
		if i < 0 {
			return unknown("only p50, p90 and p99 have likely ranges")
		}
		q := b.Quantiles[i]
		o := limitOutcome{b.Backend, l.quantile, ms, report.Inconclusive, fmt.Sprintf("whether p%g of %s is below %s cannot be told: it %s", 100*l.quantile, b.Backend, l.most, q.Why)}
		switch {
		case q.HighMs != nil && *q.HighMs <= ms:
			o.Outcome, o.Text = report.Pass, fmt.Sprintf("p%g of %s is at most %.4g ms, below %s", 100*l.quantile, b.Backend, *q.HighMs, l.most)
		case q.LowMs != nil && *q.LowMs > ms:
			o.Outcome, o.Text = report.Fail, fmt.Sprintf("p%g of %s is at least %.4g ms, above %s", 100*l.quantile, b.Backend, *q.LowMs, l.most)
		case q.LowMs != nil && q.HighMs != nil:
			o.Text = fmt.Sprintf("whether p%g of %s is below %s cannot be told: it is likely %.4g to %.4g ms", 100*l.quantile, b.Backend, l.most, *q.LowMs, *q.HighMs)
		}
		out = append(out, o)
	}
	if len(out) == 0 {
		return unknown("it is no backend of the split that answered")
	}
	return out
}

func (a *app) printSuite(s suiteReport, output string) error {
	switch {
	case output == "json":
		return report.WriteDocument(a.stdout, s)
	case output == "markdown":
		for _, x := range s.Splits {
			if err := report.WriteMarkdown(a.stdout, x.report); err != nil {
				return err
			}
			fmt.Fprintln(a.stdout)
		}
		return nil
	case a.quiet:
		return nil
	}
	rows := make([][]string, len(s.Splits))
	count := map[string]int{}
	for i, x := range s.Splits {
		rows[i] = []string{untrusted.Safe(x.Name), x.Outcome, fmt.Sprint(x.Requests), untrusted.Safe(x.Split), untrusted.Safe(x.Run)}
		count[x.Outcome]++
	}
	if err := a.table([]string{"NAME", "OUTCOME", "REQUESTS", "SPLIT", "RUN"}, rows); err != nil {
		return err
	}
	for _, x := range s.Splits {
		for _, why := range x.Reasons {
			if x.Outcome != report.Pass {
				fmt.Fprintf(a.stdout, "%s: %s\n", untrusted.Safe(x.Name), untrusted.Printable(why))
			}
		}
	}
	_, err := fmt.Fprintf(a.stdout, "\n%d pass, %d fail, %d inconclusive, %d invalid. A wrong verdict anywhere among these splits comes up at most %.4g %% of the time:\n"+
		"each was judged at alpha %.4g, which is %g divided by their number (Bonferroni).\n", count[report.Pass], count[report.Fail], count[report.Inconclusive],
		count[report.Invalid], 100*s.Alpha, s.AlphaPerSplit, s.Alpha)
	return err
}

// deliverSuite writes one JUnit file of all, and sends each report where one would be sent.
func (a *app) deliverSuite(ctx context.Context, to *sinks, s suiteReport) error {
	each := *to
	each.junit = ""
	reports := make([]report.Report, len(s.Splits))
	var errs []error
	for i, x := range s.Splits {
		a.stepSummary(x.report)
		reports[i] = x.report
		errs = append(errs, a.deliver(ctx, &each, x.report))
	}
	if to.junit != "" {
		errs = append(errs, replaceFile("--junit", to.junit, func(w io.Writer) error { return report.WriteJUnit(w, reports...) }))
	}
	return errors.Join(errs...)
}
