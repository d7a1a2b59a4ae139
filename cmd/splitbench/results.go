package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
)

func newResults(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "results",
		Short: "Look at stored runs",
	}
	cmd.AddCommand(newList(a), newShow(a), newCompare(a), newExport(a), newVerify(a), newPin(a), newPrune(a), newImport(a))
	return cmd
}

func newShow(a *app) *cobra.Command {
	var (
		render renderFunc
		runs   storedFlags
	)
	cmd := &cobra.Command{
		Use:               "show [RUN]",
		Short:             "Show a run: whether its folder is whole, and its report",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeRuns(),
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
	return a.command(cmd, nil, work, under("Run", &runs), under("Output", reportFlag(&render)))
}

func newPin(a *app) *cobra.Command {
	var (
		off  bool
		runs storedFlags
	)
	cmd := &cobra.Command{
		Use:               "pin [RUN...]",
		Short:             "Keep runs from prune",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: quietly(storedRuns),
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
	return a.command(cmd, nil, work, under("Runs", &runs, offFlag))
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

func newMark(a *app) *cobra.Command {
	var cfg bench.Config
	cmd := &cobra.Command{
		Use:               "mark RUN TEXT",
		Short:             "Write a mark into the timeline of a drill or run that is under way",
		Example:           `  splitbench mark latest "scaled podinfo to 0"`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeRuns(),
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

// verified is one run in the output of verify.
type verified struct {
	ID       string    `json:"id"`
	State    string    `json:"state"` // complete, partial or damaged
	Text     string    `json:"text"`
	Problems []problem `json:"problems"`
	Extra    []string  `json:"extraFiles"`
}

type problem struct {
	File string `json:"file"`
	Why  string `json:"why"`
}

func newVerify(a *app) *cobra.Command {
	var (
		runs   storedFlags
		output form
	)
	cmd := &cobra.Command{
		Use:   "verify [RUN...]",
		Short: "Check whether runs are complete, partial or damaged, and which file is",
		Long: `verify compares every file of the runs with their SHA256SUMS; without an argument, of all runs. Exit code 4
where one is damaged, 2 where one is no run at all; a partial run was cut short and is as it was written.`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: quietly(storedRuns),
	}
	work := func(_ context.Context, args []string) error {
		folders, err := runs.all(args)
		if err != nil {
			return err
		}
		return a.verify(folders, output)
	}
	return a.command(cmd, nil, work, under("Runs", &runs), under("Output", outputFlag(&output, "text", "json")))
}

func (a *app) verify(folders []store.Folder, output form) error {
	damaged := false
	lines := make([]verified, 0, len(folders))
	for _, f := range folders {
		v, err := f.Verify()
		if err != nil {
			return err
		}
		line := verified{
			ID: f.ID, State: string(v.State), Text: untrusted.Printable(v.String()), Problems: []problem{}, Extra: v.Extra,
		}
		for _, p := range v.Problems {
			line.Problems = append(line.Problems, problem(p))
		}
		damaged = damaged || v.State == store.Damaged
		lines = append(lines, line)
	}
	err := a.write(output, document{
		"text": func(w io.Writer) error {
			for _, line := range lines {
				fmt.Fprintf(w, "%s  %s\n", untrusted.Safe(line.ID), line.Text)
			}
			return nil
		},
		"json": jsonOf(runsDocument[verified]{report.APIVersion, "RunVerification", lines}),
	})
	if err == nil && damaged {
		return exitCode(report.ExitInvalid)
	}
	return err
}
