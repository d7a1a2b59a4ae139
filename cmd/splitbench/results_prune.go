package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

// pruneCommand holds the flags of `results prune`.
type pruneCommand struct {
	*app
	runs               storedFlags
	keep               int
	olderThan          string
	age                time.Duration
	keepFailed, dryRun bool
	flags              *pflag.FlagSet
}

func newPrune(a *app) *cobra.Command {
	c := &pruneCommand{app: a}
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Delete old runs",
		Long: `prune deletes the runs that are not among the newest --keep and are older than --older-than, of those with
the labels if some are given. Pinned runs and runs that are being written always stay. It prints the id of each run
that goes.`,
		Example: `  splitbench results prune --keep 50 --older-than 30d --keep-failed --dry-run`,
		Args:    cobra.NoArgs,
	}
	return a.command(cmd, nil, c.prune, under("Runs", c, &c.runs))
}

func (c *pruneCommand) register(flags *pflag.FlagSet, _ *bench.Config) {
	flags.IntVar(&c.keep, "keep", 0, "how many of the newest stay")
	flags.StringVar(&c.olderThan, "older-than", "", "only runs that began longer ago: 30d, 12h")
	flags.BoolVar(&c.keepFailed, "keep-failed", false, "runs with outcome fail stay")
	flags.BoolVar(&c.dryRun, "dry-run", false, "print what would go, delete nothing")
	c.flags = flags
}

func (c *pruneCommand) complete(*bench.Config) (err error) {
	if !c.flags.Changed("keep") && !c.flags.Changed("older-than") {
		return errors.New("--keep, --older-than: give one or both, or everything would go")
	}
	if c.keep < 0 {
		return fmt.Errorf("--keep %d: want 0 or more", c.keep)
	}
	c.age, err = parseAge(c.olderThan)
	return err
}

func (c *pruneCommand) prune(ctx context.Context, _ []string) error {
	folders, err := c.runs.all(nil)
	if err != nil {
		return err
	}
	for _, f := range folders[min(c.keep, len(folders)):] {
		s, err := record.Summary(f)
		switch {
		case f.Pinned() || f.Status == store.Running:
			continue
		case err != nil:
			c.say("run %s stays: %v", f.ID, err)
			continue
		case c.keepFailed && s.Outcome == report.Fail, time.Since(s.Started) < c.age:
			continue
		}
		if !c.dryRun && c.bucket != nil {
			if err := c.bucket.Remove(ctx, f.ID); err != nil {
				return err
			}
		}
		if !c.dryRun {
			if err := store.Remove(c.runs.dir, f); errors.Is(err, store.ErrNotFound) {
				continue // another prune was faster
			} else if err != nil {
				return err
			}
		}
		fmt.Fprintln(c.stdout, f.ID)
	}
	if c.bucket != nil && !c.dryRun {
		return c.bucket.Sweep(ctx)
	}
	return nil
}

// parseAge reads a duration that may be in days.
func parseAge(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n float64
		n, err = strconv.ParseFloat(days, 64)
		if !(n <= 36500) {
			err = strconv.ErrRange
		}
		d = time.Duration(n * float64(24*time.Hour))
	}
	if err != nil || d < 0 {
		return 0, fmt.Errorf("--older-than %q: want days or a duration, such as 30d or 12h", s)
	}
	return d, nil
}
