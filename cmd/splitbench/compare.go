package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

// comparing are the flags of a comparison of runs.
type comparing struct {
	margin      string
	quantiles   []string
	shareMargin float64
	alpha       float64
}

func (c *comparing) add(flags *pflag.FlagSet) {
	flags.StringVar(&c.margin, "margin", "10%,2ms", "how much slower a quantile, or dearer the gateway, may be: 5ms, 10%, or of both the larger at the base's median")
	flags.StringSliceVar(&c.quantiles, "quantiles", []string{"p50", "p90"}, "quantiles of latencies that are judged; p50, p90 and p99 are shown in any case")
	flags.Float64Var(&c.shareMargin, "share-margin", 5, "how many points a share may move")
}

func (c *comparing) options() (bench.CompareOptions, error) {
	o := bench.CompareOptions{SharePoints: c.shareMargin, Alpha: c.alpha, Tool: toolVersion()}
	for part := range strings.SplitSeq(c.margin, ",") {
		part = strings.TrimSpace(part)
		if p, ok := strings.CutSuffix(part, "%"); ok && o.Relative == 0 {
			v, err := strconv.ParseFloat(p, 64)
			if err != nil || !(v > 0) {
				return o, fmt.Errorf("--margin %q: want 5ms, 10%% or both with a comma", c.margin)
			}
			o.Relative = v / 100
			continue
		}
		d, err := time.ParseDuration(part)
		if err != nil || d <= 0 || o.Absolute != 0 {
			return o, fmt.Errorf("--margin %q: want 5ms, 10%% or both with a comma", c.margin)
		}
		o.Absolute = d
	}
	var err error
	if o.Quantiles, err = parseQuantiles(c.quantiles); err != nil {
		return o, err
	}
	return o, o.Validate()
}

// parseQuantiles reads p50, p90 and so on.
func parseQuantiles(names []string) ([]float64, error) {
	var out []float64
	for _, name := range names {
		v, err := strconv.ParseFloat(strings.TrimPrefix(name, "p"), 64)
		if err != nil || !strings.HasPrefix(name, "p") || !(v > 0 && v < 100) {
			return nil, fmt.Errorf("--quantiles %q: want p50, p90 and so on", name)
		}
		if slices.Contains(out, v/100) {
			return nil, fmt.Errorf("--quantiles %q: is given twice", name)
		}
		out = append(out, v/100)
	}
	return out, nil
}

// baseline are the flags by which a run is compared with an earlier one.
type baseline struct {
	name string
	comparing
}

func (b *baseline) add(flags *pflag.FlagSet) {
	flags.StringVar(&b.name, "baseline", "", "a stored run that the report compares this one with: latest, an id or its beginning; it changes no verdict")
	b.comparing.add(flags)
}

// find opens the run before anything is sent: latest is the latest of before.
func (b *baseline) find(dir string, alpha float64) (*bench.Baseline, error) {
	if b.name == "" {
		return nil, nil
	}
	b.alpha = alpha
	o, err := b.options()
	if err != nil {
		return nil, err
	}
	f, err := store.Open(dir, b.name)
	if err != nil {
		return nil, fmt.Errorf("--baseline: %w", err)
	}
	return &bench.Baseline{Folder: f, Options: o}, nil
}

func compareCommand(a *app) *cobra.Command {
	var (
		c                       comparing
		output, dir, failOnText string
		labels                  []string
	)
	cmd := &cobra.Command{
		Use:   "compare BASE NEW...",
		Short: "Say what changed between runs: shares, latency, what the gateway costs",
		Long: `compare sets each later run against the first. A pass means that no share moved and no latency grew by more than the
margins, shown at --alpha; a fail that one did, whatever the number of runs and quantiles. Windows of time, not requests, are
what the latencies are compared by. "No difference proven" is not "no difference": the likely range says how large one could be.

Each -l stands for the newest run with those labels, in place of a name: the first is the base.`,
		Example: `  splitbench results compare latest~1 latest --margin 5ms
  splitbench results compare -l linkerd=2.17 -l linkerd=2.18 -o markdown`,
		ValidArgsFunction: completeMoreRuns(&dir),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := checkOutput(output, "text", "markdown", "html", "json"); err != nil {
				return err
			}
			failOn, err := report.ParseFailOn(failOnText)
			if err != nil {
				return err
			}
			o, err := c.options()
			if err != nil {
				return err
			}
			folders, err := comparedRuns(dir, args, labels)
			if err != nil {
				return err
			}
			r, err := bench.Compare(folders[0], folders[1:], o)
			if err != nil {
				return err
			}
			if err := a.printComparison(r, output); err != nil {
				return err
			}
			return done(r.Verdict.Outcome, failOn)
		},
	}
	c.add(cmd.Flags())
	cmd.Flags().Float64Var(&c.alpha, "alpha", 0.01, "error rate of the verdict, above 0 and below 0.5")
	cmd.Flags().StringVar(&dir, "results-dir", "results", "where runs are stored")
	cmd.Flags().StringArrayVarP(&labels, "label", "l", nil, "KEY=VALUE: the newest run with it; repeatable, the first is the base")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text, markdown, html or json")
	cmd.Flags().StringVar(&failOnText, "fail-on", string(report.FailOnInconclusive), "mildest outcome with an exit code above 0: inconclusive, fail, invalid or never")
	return cmd
}

// comparedRuns finds what is compared, the base first.
func comparedRuns(dir string, args, labels []string) ([]store.Folder, error) {
	var folders []store.Folder
	for _, l := range labels {
		q := runsFlags{dir: dir, labels: []string{l}}
		f, err := q.open([]string{"latest"})
		if err != nil {
			return nil, fmt.Errorf("-l %s: %w", l, err)
		}
		folders = append(folders, f)
	}
	for _, name := range args {
		f, err := store.Open(dir, name)
		if err != nil {
			return nil, err
		}
		folders = append(folders, f)
	}
	if len(folders) < 2 {
		return nil, errors.New("name two runs at least: the base and what is compared with it, such as latest~1 latest")
	}
	for i, f := range folders {
		if slices.ContainsFunc(folders[:i], func(g store.Folder) bool { return sameFolder(f.Dir, g.Dir) }) {
			return nil, fmt.Errorf("run %s is named twice", f.ID)
		}
	}
	return folders, nil
}

func (a *app) printComparison(c report.RunComparison, output string) error {
	switch output {
	case "json":
		return report.WriteRunComparisonJSON(a.stdout, c)
	case "markdown":
		return report.WriteRunComparisonMarkdown(a.stdout, c)
	case "html":
		return report.WriteRunComparisonHTML(a.stdout, c)
	}
	if a.quiet {
		return nil
	}
	return report.WriteRunComparisonText(a.stdout, c, report.TextOptions{Color: a.colored(a.stdout), ASCII: !a.unicode(a.stdout)})
}
