package main

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/export"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

// analysis is what analyze is told.
type analysis struct {
	judging
	weights, counts, resultsDir string
	classify                    []string
}

func analyzeCommand(a *app) *cobra.Command {
	var (
		n      analysis
		output string
	)
	cmd := &cobra.Command{
		Use:   "analyze [RUN... | FILE]",
		Short: "Judge stored runs again, another load test's results, or counts from anywhere",
		Long: `analyze judges a stored run again; several runs of one split together; a report by its own counts, as the page or the
JSON that a run wrote; a file of results that vegeta wrote, as gob, CSV or JSON; or counts from anywhere. What names a
regular file is a file, anything else a run.`,
		Example: `  splitbench analyze latest --tolerance 2pt
  splitbench analyze latest latest~1
  splitbench analyze report.html
  splitbench analyze results.bin --weights podinfo=50,podinfo-east=50 \
    --classify 'podinfo=json:/message=greetings from west' --classify 'podinfo-east=json:/message=greetings from east'
  splitbench analyze --weights podinfo=50,podinfo-east=50 --counts podinfo=5212,podinfo-east=4788 -o json`,
		ValidArgsFunction: completeAnalysis(&n.resultsDir),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkReportOutput(output); err != nil {
				return err
			}
			o, failOn, err := n.options()
			if err != nil {
				return err
			}
			r, err := n.judge(args, cmd.Flags(), o)
			if err != nil {
				return err
			}
			if err := a.print(r, output); err != nil {
				return err
			}
			return done(r.Verdict.Outcome, failOn)
		},
	}
	n.add(cmd.Flags())
	cmd.Flags().StringVar(&n.weights, "weights", "", "declared weights: podinfo=50,podinfo-east=50")
	cmd.Flags().StringVar(&n.counts, "counts", "", "answers of each backend: podinfo=5212,podinfo-east=4788; unattributed=N for those of none")
	cmd.Flags().StringArrayVar(&n.classify, "classify", nil, "how answers in a file are told apart: BACKEND=json:/FIELD=VALUE, BACKEND=header:NAME=VALUE or BACKEND=regexp:EXPRESSION; repeatable")
	cmd.Flags().StringVar(&n.resultsDir, "results-dir", "results", "where runs are stored")
	cmd.Flags().StringVarP(&output, "output", "o", "text", outputHelp)
	return cmd
}

// completeAnalysis offers runs for every argument, and files.
func completeAnalysis(dir *string) cobra.CompletionFunc {
	runs := completeRuns(dir)
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		names, _ := runs(cmd, nil, prefix)
		return slices.DeleteFunc(names, func(n string) bool { return slices.Contains(args, n) }), cobra.ShellCompDirectiveDefault
	}
}

// judge tells counts, files and runs apart.
func (n *analysis) judge(args []string, flags *pflag.FlagSet, o analyze.Options) (report.Report, error) {
	file := slices.IndexFunc(args, isFile)
	switch {
	case file >= 0 && len(args) > 1:
		return report.Report{}, fmt.Errorf("analyze %s: a file of results is judged alone: leave out the other arguments", args[file])
	case file >= 0 && n.counts != "":
		return report.Report{}, fmt.Errorf("--counts: a file brings its own; leave them out, or leave out %q", args[file])
	case file >= 0:
		return n.judgeFile(args[file], flags, o)
	case len(n.classify) > 0:
		return report.Report{}, errors.New("--classify: only the answers in a file of results can be told apart now; name an existing file")
	case len(args) > 0 && (n.weights != "" || n.counts != ""):
		return report.Report{}, fmt.Errorf("--weights, --counts: a run brings its own; leave them out, or leave out %q", args[0])
	case len(args) > 0:
		return n.judgeRuns(args, flags, o)
	}
	return judgeCounts(n.weights, n.counts, o)
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// judgeRuns judges stored runs by their own options, but for those that were given now.
func (n *analysis) judgeRuns(names []string, flags *pflag.FlagSet, o analyze.Options) (report.Report, error) {
	var folders []store.Folder
	for _, name := range names {
		f, err := store.Open(n.resultsDir, name)
		if err != nil {
			return report.Report{}, err
		}
		folders = append(folders, f)
	}
	r, err := bench.AnalyzeRuns(folders, given(flags, o))
	if len(names) > 1 && r.Run != nil {
		r.Run.Command = commandLine(os.Args[1:]) // no run has this report
	}
	return r, err
}

// given changes a run's own options where a flag says so now.
func given(flags *pflag.FlagSet, o analyze.Options) func(*analyze.Options) {
	return func(own *analyze.Options) {
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
	}
}

// judgeFile judges a report, page or JSON, or the results of another load test.
func (n *analysis) judgeFile(name string, flags *pflag.FlagSet, o analyze.Options) (report.Report, error) {
	r, ok, err := reportFile(name)
	switch {
	case ok && (n.weights != "" || n.counts != "" || len(n.classify) > 0):
		return r, fmt.Errorf("--weights, --counts, --classify: a report brings its own; leave them out, or leave out %q", name)
	case err != nil:
		return r, fmt.Errorf("analyze %s: %w", name, err)
	case ok:
		return bench.AnalyzeReport(r, given(flags, o))
	}
	return n.judgeAnswers(name, o)
}

func (n *analysis) judgeAnswers(name string, o analyze.Options) (report.Report, error) {
	if n.weights == "" {
		return report.Report{}, errors.New("--weights: a file of results does not say what was declared; give them, for example --weights a=50,b=50")
	}
	w, err := analyze.ParseWeights(n.weights)
	if err != nil {
		return report.Report{}, fmt.Errorf("--weights: %w", err)
	}
	var rules []bench.ClassifyRule
	for _, c := range n.classify {
		rule, err := bench.ParseClassify(c)
		if err != nil {
			return report.Report{}, err
		}
		rules = append(rules, rule)
	}
	f, err := os.Open(name)
	if err != nil {
		return report.Report{}, fmt.Errorf("analyze: %w", err)
	}
	defer f.Close()
	r, err := bench.AnalyzeAnswers(export.ReadVegeta(f), w, rules, o)
	switch {
	case errors.Is(err, export.ErrDamaged):
		return r, fmt.Errorf("analyze %s: %w; a part is not judged", name, err)
	case errors.Is(err, export.ErrForeign):
		return r, fmt.Errorf("analyze %s: %w", name, err)
	case err != nil:
		return r, err // names a flag
	}
	r.Run.Command = commandLine(os.Args[1:])
	return r, nil
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
