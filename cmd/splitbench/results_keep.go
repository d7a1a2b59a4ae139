package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/store"
)

func newPin(a *app) *cobra.Command {
	var (
		cfg  bench.Config
		off  bool
		runs storedFlags
	)
	cmd := &cobra.Command{
		Use:               "pin [RUN...]",
		Short:             "Keep runs from prune",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeMoreRuns(&runs.dir),
	}
	work := func(_ context.Context, args []string) error {
		if len(args) == 0 && runs.labels == nil {
			return errors.New("name the runs to pin: latest, an id or its beginning, or -l KEY=VALUE")
		}
		folders, err := runs.all(args)
		if err != nil {
			return err
		}
		word := "pinned"
		if off {
			word = "not pinned"
		}
		for _, f := range folders {
			if err := runs.inHome(f); err != nil {
				return err
			}
			if err := f.Pin(!off); err != nil {
				return err
			}
			a.say("run %s is %s", f.ID, word)
		}
		return nil
	}
	offFlag := bound(func(flags *pflag.FlagSet, _ *bench.Config) {
		flags.BoolVar(&off, "off", false, "let prune delete them again")
	})
	return a.command(cmd, &cfg, work, under("Runs", &runs, offFlag))
}

func newImport(a *app) *cobra.Command {
	var cfg bench.Config
	cmd := &cobra.Command{
		Use:   "import FOLDER...",
		Short: "Copy run folders from elsewhere, after verifying them",
		Args:  cobra.MinimumNArgs(1),
	}
	work := func(_ context.Context, args []string) error {
		for _, path := range args {
			f, err := store.Import(cfg.ResultsDir, path)
			if err != nil {
				return err
			}
			fmt.Fprintln(a.stdout, f.ID)
		}
		return nil
	}
	return a.command(cmd, &cfg, work, under("Flags", bound(resultsFlag)))
}
