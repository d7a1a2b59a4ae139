package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// verified is one run in what verify prints.
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
		cfg    bench.Config
		runs   storedFlags
		output form
	)
	cmd := &cobra.Command{
		Use:   "verify [RUN...]",
		Short: "Say whether runs are complete, partial or damaged, and which file is",
		Long: `verify compares every file of the runs with their SHA256SUMS; without an argument, of all runs. Exit code 2
where one is damaged or is no run at all; a partial run was cut short and is as it was written.`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeMoreRuns(&runs.dir),
	}
	work := func(_ context.Context, args []string) error {
		folders, err := runs.all(args)
		if err != nil {
			return err
		}
		return a.verify(folders, output)
	}
	return a.command(cmd, &cfg, work, under("Runs", &runs), under("Output", outputFlag(&output, "text", "json")))
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
			line.Problems = append(line.Problems, problem{File: p.File, Why: p.Why})
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
		"json": jsonOf(struct {
			APIVersion string     `json:"apiVersion"`
			Kind       string     `json:"kind"`
			Runs       []verified `json:"runs"`
		}{report.APIVersion, "RunVerification", lines}),
	})
	if err == nil && damaged {
		return exitCode(report.ExitBug)
	}
	return err
}
