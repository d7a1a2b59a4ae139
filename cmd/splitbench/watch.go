package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/report"
)

func watchCommand(a *app) *cobra.Command {
	var (
		c            cluster
		l            loading
		j            judging
		output       string
		metrics      string
		forSo, every time.Duration
	)
	cmd := &cobra.Command{
		Use:   "watch [SPLIT]",
		Short: "Watch a split at a low rate, without end or for a time",
		Long: `watch sends requests at a low rate and looks every few seconds. However often it looks, the chance that it ever calls a
split wrong that is right is at most --alpha: evidence and likely ranges hold at all looks together. It ends at the first failure,
after --for, or when interrupted. Where its pod or the API server goes away it moves on to the next ready pod, and says so.`,
		Example: `  splitbench watch ts/podinfo -n test --from deploy/frontend -c nginx --rate 5 --for 1h
  splitbench watch ts/podinfo -n test --from deploy/frontend --metrics 127.0.0.1:9095`,
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
			if c.from == "" && c.selector == "" {
				return fmt.Errorf("--from: name the pod that requests come from, such as deploy/frontend, or fit one with -l")
			}
			for _, name := range []string{"requests", "duration"} {
				if cmd.Flags().Changed(name) {
					return fmt.Errorf("--%s: has no meaning for watch; say --for how long", name)
				}
			}
			if forSo < 0 || every < 0 || every > 0 && every < 100*time.Millisecond {
				return fmt.Errorf("--for %s, --every %s: want 0 or more, and at least 100ms between two looks", forSo, every)
			}
			cfg := bench.WatchConfig{Config: base, For: forSo, Every: every}
			if err := c.prepare(&cfg.Config, args); err != nil {
				return err
			}
			if cfg.Query.Port, err = portOf(l.url, c.through); err != nil {
				return err
			}
			cfg.Command = commandLine(os.Args[1:])
			if metrics != "" {
				stop, err := a.serveMetrics(cmd.Context(), metrics, &cfg)
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
			if err := a.print(r, output); err != nil {
				return err
			}
			return ended(cmd.Context(), r, failOn)
		},
	}
	c.add(cmd)
	l.add(cmd.Flags(), "auto", "5")
	j.add(cmd.Flags())
	flags := cmd.Flags()
	flags.DurationVar(&forSo, "for", 0, "how long to watch; default: without end")
	flags.DurationVar(&every, "every", bench.DefaultEvery, "time between two looks")
	flags.StringVar(&metrics, "metrics", "", "address to serve OpenMetrics on, such as 127.0.0.1:9095; default: none")
	flags.StringVarP(&output, "output", "o", "text", outputHelp)
	for _, name := range []string{"requests", "duration", "gate", "power"} {
		if f := flags.Lookup(name); f != nil {
			f.Hidden = true
		}
	}
	hideRare(flags)
	return cmd
}

// serveMetrics serves the watch's state on /metrics until the returned function is called.
func (a *app) serveMetrics(ctx context.Context, address string, cfg *bench.WatchConfig) (stop func(), err error) {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, &bench.UsageError{Err: fmt.Errorf("--metrics %q: %w", address, err)}
	}
	var mu sync.Mutex
	var state bench.WatchState
	cfg.State = func(s bench.WatchState) {
		mu.Lock()
		defer mu.Unlock()
		state = s
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		s := state
		mu.Unlock()
		w.Header().Set("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
		writeWatchMetrics(w, s) //nolint:errcheck // whoever asked has gone
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second}
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

// writeWatchMetrics writes one look as OpenMetrics text.
func writeWatchMetrics(w io.Writer, s bench.WatchState) error {
	var b strings.Builder
	one := func(name, kind, help string, v float64) {
		suffix := ""
		if kind == "counter" {
			suffix = "_total"
		}
		fmt.Fprintf(&b, "# TYPE %s %s\n# HELP %s %s\n%s%s %g\n", name, kind, name, help, name, suffix, v)
	}
	truth := func(v bool) float64 {
		if v {
			return 1
		}
		return 0
	}
	one("splitbench_watch_up", "gauge", "1 where requests are being sent, 0 in a gap.", truth(s.Up))
	one("splitbench_watch_failed", "gauge", "1 where the split was shown not to follow its weights.", truth(s.Outcome == report.Fail))
	one("splitbench_watch_passed", "gauge", "1 where every likely range lies within its tolerance.", truth(s.Outcome == report.Pass))
	one("splitbench_watch_looks", "counter", "Looks so far.", float64(s.Watch.Looks))
	one("splitbench_watch_lost", "counter", "Requests without a known backend.", float64(s.Watch.Lost))
	one("splitbench_watch_gaps", "counter", "Times in which nothing was measured.", float64(s.Watch.GapCount))
	if s.Watch.LnE != nil {
		one("splitbench_watch_log_evidence", "gauge", "Natural logarithm of the e-value against the weights.", *s.Watch.LnE)
	}
	family := func(name, kind, help string, value func(report.WatchedPart) float64) {
		fmt.Fprintf(&b, "# TYPE %s %s\n# HELP %s %s\n", name, kind, name, help)
		suffix := ""
		if kind == "counter" {
			suffix = "_total"
		}
		for _, part := range s.Watch.Backends {
			if v := value(part); !math.IsNaN(v) {
				fmt.Fprintf(&b, "%s%s{backend=\"%s\"} %g\n", name, suffix, labelEscaper.Replace(part.Backend), v)
			}
		}
	}
	family("splitbench_watch_requests", "counter", "Answers of each backend.", func(p report.WatchedPart) float64 { return float64(p.Observed) })
	family("splitbench_watch_share_low", "gauge", "Lower end of the likely range of a share.", func(p report.WatchedPart) float64 { return end(p.Interval, false) })
	family("splitbench_watch_share_high", "gauge", "Upper end of the likely range of a share.", func(p report.WatchedPart) float64 { return end(p.Interval, true) })
	b.WriteString("# EOF\n")
	_, err := io.WriteString(w, b.String())
	return err
}

//nolint:gochecknoglobals // a table that never changes
var labelEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func end(i *report.Interval, high bool) float64 {
	switch {
	case i == nil || high && i.High == nil || !high && i.Low == nil:
		return math.NaN()
	case high:
		return *i.High
	}
	return *i.Low
}
