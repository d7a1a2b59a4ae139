package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/report"
)

// planCommand holds the flags of `plan`.
type planCommand struct {
	cfg     bench.Config
	cluster clusterFlags
	weights analyze.Weights
}

func newPlan(a *app) *cobra.Command {
	c := &planCommand{}
	var output form
	cmd := &cobra.Command{
		Use:   "plan [SPLIT]",
		Short: "Compute how many requests are needed, how long they take and what they would detect",
		Example: `  splitbench plan --weights podinfo=90,podinfo-east=10 --tolerance 2pt
  splitbench plan ts/podinfo --context west -n test --requests 5000 --rate 100 -o json`,
		Args:              oneSplit,
		ValidArgsFunction: c.cluster.completeSplits,
	}
	work := func(ctx context.Context, args []string) error {
		w, from, err := c.declared(ctx, args)
		if err != nil {
			return err
		}
		load := c.cfg.Load
		p, err := report.BuildPlan(w, c.cfg.Options, int64(load.Requests), load.Rate.PerSecond(), from)
		if err != nil {
			return err
		}
		return a.write(output, a.outlined(p))
	}
	return c.cluster.command(a, cmd, &c.cfg, work,
		under("Target", bound(c.weightsFlag)),
		under("Request", urlFlag{}, bound(throughFlag), bound(lawFlag), &requestFlags{}),
		under("Load", requestsFlag("auto"), rateFlag("50")),
		under("Verdict", bound(toleranceFlags), bound(alphaFlag), bound(powerFlag), failOnFlag(new(report.FailOn)),
			bound(seedFlag)),
		under("Output", outputFlag(&output, "text", "json")),
	)
}

func (c *planCommand) weightsFlag(flags *pflag.FlagSet, _ *bench.Config) {
	read(flags, "weights", "", "declared weights, instead of a split: podinfo=50,podinfo-east=50",
		into(&c.weights, analyze.ParseWeights))
}

// declared returns the weights of --weights, or those that the proxies of a cluster obey.
func (c *planCommand) declared(ctx context.Context, args []string) (analyze.Weights, string, error) {
	if c.weights == nil {
		if err := c.cluster.prepare(&c.cfg, args); err != nil {
			return nil, "", err
		}
		return bench.Weights(ctx, c.cfg)
	}
	if len(args) > 0 {
		return nil, "", fmt.Errorf("--weights: %q brings its own; leave one of them out", args[0])
	}
	return c.weights, "--weights", nil
}
