package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/report"
)

// selfTestCommand holds the flags of `selftest`.
type selfTestCommand struct {
	engine      string
	connections int
	duration    time.Duration
}

func newSelfTest(a *app) *cobra.Command {
	var (
		c      selfTestCommand
		output form
	)
	cmd := &cobra.Command{
		Use:   "selftest",
		Short: "Measure what the generator can do on this machine",
		Long: `selftest measures the generator itself, against a server inside this process: how many requests per second it
can send at most, how late it sends them at 1,000 a second, and how exact its timer is. Nothing but loopback sees
traffic. A measurement at a small share of that limit is one of its target, not of its generator.`,
		Example: `  splitbench selftest
  splitbench selftest --engine std -o json`,
		Args: cobra.NoArgs,
	}
	work := func(ctx context.Context, _ []string) error {
		ability, err := attack.SelfTest(ctx, c.engine, c.connections, c.duration)
		if err != nil {
			return err
		}
		return a.write(output, a.outlined(report.BuildSelfTest(ability)))
	}
	return a.command(cmd, nil, work, under("Flags", &c, outputFlag(&output, "text", "json")))
}

func (c *selfTestCommand) register(flags *pflag.FlagSet, _ *bench.Config) {
	choose(flags, "engine", attack.EngineH1, "h1, std or vegeta",
		&c.engine, attack.EngineH1, attack.EngineStd, attack.EngineVegeta)
	flags.IntVar(&c.connections, "connections", 8, "connections at full speed")
	flags.DurationVar(&c.duration, "duration", 2*time.Second, "length of each of its two parts")
}

func (c *selfTestCommand) complete(*bench.Config) error {
	switch {
	case c.connections < 1 || c.connections > 1024:
		return fmt.Errorf("--connections %d: want 1 to 1024", c.connections)
	case c.duration < 100*time.Millisecond || c.duration > time.Minute:
		return fmt.Errorf("--duration %s: want 100ms to 1m", c.duration)
	}
	return nil
}
