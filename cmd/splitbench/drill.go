package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/report"
)

// drillCommand holds the flags of `drill`.
type drillCommand struct {
	cfg bench.DrillConfig
	sender

	maxLost   int64
	maxOutage time.Duration
	flags     *pflag.FlagSet // of all sections
}

func newDrill(a *app) *cobra.Command {
	c := &drillCommand{}
	cmd := &cobra.Command{
		Use:   "drill [SPLIT]",
		Short: "Send steady traffic while you break something, and report what happened",
		Long: `drill sends requests at a steady rate and keeps a timeline: who answered, what was lost, the weights and
endpoints as the API reported them, and what you mark with splitbench mark. It breaks nothing itself. It finds which
backends fell silent, how many requests were lost, when the others carried everything, whether the weights or the
proxy did that, and when the split was back.

With --max-lost or --max-outage the outcome is pass or fail. A drill in which nothing failed is inconclusive.`,
		Example: `  splitbench drill ts/podinfo -n test --from deploy/frontend -c nginx --duration 10m --max-outage 5s
  splitbench mark latest "scaled podinfo to 0"`,
	}
	c.flags = cmd.Flags()
	do := func(ctx context.Context) (report.Report, error) { return bench.Drill(ctx, c.cfg) }
	return c.command(a, cmd, &c.cfg.Config, do,
		under("Request", urlFlag{}, bound(throughFlag), bound(lawFlag), bound(classifyFlag), &requestFlags{}),
		under("Load", &amountFlags{}, bound(connectionFlags), warmUpFlag(20), ceilingFlags{}),
		under("Verdict", c, failOnFlag(&c.result.failOn), bound(seedFlag)),
		under("Output", a.reportFlag(&c.result.render), bound(resultsFlag), bound(labelFlag)),
		under("Pods", bound(podsFlag), bound(execFlag)),
		under("Runner pods", runnerFlags{}),
		under("Generator", engineFlags{}, &turnoverFlags{}, &dialFlags{}),
		under("Early end", &limitFlags{}, bound(keepGoingFlag)),
	)
}

func (c *drillCommand) register(flags *pflag.FlagSet, _ *bench.Config) {
	flags.Int64Var(&c.maxLost, "max-lost", 0, "requests that may be lost; default: any number")
	flags.DurationVar(&c.maxOutage, "max-outage", 0, "how long requests may be lost in all; default: any time")
}

// complete distinguishes flags that were not given from those that are 0.
func (c *drillCommand) complete(*bench.Config) error {
	if c.cfg.Load.Requests == 0 {
		return fmt.Errorf("--duration: say how long to send, such as 10m")
	}
	if !c.flags.Changed("connections") {
		c.cfg.Load.Connections = 0 // as many as requests that wait for their timeout need
	}
	if c.flags.Changed("max-lost") {
		c.cfg.MaxLost = &c.maxLost
	}
	if c.flags.Changed("max-outage") {
		c.cfg.MaxOutage = &c.maxOutage
	}
	if c.maxLost < 0 {
		return fmt.Errorf("--max-lost %d: want 0 or more", c.maxLost)
	}
	if c.maxOutage < 0 {
		return fmt.Errorf("--max-outage %s: want 0 or more", c.maxOutage)
	}
	return nil
}
