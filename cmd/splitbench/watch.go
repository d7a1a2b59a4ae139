package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/telemetry"
)

// watchCommand holds the flags of `watch`.
type watchCommand struct {
	cfg bench.WatchConfig
	sender

	metrics string
}

func newWatch(a *app) *cobra.Command {
	c := &watchCommand{}
	cmd := &cobra.Command{
		Use:   "watch [SPLIT]",
		Short: "Watch a split at a low rate, without end or for a time",
		Long: `watch sends requests at a low rate and evaluates them every few seconds. However often it does, the chance of
ever failing a split whose shares stay within their tolerances is at most --alpha, and a split that goes wrong is
noticed as quickly after a month as at the start. It ends at the first failure, after --for, or when interrupted.
Changed weights, and backends that lose their last endpoint, are no failure: the watch ends as invalid and says so.

If its pod or the API server goes away, it moves on to the next ready pod and says so; the time in between is a gap.
--metrics serves the results so far, during gaps too.`,
		Example: `  splitbench watch ts/podinfo -n test --from deploy/frontend -c nginx --rate 5 --for 1h
  splitbench watch ts/podinfo -n test --from deploy/frontend --metrics 127.0.0.1:9095`,
	}
	do := func(ctx context.Context) (report.Report, error) {
		if c.metrics != "" {
			stop, err := a.serveMetrics(ctx, c.metrics, &c.cfg)
			if err != nil {
				return report.Report{}, err
			}
			defer stop()
		}
		return bench.Watch(ctx, c.cfg)
	}
	c.command(a, cmd, &c.cfg.Config, do,
		under("Request", urlFlag{}, bound(throughFlag), bound(lawFlag), bound(classifyFlag), &requestFlags{}),
		under("Watch", c),
		under("Load", rateFlag("5"), bound(connectionFlags), warmUpFlag(20), ceilingFlags{}),
		under("Verdict", bound(toleranceFlags), bound(alphaFlag), failOnFlag(&c.result.failOn), bound(seedFlag)),
		under("Output", reportFlag(&c.result.render), bound(resultsFlag), bound(labelFlag)),
		under("Pods", bound(execFlag)),
		under("Generator", engineFlags{}, &turnoverFlags{}, &dialFlags{}),
		under("Early end", bound(keepGoingFlag)),
	)
	cmd.Flags().Lookup("gate").Hidden = true // there is one
	return cmd
}

func (c *watchCommand) register(flags *pflag.FlagSet, _ *bench.Config) {
	flags.DurationVar(&c.cfg.For, "for", 0, "how long to watch; default: without end")
	flags.DurationVar(&c.cfg.Every, "every", bench.DefaultEvery, "time between two looks")
	flags.StringVar(&c.metrics, "metrics", "", "address to serve OpenMetrics on, such as 127.0.0.1:9095; default: none")
}

func (c *watchCommand) complete(*bench.Config) error {
	w := c.cfg
	if w.For < 0 || w.Every < 0 || w.Every > 0 && w.Every < 100*time.Millisecond {
		return fmt.Errorf("--for %s, --every %s: want 0 or more, and at least 100ms between two looks", w.For, w.Every)
	}
	return nil
}

// serveMetrics serves the watch's state on /metrics until the returned function is called.
func (a *app) serveMetrics(ctx context.Context, address string, cfg *bench.WatchConfig) (stop func(), err error) {
	p := &watchPage{}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", p)
	s, err := listen(ctx, address, mux)
	if err != nil {
		return nil, &record.UsageError{Err: fmt.Errorf("--metrics %q: %w; name another address", address, err)}
	}
	cfg.State = p.set
	a.say("metrics on http://%s/metrics", s.address)
	return func() {
		s.Close() //nolint:errcheck // the process goes on without it
		if err := <-s.ended; err != nil {
			a.say("--metrics: %v", err)
		}
	}, nil
}

// watchPage is the page that Prometheus reads.
type watchPage struct {
	mu    sync.Mutex
	state bench.WatchState
}

func (p *watchPage) set(s bench.WatchState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = s
}

// ServeHTTP writes the state at the last look, or at the beginning of a gap.
func (p *watchPage) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	s := p.state
	p.mu.Unlock()
	var b bytes.Buffer
	if err := telemetry.WriteWatch(&b, s.Watch, s.Outcome, s.Up); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
	w.Write(b.Bytes()) //nolint:errcheck // whoever asked has gone
}
