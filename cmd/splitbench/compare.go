package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

// marginFlags say by how much runs may differ.
type marginFlags struct {
	margin    string
	quantiles []string
	options   judge.CompareOptions
}

func (f *marginFlags) register(flags *pflag.FlagSet, _ *bench.Config) {
	flags.StringVar(&f.margin, "margin", "10%,2ms",
		"by how much a quantile, or the cost of the gateway, may grow: 5ms, 10%, or of both the larger at the base's median")
	flags.StringSliceVar(&f.quantiles, "quantiles", []string{"p50", "p90"},
		"quantiles of latencies that are judged; p50, p90 and p99 are shown in any case")
	flags.Float64Var(&f.options.SharePoints, "share-margin", 5, "how many points a share may move")
}

func (f *marginFlags) complete(cfg *bench.Config) (err error) {
	o := &f.options
	o.Alpha, o.Tool = cfg.Options.Alpha, toolVersion()
	for part := range strings.SplitSeq(f.margin, ",") {
		m, err := parseMargin(strings.TrimSpace(part))
		if err != nil || !m.Set || m.Relative > 0 && o.Relative != 0 || m.Absolute > 0 && o.Absolute != 0 {
			return fmt.Errorf("--margin %q: want 5ms, 10%% or both with a comma", f.margin)
		}
		o.Relative, o.Absolute = max(o.Relative, m.Relative), max(o.Absolute, time.Duration(m.Absolute))
	}
	if o.Quantiles, err = parseQuantiles(f.quantiles); err != nil {
		return err
	}
	return o.Validate()
}

// parseQuantiles reads p50, p90 and so on.
func parseQuantiles(names []string) ([]float64, error) {
	var out []float64
	for _, name := range names {
		q, err := parseQuantile(name)
		if err != nil {
			return nil, fmt.Errorf("--quantiles %q: want p50, p90 and so on", name)
		}
		if slices.Contains(out, q) {
			return nil, fmt.Errorf("--quantiles %q: is given twice", name)
		}
		out = append(out, q)
	}
	return out, nil
}

// parseQuantile reads p99 as 0.99.
func parseQuantile(name string) (float64, error) {
	number, ok := strings.CutPrefix(name, "p")
	v, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(v > 0 && v < 100) {
		return 0, fmt.Errorf("%q: want p50, p90 and so on", name)
	}
	return v / 100, nil
}

// baselineFlags name an earlier run that a run is compared with.
type baselineFlags struct {
	name string
	marginFlags
}

func (b *baselineFlags) register(flags *pflag.FlagSet, cfg *bench.Config) {
	flags.StringVar(&b.name, "baseline", "",
		"a stored run that the report compares this one with: latest, an id or its beginning; it changes no verdict")
	b.marginFlags.register(flags, cfg)
}

// complete opens the run before anything is sent: latest is the latest of before.
func (b *baselineFlags) complete(cfg *bench.Config) error {
	if b.name == "" {
		return nil
	}
	if err := b.marginFlags.complete(cfg); err != nil {
		return err
	}
	return openBaseline(cfg, b.name, report.KindSplit, b.options)
}

// openBaseline opens a run of the kind that it is to be compared with: latest is the latest of those.
func openBaseline(cfg *bench.Config, name, kind string, o judge.CompareOptions) error {
	misfit := func(f store.Folder) string {
		m, err := record.Read(f)
		switch {
		case err != nil:
			return err.Error()
		case m.Kind != kind:
			return fmt.Sprintf("run %s is of kind %s, want one of kind %s", f.ID, m.Kind, kind)
		case kind == report.KindLatency && (m.Latency == nil || m.Latency.Sweep):
			return fmt.Sprintf("run %s is a sweep of rates, want a comparison of targets", f.ID)
		}
		return ""
	}
	newest := strings.HasPrefix(name, "latest")
	f, err := store.OpenAmong(cfg.ResultsDir, name,
		func(f store.Folder) bool { return f.Status != store.Refused && (!newest || misfit(f) == "") })
	if err != nil {
		return fmt.Errorf("--baseline: %w", err)
	}
	if why := misfit(f); why != "" {
		return fmt.Errorf("--baseline %s: %s", name, why)
	}
	cfg.Baseline = &judge.Baseline{Folder: f, Options: o}
	return nil
}

func newCompare(a *app) *cobra.Command {
	var (
		cfg    bench.Config
		m      marginFlags
		failOn report.FailOn
		labels []string
		output form
	)
	cmd := &cobra.Command{
		Use:   "compare BASE NEW...",
		Short: "Compare runs: shares, latency, what the gateway costs",
		Long: `compare sets each later run against the first. A pass means that no share moved and no latency grew by more
than the margins, shown at --alpha; a fail that one did, whatever the number of runs and quantiles. Windows of time,
not requests, are what the latencies are compared by. "No difference proven" is not "no difference": the likely range
says how large one could be.

Each -l stands for the newest run with those labels, in place of a name: the first is the base.`,
		Example: `  splitbench results compare latest~1 latest --margin 5ms
  splitbench results compare -l linkerd=2.17 -l linkerd=2.18 -o markdown`,
		ValidArgsFunction: quietly(storedRuns),
	}
	work := func(_ context.Context, args []string) error {
		folders, err := comparedRuns(cfg.ResultsDir, args, labels)
		if err != nil {
			return err
		}
		r, err := judge.Compare(folders[0], folders[1:], m.options)
		if err != nil {
			return err
		}
		r.Base.Dir = filepath.ToSlash(folders[0].Dir) // its page is most often written here
		for i := range r.Changes {
			r.Changes[i].Run.Dir = filepath.ToSlash(folders[i+1].Dir)
		}
		return cmp.Or(a.write(output, a.outlined(r)), outcomeError(r.Verdict.Outcome, failOn))
	}
	labelsFlag := bound(func(flags *pflag.FlagSet, _ *bench.Config) {
		flags.StringArrayVarP(&labels, "label", "l", nil,
			"KEY=VALUE: the newest run with it; repeatable, the first is the base")
	})
	return a.command(cmd, &cfg, work,
		under("Runs", labelsFlag, bound(storedFlag)), under("Verdict", &m, bound(alphaFlag), failOnFlag(&failOn)),
		under("Output", outputFlag(&output, "text", "markdown", "html", "json")))
}

// comparedRuns finds what is compared, the base first.
func comparedRuns(dir string, args, labels []string) ([]store.Folder, error) {
	var folders []store.Folder
	for _, l := range labels {
		q := storedFlags{dir: dir}
		if err := q.readLabels(l); err != nil {
			return nil, err
		}
		f, err := q.open([]string{"latest"})
		if err != nil {
			return nil, fmt.Errorf("-l %s: %w", l, err)
		}
		folders = append(folders, f)
	}
	named, err := (&storedFlags{dir: dir}).each(args)
	if err != nil {
		return nil, err
	}
	folders = append(folders, named...)
	if len(folders) < 2 {
		return nil, errors.New("name two runs at least: the base and what is compared with it, such as latest~1 latest")
	}
	for i, f := range folders {
		if slices.ContainsFunc(folders[:i], func(g store.Folder) bool { return store.SameDir(f.Dir, g.Dir) }) {
			return nil, fmt.Errorf("run %s is named twice", f.ID)
		}
	}
	return folders, nil
}
