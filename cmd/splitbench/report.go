package main

import (
	"bytes"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

// stored reads the report that a run wrote; a run that was killed before wrote none, and is judged from what it kept.
func stored(dir, name string) (report.Report, store.Folder, error) {
	f, err := store.Open(dir, name)
	if err != nil {
		return report.Report{}, f, err
	}
	r, err := storedReport(f)
	return r, f, err
}

func storedReport(f store.Folder) (report.Report, error) {
	b, err := f.ReadFile(bench.VerdictFile)
	if err != nil {
		r, judgeErr := bench.Analyze(f, nil)
		if judgeErr != nil {
			return r, fmt.Errorf("%w (and it cannot be judged again: %w)", err, judgeErr)
		}
		return r, nil
	}
	r, err := report.ReadJSON(bytes.NewReader(b))
	if err != nil {
		return r, fmt.Errorf("report of run %s: %w", f.ID, err)
	}
	if r.Run != nil {
		r.Run.Dir = f.Dir
	}
	return r, nil
}

func reportCommand(a *app) *cobra.Command {
	var (
		output, failOnText string
		runs               runsFlags
	)
	cmd := &cobra.Command{
		Use:               "report [RUN]",
		Short:             "Show the report of a stored run",
		Example:           "  splitbench report latest -o markdown",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeRuns(&runs.dir),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := checkOutput(output, outputs...); err != nil {
				return err
			}
			failOn, err := report.ParseFailOn(failOnText)
			if err != nil {
				return err
			}
			f, err := runs.open(args)
			if err != nil {
				return err
			}
			r, err := storedReport(f)
			if err != nil {
				return err
			}
			if err := a.print(r, output); err != nil {
				return err
			}
			return done(r.Verdict.Outcome, failOn)
		},
	}
	runs.add(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "text", outputHelp)
	cmd.Flags().StringVar(&failOnText, "fail-on", string(report.FailOnNever), "mildest outcome with an exit code above 0: inconclusive, fail, invalid or never")
	return cmd
}
