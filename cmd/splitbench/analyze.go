package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/export"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/report"
)

// analyzeCommand holds the flags of `analyze`.
type analyzeCommand struct {
	*app
	cfg     bench.Config
	weights analyze.Weights
	counts  string
	result  resultFlags
}

func newAnalyze(a *app) *cobra.Command {
	n := &analyzeCommand{app: a}
	cmd := &cobra.Command{
		Use:   "analyze [RUN... | FILE]",
		Short: "Judge stored runs again, another load test's results, or counts from anywhere",
		Long: `analyze judges a stored run again; several runs of one split together; a report by its own counts, as the
page or the JSON that a run wrote; a file of results that vegeta wrote, as gob, CSV or JSON; or counts from anywhere.
What names a regular file is a file, - is stdin, anything else a run.`,
		Example: `  splitbench analyze latest --tolerance 2pt
  splitbench analyze latest latest~1
  splitbench analyze report.html
  splitbench analyze results.bin --weights podinfo=50,podinfo-east=50 \
    --classify 'podinfo=json:/message=greetings from west' --classify 'podinfo-east=json:/message=greetings from east'
  splitbench analyze --weights podinfo=50,podinfo-east=50 --counts podinfo=5212,podinfo-east=4788 -o json`,
		ValidArgsFunction: runsAndFiles,
	}
	work := func(ctx context.Context, args []string) error {
		r, err := n.judge(args, cmd.Flags())
		if err != nil {
			return err
		}
		return a.conclude(ctx, r, n.result)
	}
	return a.command(cmd, &n.cfg, work,
		under("Counts and files", bound(n.countFlags), bound(classifyFlag)),
		under("Verdict", bound(toleranceFlags), bound(alphaFlag), bound(powerFlag), failOnFlag(&n.result.failOn),
			bound(seedFlag)),
		under("Output", a.reportFlag(&n.result.render), bound(storedFlag)),
	)
}

func (n *analyzeCommand) countFlags(flags *pflag.FlagSet, _ *bench.Config) {
	read(flags, "weights", "", "declared weights: podinfo=50,podinfo-east=50", into(&n.weights, analyze.ParseWeights))
	flags.StringVar(&n.counts, "counts", "",
		"answers of each backend: podinfo=5212,podinfo-east=4788; unattributed=N for those of none")
}

// runsAndFiles offers runs for every argument, and files.
func runsAndFiles(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	names, _ := quietly(storedRuns)(cmd, args, prefix)
	return names, cobra.ShellCompDirectiveDefault
}

// judge tells counts, files and runs apart.
func (n *analyzeCommand) judge(args []string, flags *pflag.FlagSet) (report.Report, error) {
	file := slices.IndexFunc(args, isFile)
	switch {
	case file >= 0 && len(args) > 1:
		return report.Report{}, fmt.Errorf("analyze %s: a file of results is judged alone: judge each by itself, or "+
			"join files of one attack and judge that (vegeta encode FILE... > all.json)",
			args[file])
	case file >= 0 && n.counts != "":
		return report.Report{}, fmt.Errorf("--counts: a file brings its own; leave them out, or leave out %q", args[file])
	case file >= 0:
		return n.judgeFile(args[file], flags)
	case len(n.cfg.Rules) > 0:
		return report.Report{}, errors.New("--classify: only the answers in a file of results can be told apart now; name " +
			"an existing file")
	case len(args) > 0 && (n.weights != nil || n.counts != ""):
		return report.Report{}, fmt.Errorf("--weights, --counts: a run brings its own; leave them out, or leave out %q",
			args[0])
	case len(args) > 0:
		return n.judgeRuns(args, flags)
	}
	return n.judgeCounts()
}

func isFile(name string) bool {
	if name == "-" {
		return true
	}
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// judgeRuns judges stored runs by their own options, but for those that were given now.
func (n *analyzeCommand) judgeRuns(names []string, flags *pflag.FlagSet) (report.Report, error) {
	folders, err := (&storedFlags{dir: n.cfg.ResultsDir}).each(names)
	if err != nil {
		return report.Report{}, err
	}
	r, err := judge.AnalyzeRuns(folders, given(flags, n.cfg.Options))
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
func (n *analyzeCommand) judgeFile(name string, flags *pflag.FlagSet) (report.Report, error) {
	f, err := n.open(name)
	if err != nil {
		return report.Report{}, fmt.Errorf("analyze: %w", err)
	}
	defer f.Close()
	whole := bufio.NewReader(f)
	r, ok, err := readReport(name, whole)
	switch {
	case ok && (n.weights != nil || n.counts != "" || len(n.cfg.Rules) > 0):
		return r, fmt.Errorf("--weights, --counts, --classify: a report brings its own; leave them out, or leave out %q",
			name)
	case err != nil:
		return r, fmt.Errorf("analyze %s: %w", name, err)
	case ok:
		return judge.AnalyzeReport(r, given(flags, n.cfg.Options))
	}
	return n.judgeAnswers(name, whole)
}

func (n *analyzeCommand) judgeAnswers(name string, in io.Reader) (report.Report, error) {
	if n.weights == nil {
		return report.Report{}, errors.New("--weights: a file of results does not say what was declared; give them, for " +
			"example --weights a=50,b=50")
	}
	r, err := judge.AnalyzeAnswers(export.ReadVegeta(in), n.weights, n.cfg.Rules, n.cfg.Options)
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

func (n *analyzeCommand) judgeCounts() (report.Report, error) {
	if n.weights == nil || n.counts == "" {
		return report.Report{}, fmt.Errorf("--weights, --counts: give both, or name a run")
	}
	c, err := analyze.ParseCounts(n.counts, n.weights)
	if err != nil {
		return report.Report{}, fmt.Errorf("--counts: %w", err)
	}
	return judge.AnalyzeCounts(n.weights, c, n.cfg.Options)
}
