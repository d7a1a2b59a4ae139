package main

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

// latencyFlags are those of latency alone.
type latencyFlags struct {
	against, path, margin, limit, baseline string
	rounds                                 int
	round                                  time.Duration
	rates, quantiles                       []string
}

func latencyCommand(a *app) *cobra.Command {
	var (
		c      cluster
		l      loading
		j      judging
		f      latencyFlags
		output string
	)
	cmd := &cobra.Command{
		Use:   "latency TARGET [TARGET...] --against TARGET",
		Short: "Measure what the gateway costs: targets in interleaved rounds",
		Long: `latency sends requests from the client pod to each target in turn, in rounds whose order is drawn and then reversed
(ABBA), and compares p50, p90 and p99 with the rounds as the unit of replication. A target is a Service of the namespace, as
svc/NAME or svc/NAME:PORT. Of the root of a split only the answers of its own pods count.

With --margin the outcome is pass where p50 and p90 (--quantiles) are shown to be slower by less, fail where one is shown to be
slower by more, else inconclusive. Without it there is nothing to decide: the report says what is slower, or that no difference is
proven. With --rates one target is measured at several rates, and with --limit the rate is found at which it breaks.`,
		Example: `  splitbench latency svc/podinfo-east --against svc/podinfo -n test --from deploy/frontend -c nginx --margin 50ms
  splitbench latency svc/podinfo-east --against svc/podinfo -n test --from deploy/frontend --baseline latest
  splitbench latency svc/podinfo-east -n test --from deploy/frontend --rates 100,500,1000 --limit p99=100ms`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkReportOutput(output); err != nil {
				return err
			}
			cfg, failOn, err := f.config(a, cmd, &c, &l, &j, args)
			if err != nil {
				return err
			}
			p := a.newProgress()
			cfg.Progress = p.show
			r, err := bench.Latency(cmd.Context(), cfg)
			p.end()
			if err != nil {
				return err
			}
			if err := a.print(r, output); err != nil {
				return err
			}
			return ended(cmd.Context(), r, failOn)
		},
	}
	c.add(cmd)
	l.add(cmd.Flags(), "auto", "50")
	j.add(cmd.Flags())
	flags := cmd.Flags()
	flags.StringVar(&f.against, "against", "", "the target that the others are compared with")
	flags.StringVar(&f.path, "path", "/", "what to request of each target")
	flags.StringVar(&f.margin, "margin", "", "how much slower a quantile may be: 5ms, or 10% of that of --against; default: nothing is decided")
	flags.StringSliceVar(&f.quantiles, "quantiles", []string{"p50", "p90"}, "quantiles that --margin judges; p50, p90 and p99 are shown in any case")
	flags.IntVar(&f.rounds, "rounds", 24, "rounds of each target, the unit of replication")
	flags.DurationVar(&f.round, "round-duration", 2*time.Second, "length of a round, and of each step of a sweep")
	flags.StringSliceVar(&f.rates, "rates", nil, "measure one target at these rates per second")
	flags.StringVar(&f.limit, "limit", "", "of a sweep: what must hold, such as p99=50ms; the rate at which it breaks is found")
	flags.StringVar(&f.baseline, "baseline", "", "an earlier run of the same targets, to compare with")
	flags.StringVarP(&output, "output", "o", "text", outputHelp)
	// What fixes the length of a run of one split has no meaning here.
	noUse(flags, "; use --rounds, --round-duration, --rate, --path or --margin",
		"requests", "duration", "url", "classify", "requests-per-connection", "gate", "tolerance", "power", "through", "witness")
	hideRare(flags)
	return cmd
}

func (f *latencyFlags) config(a *app, cmd *cobra.Command, c *cluster, l *loading, j *judging, args []string) (bench.LatencyConfig, report.FailOn, error) {
	var out bench.LatencyConfig
	cfg, failOn, err := l.config(a, cmd, j)
	if err != nil {
		return out, "", err
	}
	if c.from == "" && c.selector == "" {
		return out, "", fmt.Errorf("--from: name the pod that requests come from, such as deploy/frontend, or fit one with -l")
	}
	out = bench.LatencyConfig{Config: cfg, Targets: args, Against: f.against, Path: f.path, Rounds: f.rounds, Round: f.round}
	if out.Margin, err = parseMargin(f.margin); err != nil {
		return out, "", err
	}
	out.MarginText = f.margin
	if out.Quantiles, err = parseQuantiles(f.quantiles); err != nil {
		return out, "", err
	}
	for _, text := range f.rates {
		rate, err := attack.ParseRate(text)
		if err != nil {
			return out, "", fmt.Errorf("--rates: %w", err)
		}
		out.Rates = append(out.Rates, rate)
	}
	if out.Limit, err = parseLimit(f.limit); err != nil {
		return out, "", err
	}
	if f.baseline != "" {
		folder, err := store.Open(l.resultsDir, f.baseline)
		if err != nil {
			return out, "", fmt.Errorf("--baseline: %w", err)
		}
		out.Baseline = &folder
	}
	if err := c.prepare(&out.Config, nil); err != nil {
		return out, "", err
	}
	out.Command = commandLine(os.Args[1:])
	return out, failOn, nil
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

// parseLimit reads p99=50ms.
func parseLimit(s string) (*report.SweepLimit, error) {
	if s == "" {
		return nil, nil //nolint:nilnil // no limit is no error
	}
	name, value, ok := strings.Cut(s, "=")
	number, isQuantile := strings.CutPrefix(name, "p")
	q, err := strconv.ParseFloat(number, 64)
	d, durationErr := time.ParseDuration(value)
	if !ok || !isQuantile || err != nil || !(q > 0 && q < 100) || durationErr != nil || d <= 0 || math.IsNaN(q) {
		return nil, fmt.Errorf("--limit %q: want a quantile and a time, such as p99=50ms", s)
	}
	return &report.SweepLimit{Quantile: q / 100, Ms: float64(d) / float64(time.Millisecond)}, nil
}
