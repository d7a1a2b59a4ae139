package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

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

func verifyCommand(a *app) *cobra.Command {
	var (
		output string
		runs   runsFlags
	)
	cmd := &cobra.Command{
		Use:   "verify [RUN...]",
		Short: "Say whether runs are complete, partial or damaged, and which file is",
		Long: `verify compares every file of the runs with their SHA256SUMS; without an argument, of all runs. Exit code 2 where one is
damaged or is no run at all; a partial run was cut short and is as it was written.`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeMoreRuns(&runs.dir),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := checkOutput(output, "text", "json"); err != nil {
				return err
			}
			folders, err := runs.all(args)
			if err != nil {
				return err
			}
			return a.verify(folders, output)
		},
	}
	runs.add(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func (a *app) verify(folders []store.Folder, output string) error {
	damaged := false
	lines := make([]verified, 0, len(folders))
	for _, f := range folders {
		v, err := f.Verify()
		if err != nil {
			return err
		}
		line := verified{ID: f.ID, State: string(v.State), Text: untrusted.Printable(v.String()), Problems: []problem{}, Extra: v.Extra}
		for _, p := range v.Problems {
			line.Problems = append(line.Problems, problem{File: p.File, Why: p.Why})
		}
		damaged = damaged || v.State == store.Damaged
		lines = append(lines, line)
		if output == "text" && !a.quiet {
			fmt.Fprintf(a.stdout, "%s  %s\n", untrusted.Safe(f.ID), line.Text)
		}
	}
	if output == "json" {
		if err := report.WriteDocument(a.stdout, struct {
			APIVersion string     `json:"apiVersion"`
			Kind       string     `json:"kind"`
			Runs       []verified `json:"runs"`
		}{report.APIVersion, "RunVerification", lines}); err != nil {
			return err
		}
	}
	if damaged {
		return exitCode(report.ExitBug)
	}
	return nil
}

func pinCommand(a *app) *cobra.Command {
	var (
		off  bool
		runs runsFlags
	)
	cmd := &cobra.Command{
		Use:               "pin [RUN...]",
		Short:             "Keep runs from prune",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeMoreRuns(&runs.dir),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 && len(runs.labels) == 0 {
				return errors.New("name the runs to pin: latest, an id or its beginning, or -l KEY=VALUE")
			}
			folders, err := runs.all(args)
			if err != nil {
				return err
			}
			for _, f := range folders {
				if err := runs.inHome(f); err != nil {
					return err
				}
				if err := f.Pin(!off); err != nil {
					return err
				}
				word := "pinned"
				if off {
					word = "not pinned"
				}
				fmt.Fprintf(a.talk(), "splitbench: run %s is %s\n", f.ID, word)
			}
			return nil
		},
	}
	runs.add(cmd)
	cmd.Flags().BoolVar(&off, "off", false, "let them go again")
	return cmd
}

func importCommand(a *app) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "import FOLDER...",
		Short: "Copy run folders from elsewhere, after verifying them",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			for _, path := range args {
				f, err := store.Import(dir, path)
				if err != nil {
					return err
				}
				fmt.Fprintln(a.stdout, f.ID)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "results-dir", "results", "where runs are stored")
	return cmd
}

func sameFolder(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// pruning says which runs go.
type pruning struct {
	keep                  int
	olderThan             string
	keepFailed, dryRun    bool
	runs                  runsFlags
	keepGiven, olderGiven bool
}

func pruneCommand(a *app) *cobra.Command {
	var p pruning
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Delete old runs",
		Long: `prune deletes the runs that are not among the newest --keep and are older than --older-than, of those with the labels if
some are given. Pinned runs and runs that are being written always stay. It prints the id of each run that goes.`,
		Example: `  splitbench results prune --keep 50 --older-than 30d --keep-failed --dry-run`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p.keepGiven, p.olderGiven = cmd.Flags().Changed("keep"), cmd.Flags().Changed("older-than")
			return a.prune(p, time.Now())
		},
	}
	p.runs.add(cmd)
	cmd.Flags().IntVar(&p.keep, "keep", 0, "how many of the newest stay")
	cmd.Flags().StringVar(&p.olderThan, "older-than", "", "only runs that began longer ago: 30d, 12h")
	cmd.Flags().BoolVar(&p.keepFailed, "keep-failed", false, "runs with outcome fail stay")
	cmd.Flags().BoolVar(&p.dryRun, "dry-run", false, "print what would go, delete nothing")
	return cmd
}

func (a *app) prune(p pruning, now time.Time) error {
	if !p.keepGiven && !p.olderGiven {
		return errors.New("--keep, --older-than: give one or both, or everything would go")
	}
	if p.keep < 0 {
		return fmt.Errorf("--keep %d: want 0 or more", p.keep)
	}
	age, err := parseAge(p.olderThan)
	if err != nil {
		return err
	}
	folders, err := p.runs.all(nil)
	if err != nil {
		return err
	}
	for _, f := range folders[min(p.keep, len(folders)):] {
		s, err := bench.Summary(f)
		switch {
		case f.Pinned() || f.Status == store.Running:
			continue
		case err != nil:
			fmt.Fprintf(a.talk(), "splitbench: run %s stays: %s\n", f.ID, untrusted.Printable(err.Error()))
			continue
		case p.keepFailed && s.Outcome == report.Fail, now.Sub(s.Started) < age:
			continue
		}
		if !p.dryRun {
			if err := store.Remove(p.runs.dir, f); err != nil {
				return err
			}
		}
		fmt.Fprintln(a.stdout, f.ID)
	}
	return nil
}

// parseAge reads a duration that may be in days.
func parseAge(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil || n < 0 || n > 36500 {
			return 0, fmt.Errorf("--older-than %q: want days or a duration, such as 30d or 12h", s)
		}
		return time.Duration(n * float64(24*time.Hour)), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("--older-than %q: want days or a duration, such as 30d or 12h", s)
	}
	return d, nil
}

// completeMoreRuns offers runs for every argument.
func completeMoreRuns(dir *string) cobra.CompletionFunc {
	runs := completeRuns(dir)
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		names, directive := runs(cmd, nil, prefix)
		return slices.DeleteFunc(names, func(n string) bool { return slices.Contains(args, n) }), directive
	}
}
