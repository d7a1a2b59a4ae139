package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

func analyzeCommand(a *app) *cobra.Command {
	var (
		j                                   judging
		weights, counts, output, resultsDir string
	)
	cmd := &cobra.Command{
		Use:   "analyze [RUN]",
		Short: "Judge a stored run again, or counts from anywhere",
		Example: `  splitbench analyze latest --tolerance 2pt
  splitbench analyze --weights podinfo=50,podinfo-east=50 --counts podinfo=5212,podinfo-east=4788 -o json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeRuns(&resultsDir),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(output, outputs...); err != nil {
				return err
			}
			o, failOn, err := j.options()
			if err != nil {
				return err
			}
			var r report.Report
			switch {
			case len(args) == 1 && (weights != "" || counts != ""):
				return fmt.Errorf("--weights, --counts: a run brings its own; leave them out, or leave out %q", args[0])
			case len(args) == 1:
				r, err = judgeRun(resultsDir, args[0], cmd.Flags(), o)
			default:
				r, err = judgeCounts(weights, counts, o)
			}
			if err != nil {
				return err
			}
			if err := a.print(r, output); err != nil {
				return err
			}
			return done(r.Verdict.Outcome, failOn)
		},
	}
	j.add(cmd.Flags())
	cmd.Flags().StringVar(&weights, "weights", "", "declared weights: podinfo=50,podinfo-east=50")
	cmd.Flags().StringVar(&counts, "counts", "", "answers of each backend: podinfo=5212,podinfo-east=4788; unattributed=N for those of none")
	cmd.Flags().StringVar(&resultsDir, "results-dir", "results", "where runs are stored")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text, json or markdown")
	return cmd
}

// judgeRun judges a stored run by its own options, but for those that were given now.
func judgeRun(dir, name string, flags *pflag.FlagSet, o analyze.Options) (report.Report, error) {
	f, err := store.Open(dir, name)
	if err != nil {
		return report.Report{}, err
	}
	return bench.Analyze(f, func(own *analyze.Options) {
		if flags.Changed("gate") {
			own.Gate = o.Gate
		}
		if flags.Changed("tolerance") {
			own.Tolerance = o.Tolerance
		}
		if flags.Changed("alpha") {
			own.Alpha = o.Alpha
		}
		if flags.Changed("power") {
			own.Power = o.Power
		}
		if flags.Changed("seed") {
			own.Seed = o.Seed
		}
	})
}

func judgeCounts(weights, counts string, o analyze.Options) (report.Report, error) {
	if weights == "" || counts == "" {
		return report.Report{}, fmt.Errorf("--weights, --counts: give both, or name a run")
	}
	w, err := analyze.ParseWeights(weights)
	if err != nil {
		return report.Report{}, fmt.Errorf("--weights: %w", err)
	}
	c, err := analyze.ParseCounts(counts, w)
	if err != nil {
		return report.Report{}, fmt.Errorf("--counts: %w", err)
	}
	d, err := analyze.Judge(w, c, o)
	if err != nil {
		return report.Report{}, err
	}
	return report.Build(report.Input{Weights: w, Counts: c, Options: o, Decision: &d}), nil
}
