package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/untrusted"
)

func newResults(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "results",
		Short: "Look at stored runs",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newList(a), newShow(a), newCompare(a), newExport(a), newVerify(a), newPin(a), newPrune(a), newImport(a))
	return cmd
}

func newShow(a *app) *cobra.Command {
	var (
		cfg    bench.Config
		render renderFunc
		runs   storedFlags
	)
	cmd := &cobra.Command{
		Use:               "show [RUN]",
		Short:             "Show a run: whether its folder is whole, and its report",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeRuns(&runs.dir),
	}
	work := func(_ context.Context, args []string) error {
		f, err := runs.open(args)
		if err != nil {
			return err
		}
		v, err := f.Verify()
		if err != nil {
			return err
		}
		a.say("run %s in %s: %s", f.ID, untrusted.Safe(f.Dir), untrusted.Safe(v.String()))
		r, err := storedReport(f)
		if err != nil {
			return err
		}
		return a.print(r, render)
	}
	return a.command(cmd, &cfg, work, under("Run", &runs), under("Output", reportFlag(&render)))
}
