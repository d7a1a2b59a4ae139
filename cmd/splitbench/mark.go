package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/store"
)

func newMark(a *app) *cobra.Command {
	var cfg bench.Config
	cmd := &cobra.Command{
		Use:               "mark RUN TEXT",
		Short:             "Write a mark into the timeline of a drill or run that is under way",
		Example:           `  splitbench mark latest "scaled podinfo to 0"`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeRuns(&cfg.ResultsDir),
	}
	work := func(_ context.Context, args []string) error {
		f, err := store.OpenRunning(cfg.ResultsDir, args[0])
		if err != nil {
			return err
		}
		if err := bench.MarkRun(f, args[1]); err != nil {
			return err
		}
		a.say("marked run %s", f.ID)
		return nil
	}
	return a.command(cmd, &cfg, work, under("Flags", bound(resultsFlag)))
}
