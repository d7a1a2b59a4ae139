package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/report"
)

func selfTestCommand(a *app) *cobra.Command {
	var engine, output string
	var connections int
	var duration time.Duration
	cmd := &cobra.Command{
		Use:   "selftest",
		Short: "Measure what the generator can do on this machine",
		Long: `selftest measures the generator itself, against a server inside this process: how many requests per second it can
send at most, how late it sends them at 1,000 a second, and how exact its timer is. Nothing but loopback sees traffic. A
measurement at a small share of that limit is one of its target, not of its generator.`,
		Example: `  splitbench selftest
  splitbench selftest --engine std -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output, "text", "json"); err != nil {
				return err
			}
			switch {
			case engine != attack.EngineH1 && engine != attack.EngineStd && engine != attack.EngineVegeta:
				return fmt.Errorf("--engine %q: want h1, std or vegeta", engine)
			case connections < 1 || connections > 1024:
				return fmt.Errorf("--connections %d: want 1 to 1024", connections)
			case duration < 100*time.Millisecond || duration > time.Minute:
				return fmt.Errorf("--duration %s: want 100ms to 1m", duration)
			}
			ability, err := attack.SelfTest(cmd.Context(), engine, connections, duration)
			if err != nil {
				return err
			}
			t := report.BuildSelfTest(ability)
			if output == "json" {
				return report.WriteSelfTestJSON(a.stdout, t)
			}
			return report.WriteSelfTest(a.stdout, t, report.TextOptions{Color: a.colored(a.stdout), ASCII: !a.unicode(a.stdout)})
		},
	}
	cmd.Flags().StringVar(&engine, "engine", attack.EngineH1, "h1, std or vegeta")
	cmd.Flags().IntVar(&connections, "connections", 8, "connections at full speed")
	cmd.Flags().DurationVar(&duration, "duration", 2*time.Second, "of each of its two parts")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}
