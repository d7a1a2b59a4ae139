package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/report"
)

// latencyCommand holds the flags of `latency`.
type latencyCommand struct {
	cfg bench.LatencyConfig
	sender

	limit, baseline  string
	rates, quantiles []string
}

func newLatency(a *app) *cobra.Command {
	c := &latencyCommand{}
	cmd := &cobra.Command{
		Use:   "latency TARGET [TARGET...] --against TARGET",
		Short: "Measure what the gateway costs: targets in interleaved rounds",
		Long: `latency sends requests from the client pod to each target in turn, in rounds of random order followed by the
reverse order (ABBA), and compares p50, p90 and p99 with the rounds as the unit of replication. A target is a Service
of the namespace, as svc/NAME or svc/NAME:PORT. For the root of a split only the answers of its own pods count.

With --margin the outcome is pass if p50 and p90 (--quantiles) are shown to be slower by less, fail if one is shown to
be slower by more, else inconclusive. Without it there is nothing to decide: the report says what is slower, or that
no difference is proven. With --rates one target is measured at several rates, and --limit finds the rate at which it
breaks.`,
		Example: `  splitbench latency svc/podinfo-east --against svc/podinfo -n test --from deploy/frontend --margin 50ms
  splitbench latency svc/podinfo-east --against svc/podinfo -n test --from deploy/frontend --baseline latest
  splitbench latency svc/podinfo-east -n test --from deploy/frontend --rates 100,500,1000 --limit p99=100ms`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: c.cluster.askCluster(mesh.Services),
	}
	work := func(ctx context.Context, args []string) error {
		c.cfg.Targets = args
		if err := c.cluster.prepareSource(&c.cfg.Config, nil); err != nil {
			return err
		}
		return a.measure(ctx, &c.cfg.Config, c.result, func(ctx context.Context) (report.Report, error) {
			return bench.Latency(ctx, c.cfg)
		})
	}
	return c.cluster.command(a, cmd, &c.cfg.Config, work,
		under("Comparison", c),
		under("Request", &requestFlags{}),
		under("Load", rateFlag("50"), bound(connectionFlags), warmUpFlag(20), ceilingFlags{}),
		under("Verdict", bound(alphaFlag), failOnFlag(&c.result.failOn), bound(seedFlag)),
		under("Output", a.reportFlag(&c.result.render), bound(resultsFlag), bound(labelFlag)),
		under("Pods", bound(podsFlag), bound(execFlag)),
		under("Runner pods", runnerFlags{}),
		under("Generator", engineFlags{}, &reuseFlags{}, &dialFlags{}),
		under("Early end", &limitFlags{}, bound(keepGoingFlag)),
	)
}

func (c *latencyCommand) register(flags *pflag.FlagSet, _ *bench.Config) {
	flags.StringVar(&c.cfg.Against, "against", "", "the target to compare the others with")
	flags.StringVar(&c.cfg.MarginText, "margin", "",
		"how much slower a quantile may be: 5ms, or 10% of that of --against; default: nothing is decided")
	flags.StringSliceVar(&c.quantiles, "quantiles", []string{"p50", "p90"},
		"quantiles that --margin judges; p50, p90 and p99 are shown in any case")
	flags.IntVar(&c.cfg.Rounds, "rounds", 24, "rounds of each target, the unit of replication")
	flags.DurationVar(&c.cfg.Round, "round-duration", 2*time.Second, "length of a round, and of each step of a sweep")
	flags.StringVar(&c.cfg.Path, "path", "/", "what to request of each target")
	flags.StringSliceVar(&c.rates, "rates", nil, "sweep: measure one target at these rates per second")
	flags.StringVar(&c.limit, "limit", "",
		"what must hold in a sweep, such as p99=50ms; the rate at which it breaks is found")
	flags.StringVar(&c.baseline, "baseline", "", "an earlier run of the same targets to compare with")
}

func (c *latencyCommand) complete(*bench.Config) (err error) {
	if c.cfg.Margin, err = parseMargin(c.cfg.MarginText); err != nil {
		return err
	}
	if c.cfg.Quantiles, err = parseQuantiles(c.quantiles); err != nil {
		return err
	}
	for _, text := range c.rates {
		rate, err := attack.ParseRate(text)
		if err != nil {
			return fmt.Errorf("--rates: %w", err)
		}
		c.cfg.Rates = append(c.cfg.Rates, rate)
	}
	if c.cfg.Limit, err = parseSweepLimit(c.limit); err != nil {
		return err
	}
	if c.baseline == "" {
		return nil
	}
	return openBaseline(&c.cfg.Config, c.baseline, report.KindLatency, judge.CompareOptions{})
}

// parseMargin reads 5ms or 10%.
func parseMargin(s string) (analyze.Margin, error) {
	if s == "" {
		return analyze.Margin{}, nil
	}
	if number, ok := strings.CutSuffix(s, "%"); ok {
		v, err := strconv.ParseFloat(number, 64)
		if err != nil || !(v > 0) || v > 1000 {
			return analyze.Margin{}, fmt.Errorf("--margin %q: want above 0%% and at most 1000%%", s)
		}
		return analyze.Margin{Relative: v / 100, Set: true}, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 || d > time.Hour {
		return analyze.Margin{}, fmt.Errorf("--margin %q: want a time such as 5ms, or a part such as 10%%", s)
	}
	return analyze.Margin{Absolute: int64(d), Set: true}, nil
}

// parseSweepLimit reads p99=50ms.
func parseSweepLimit(s string) (*report.SweepLimit, error) {
	if s == "" {
		return nil, nil //nolint:nilnil // no limit is no error
	}
	name, value, _ := strings.Cut(s, "=")
	q, err := parseQuantile(name)
	d, durationErr := time.ParseDuration(value)
	if err != nil || durationErr != nil || d <= 0 {
		return nil, fmt.Errorf("--limit %q: want a quantile and a time, such as p99=50ms", s)
	}
	return &report.SweepLimit{Quantile: q, Ms: float64(d) / float64(time.Millisecond)}, nil
}
