package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/report"
)

func planCommand(a *app) *cobra.Command {
	var (
		c                               cluster
		j                               judging
		weights, requests, rate, output string
	)
	cmd := &cobra.Command{
		Use:   "plan [SPLIT]",
		Short: "Say how many requests are needed, how long they take and what they would notice",
		Example: `  splitbench plan --weights podinfo=90,podinfo-east=10 --tolerance 2pt
  splitbench plan ts/podinfo --context west -n test --requests 5000 --rate 100 -o json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: c.completeSplits,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(output, "text", "json"); err != nil {
				return err
			}
			o, _, err := j.options()
			if err != nil {
				return err
			}
			r, err := attack.ParseRate(rate)
			if err != nil {
				return fmt.Errorf("--rate: %w", err)
			}
			n := int64(0)
			if requests != "auto" {
				if n, err = strconv.ParseInt(requests, 10, 64); err != nil || n < 1 {
					return fmt.Errorf("--requests %q: want a number above 0, or auto", requests)
				}
			}
			w, from, err := planWeights(cmd, &c, weights, args)
			if err != nil {
				return err
			}
			p, err := report.BuildPlan(w, o, n, r.PerSecond(), from)
			if err != nil {
				return err
			}
			if output == "json" {
				return report.WritePlanJSON(a.stdout, p)
			}
			return report.WritePlan(a.stdout, p, report.TextOptions{Color: a.colored(a.stdout), ASCII: !a.unicode(a.stdout)})
		},
	}
	c.add(cmd)
	j.add(cmd.Flags())
	flags := cmd.Flags()
	flags.StringVar(&weights, "weights", "", "declared weights, in place of a split: podinfo=50,podinfo-east=50")
	flags.StringVar(&requests, "requests", "auto", "requests to plan for, or auto: as many as the tolerance, --alpha and --power need")
	flags.StringVar(&rate, "rate", "50", "requests per second: 50, 0.5, 30/m")
	flags.StringVarP(&output, "output", "o", "text", "text or json")
	hideRare(flags)
	return cmd
}

// planWeights are those of --weights, or those that the proxies of a cluster obey.
func planWeights(cmd *cobra.Command, c *cluster, weights string, args []string) (analyze.Weights, string, error) {
	if weights != "" {
		if len(args) > 0 {
			return nil, "", fmt.Errorf("--weights: %q brings its own; leave one of them out", args[0])
		}
		w, err := analyze.ParseWeights(weights)
		if err != nil {
			return nil, "", fmt.Errorf("--weights: %w", err)
		}
		return w, "--weights", nil
	}
	var cfg bench.Config
	if err := c.prepare(&cfg, args); err != nil {
		return nil, "", err
	}
	cfg.Log = cmd.ErrOrStderr()
	return bench.Weights(cmd.Context(), cfg)
}
