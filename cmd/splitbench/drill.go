package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

func drillCommand(a *app) *cobra.Command {
	var (
		c         cluster
		l         loading
		j         judging
		output    string
		maxLost   int64
		maxOutage time.Duration
	)
	cmd := &cobra.Command{
		Use:   "drill [SPLIT]",
		Short: "Send steady traffic while you break something, and say what happened",
		Long: `drill sends requests at a steady rate and keeps a timeline: who answered, what was lost, the weights and endpoints as
the API told them, and what you mark with splitbench mark. It breaks nothing itself. It finds the backends that fell silent, how
many requests were lost, when the others carried all and whether the weights or the proxy did it, and when the split was back.

With --max-lost or --max-outage the outcome is pass or fail. A drill in which nothing failed is inconclusive.`,
		Example: `  splitbench drill ts/podinfo -n test --from deploy/frontend -c nginx --duration 10m --max-outage 5s
  splitbench mark latest "scaled podinfo to 0"`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: c.completeSplits,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkReportOutput(output); err != nil {
				return err
			}
			base, failOn, err := l.config(a, cmd, &j)
			if err != nil {
				return err
			}
			cfg := bench.DrillConfig{Config: base}
			if cfg.Load.Requests == 0 {
				return fmt.Errorf("--duration: say how long to send, such as 10m")
			}
			if c.from == "" && c.selector == "" {
				return fmt.Errorf("--from: name the pod that requests come from, such as deploy/frontend, or fit one with -l")
			}
			if !cmd.Flags().Changed("connections") {
				cfg.Load.Connections = 0 // as many as requests that wait for their timeout need
			}
			if cmd.Flags().Changed("max-lost") {
				if maxLost < 0 {
					return fmt.Errorf("--max-lost %d: want 0 or more", maxLost)
				}
				cfg.MaxLost = &maxLost
			}
			if cmd.Flags().Changed("max-outage") {
				if maxOutage < 0 {
					return fmt.Errorf("--max-outage %s: want 0 or more", maxOutage)
				}
				cfg.MaxOutage = &maxOutage
			}
			if err := c.prepare(&cfg.Config, args); err != nil {
				return err
			}
			if cfg.Query.Port, err = portOf(l.url, c.through); err != nil {
				return err
			}
			cfg.Command = commandLine(os.Args[1:])
			return a.drill(cmd.Context(), cfg, output, failOn)
		},
	}
	c.add(cmd)
	l.add(cmd.Flags(), "auto", "50")
	j.add(cmd.Flags())
	flags := cmd.Flags()
	flags.Int64Var(&maxLost, "max-lost", 0, "requests that may be lost; default: any number")
	flags.DurationVar(&maxOutage, "max-outage", 0, "how long requests may be lost, all together; default: any time")
	flags.StringVarP(&output, "output", "o", "text", outputHelp)
	noUse(flags, "; use --max-lost or --max-outage", "gate", "tolerance", "power", "alpha", "witness")
	hideRare(flags)
	return cmd
}

func (a *app) drill(ctx context.Context, cfg bench.DrillConfig, output string, failOn report.FailOn) error {
	p := a.newProgress()
	cfg.Progress = p.show
	r, err := bench.Drill(ctx, cfg)
	p.end()
	if err != nil {
		return err
	}
	if err := a.print(r, output); err != nil {
		return err
	}
	return ended(ctx, r, failOn)
}

func markCommand(a *app) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:               "mark RUN TEXT",
		Short:             "Write a mark into the timeline of a drill or run that is under way",
		Example:           `  splitbench mark latest "scaled podinfo to 0"`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeRuns(&dir),
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := store.OpenRunning(dir, args[0])
			if err != nil {
				return err
			}
			if err := bench.MarkRun(f, args[1]); err != nil {
				return err
			}
			fmt.Fprintf(a.talk(), "splitbench: marked run %s\n", f.ID)
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "results-dir", "results", "where the runs are")
	return cmd
}
