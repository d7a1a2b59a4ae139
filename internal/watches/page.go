package watches

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/telemetry"
)

// Page is what Prometheus and the kubelet read: /metrics, /healthz and /readyz.
type Page struct {
	Reach func(context.Context) error // the API server; nil: nobody asks for it
	Lease *Lease                      // nil: nobody elects

	mu     sync.Mutex
	splits map[mesh.Found]telemetry.WatchedSplit
	over   int

	asking  sync.Mutex // held while Reach is asked: nobody else waits for it
	asked   time.Time
	reached error
}

// Handler answers for all three.
func (p *Page) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", p.metrics)
	mux.HandleFunc("GET /healthz", answer(func(r *http.Request) error { return p.Lease.healthy(r) }))
	mux.HandleFunc("GET /readyz", answer(p.ready))
	return mux
}

func answer(check func(*http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := check(r); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Write([]byte("ok\n")) //nolint:errcheck // whoever asked has gone
	}
}

// reachedFor is how long an answer of the API server holds: whoever may read the page must not flood it.
const (
	reachedFor = time.Second
	reachLimit = 3 * time.Second
)

// ready reports whether the API server answers, and whether it is known who leads.
func (p *Page) ready(r *http.Request) error {
	if err := p.Lease.known(); err != nil || p.Reach == nil {
		return err
	}
	p.asking.Lock()
	defer p.asking.Unlock()
	if time.Since(p.asked) > reachedFor {
		ctx, cancel := context.WithTimeout(r.Context(), reachLimit)
		defer cancel()
		p.reached, p.asked = p.Reach(ctx), time.Now()
	}
	return p.reached
}

// metrics writes what there was at each split's last look, or at the beginning of a gap.
func (p *Page) metrics(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	order := slices.SortedFunc(maps.Keys(p.splits), mesh.Found.Compare)
	x := telemetry.Watches{Unwatched: p.over, Role: p.Lease.role(), Memory: bench.Memory()}
	for _, f := range order {
		x.Splits = append(x.Splits, p.splits[f])
	}
	p.mu.Unlock()
	var b bytes.Buffer
	if err := telemetry.WriteWatches(&b, x); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
	w.Write(b.Bytes()) //nolint:errcheck // whoever asked has gone
}

// Set tells what a watch has seen at a look, or when a gap begins.
func (p *Page) Set(f mesh.Found, x bench.WatchState) {
	p.change(f, func(s *telemetry.WatchedSplit) {
		s.Watch, s.Outcome, s.Up = x.Watch, x.Outcome, x.Up
		if x.Split != "" {
			s.Namespace, s.Split = x.Namespace, x.Split
		}
		s.Failing = s.Failing && x.Outcome != report.Pass
	})
}

// end tells that a watch ended.
func (p *Page) end(f mesh.Found, outcome string) {
	p.change(f, func(s *telemetry.WatchedSplit) {
		s.Ends = maps.Clone(s.Ends) // the old one may be being written
		if s.Ends == nil {
			s.Ends = map[string]int64{}
		}
		s.Ends[outcome]++
		s.Up, s.Failing, s.Outcome = false, s.Failing || outcome == report.Fail, ""
	})
}

func (p *Page) change(f mesh.Found, with func(*telemetry.WatchedSplit)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.splits == nil {
		p.splits = map[mesh.Found]telemetry.WatchedSplit{}
	}
	s, ok := p.splits[f]
	if !ok {
		s.Namespace, s.Split = f.Namespace, f.Split
	}
	with(&s)
	p.splits[f] = s
}

// drop takes a split off the page.
func (p *Page) drop(f mesh.Found) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.splits, f)
}

// Clear takes all splits off the page: this process watches none any more.
func (p *Page) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.splits, p.over = nil, 0
}

func (p *Page) unwatched(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = n
}
