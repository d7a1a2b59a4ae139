package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/telemetry"
)

// watchFlags are the flags of a watch.
type watchFlags struct {
	c               cluster
	l               loading
	j               judging
	output, metrics string
	forSo, every    time.Duration
}

// config completes a watch's configuration and refuses what makes no sense.
func (o *watchFlags) config(a *app, cmd *cobra.Command, args []string) (bench.WatchConfig, report.FailOn, error) {
	refuse := func(err error) (bench.WatchConfig, report.FailOn, error) { return bench.WatchConfig{}, "", err }
	if err := checkReportOutput(o.output); err != nil {
		return refuse(err)
	}
	base, failOn, err := o.l.config(a, cmd, &o.j)
	if err != nil {
		return refuse(err)
	}
	if o.c.from == "" && o.c.selector == "" {
		return refuse(errors.New("--from: name the pod that requests come from, such as deploy/frontend, or fit one with -l"))
	}
	if o.forSo < 0 || o.every < 0 || o.every > 0 && o.every < 100*time.Millisecond {
		return refuse(fmt.Errorf("--for %s, --every %s: want 0 or more, and at least 100ms between two looks", o.forSo, o.every))
	}
	cfg := bench.WatchConfig{Config: base, For: o.forSo, Every: o.every}
	if err := o.c.prepare(&cfg.Config, args); err != nil {
		return refuse(err)
	}
	if cfg.Query.Port, err = portOf(o.l.url, o.c.through); err != nil {
		return refuse(err)
	}
	cfg.Command = commandLine(os.Args[1:])
	return cfg, failOn, nil
}

func watchCommand(a *app) *cobra.Command {
	var o watchFlags
	cmd := &cobra.Command{
		Use:   "watch [SPLIT]",
		Short: "Watch a split at a low rate, without end or for a time",
		Long: `watch sends requests at a low rate and looks every few seconds. However often it looks, the chance that it ever calls a
split wrong whose shares stay inside their tolerances is at most --alpha, and a split that goes wrong is noticed as soon after a
month as at the beginning. It ends at the first failure, after --for, or when interrupted. Weights that are changed, and backends
that lose their last endpoint, are no failure: the watch ends as invalid and says so.

Where its pod or the API server goes away it moves on to the next ready pod, and says so; what is not measured meanwhile is a
gap. --metrics serves what it has seen so far, in gaps too.`,
		Example: `  splitbench watch ts/podinfo -n test --from deploy/frontend -c nginx --rate 5 --for 1h
  splitbench watch ts/podinfo -n test --from deploy/frontend --metrics 127.0.0.1:9095`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: o.c.completeSplits,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, failOn, err := o.config(a, cmd, args)
			if err != nil {
				return err
			}
			if o.metrics != "" {
				stop, err := a.serveMetrics(cmd.Context(), o.metrics, &cfg)
				if err != nil {
					return err
				}
				defer stop()
			}
			p := a.newProgress()
			cfg.Progress = p.show
			r, err := bench.Watch(cmd.Context(), cfg)
			p.end()
			if err != nil {
				return err
			}
			if err := a.print(r, o.output); err != nil {
				return err
			}
			return ended(cmd.Context(), r, failOn)
		},
	}
	o.c.add(cmd)
	o.l.add(cmd.Flags(), "auto", "5")
	o.j.add(cmd.Flags())
	flags := cmd.Flags()
	flags.DurationVar(&o.forSo, "for", 0, "how long to watch; default: without end")
	flags.DurationVar(&o.every, "every", bench.DefaultEvery, "time between two looks")
	flags.StringVar(&o.metrics, "metrics", "", "address to serve OpenMetrics on, such as 127.0.0.1:9095; default: none")
	flags.StringVarP(&o.output, "output", "o", "text", outputHelp)
	// What would end a burst would only look like a gap.
	noUse(flags, ", which goes on until a share leaves its tolerance or --for is over", "requests", "duration", "power", "witness",
		"max-bytes", "max-dial-failures", "max-errors", "max-errors-within", "max-late", "max-response-time", "max-time")
	flags.Lookup("gate").Hidden = true // there is one
	hideRare(flags)
	return cmd
}

// serveMetrics serves the watch's state on /metrics until the returned function is called.
func (a *app) serveMetrics(ctx context.Context, address string, cfg *bench.WatchConfig) (stop func(), err error) {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, &bench.UsageError{Err: fmt.Errorf("--metrics %q: %w; name another address", address, err)}
	}
	p := &watchPage{}
	cfg.State = p.set
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", p)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(l); err != nil && err != http.ErrServerClosed {
			fmt.Fprintf(a.talk(), "splitbench: --metrics: %v\n", err)
		}
	})
	fmt.Fprintf(a.talk(), "splitbench: metrics on http://%s/metrics\n", l.Addr())
	return func() {
		server.Close() //nolint:errcheck // the process goes on without it
		serving.Wait()
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
