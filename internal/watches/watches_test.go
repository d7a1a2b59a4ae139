package watches

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/report"
)

// stage plays the cluster and bench.Watch: splits are there or not, and their watches end as they are told.
type stage struct {
	mu     sync.Mutex
	there  []mesh.Found
	unread error
	said   []string
	began  map[string]int // watches, by split
	rates  map[string]attack.Rate
	ends   map[string]func(n int) (string, time.Duration) // outcome of the nth watch, and when; none: until it is told to end
}

func (s *stage) find(context.Context) ([]mesh.Found, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.there), s.unread
}

func (s *stage) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *stage) watch(ctx context.Context, cfg bench.WatchConfig) (report.Report, error) {
	name := cfg.Query.Split
	s.mu.Lock()
	n := s.began[name]
	s.began[name]++
	end := s.ends[name]
	s.mu.Unlock()
	looks := int64(0)
	r := func(outcome string) (report.Report, error) {
		return report.Report{
			Verdict: report.Verdict{Outcome: outcome, Reasons: []string{name + " was " + outcome}},
			Watch:   &report.Watch{Looks: looks},
		}, nil
	}
	outcome, after := report.Pass, time.Duration(0)
	if end != nil {
		outcome, after = end(n)
	}
	if outcome == "refused" {
		return r(report.Invalid)
	}
	began := time.Now()
	for {
		rate, err := cfg.Rate(ctx)
		if err != nil {
			return r(report.Invalid)
		}
		looks++
		s.mu.Lock()
		s.rates[name] = rate
		s.mu.Unlock()
		cfg.State(bench.WatchState{Watch: report.Watch{Looks: looks}, Outcome: report.Inconclusive, Up: true})
		select {
		case <-ctx.Done():
			return r(report.Invalid)
		case <-time.After(time.Second):
		}
		switch d := time.Since(began); {
		case end != nil && after > 0 && d >= after:
			return r(outcome)
		case cfg.For > 0 && d >= cfg.For:
			cfg.State(bench.WatchState{Watch: report.Watch{Looks: looks}, Outcome: report.Pass, Up: true})
			return r(report.Pass)
		}
	}
}

func split(name string) mesh.Found { return mesh.Found{Namespace: "test", Split: name} }

// config is a configuration whose clock is the bubble's.
func (s *stage) config() Config {
	s.began, s.rates = map[string]int{}, map[string]attack.Rate{}
	return Config{
		Rate: attack.Rate{Hits: 12, Per: time.Second}, Most: 10, Page: &Page{}, Find: s.find, watch: s.watch,
		ask: func(context.Context, bench.Config) (string, error) { return "", nil },
		Say: func(format string, args ...any) {
			s.set(func() { s.said = append(s.said, fmt.Sprintf(format, args...)) })
		},
		Each: func(f mesh.Found) bench.WatchConfig {
			var cfg bench.WatchConfig
			cfg.Query.Namespace, cfg.Query.Split = f.Namespace, f.Split
			return cfg
		},
	}
}

func (s *stage) told(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(strings.Join(s.said, "\n"), text)
}

func outcomes(results []Result) string {
	var out []string
	for _, r := range results {
		out = append(out, r.Split+"="+r.Report.Verdict.Outcome)
	}
	return strings.Join(out, " ")
}

// One that fails, one that is changed and one that is refused end neither the others nor themselves: each is watched
// anew. What failed stays failed in the end, whatever came after it.
func TestOneSplitEndsNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{there: []mesh.Found{split("ts/changed"), split("ts/failed"), split("ts/refused"), split("ts/right")}}
		c := s.config()
		c.For = 10 * time.Minute
		s.ends = map[string]func(int) (string, time.Duration){
			"ts/changed": func(n int) (string, time.Duration) {
				return report.Invalid, time.Duration(max(0, 3-n)) * time.Minute // three times, then no more
			},
			"ts/failed":  func(n int) (string, time.Duration) { return report.Fail, time.Duration(max(0, 1-n)) * time.Minute },
			"ts/refused": func(int) (string, time.Duration) { return "refused", 0 },
		}
		asked := 0
		c.ask = func(context.Context, bench.Config) (string, error) { asked++; return "no meshed pod", nil }
		results, err := Run(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := outcomes(results), "ts/changed=pass ts/failed=fail ts/refused=invalid ts/right=pass"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		// Of what is refused one run is kept, however often it is asked about.
		if s.began["ts/changed"] != 4 || s.began["ts/failed"] != 2 || s.began["ts/right"] != 1 || s.began["ts/refused"] != 1 || asked < 5 {
			t.Errorf("watches %v, asked %d times", s.began, asked)
		}
		page := c.Page.splits[split("ts/failed")]
		if page.Failing || page.Ends[report.Fail] != 1 || page.Ends[report.Pass] != 1 {
			t.Errorf("a failure that a later watch disproved: %+v", page)
		}
	})
}

// A split that keeps failing is watched less and less often, so that the failures that are kept do not pile up.
func TestPausesGrow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{there: []mesh.Found{split("ts/wrong")}}
		c := s.config()
		c.For = 6 * time.Hour
		s.ends = map[string]func(int) (string, time.Duration){
			"ts/wrong": func(int) (string, time.Duration) { return report.Fail, 30 * time.Second },
		}
		if _, err := Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if n := s.began["ts/wrong"]; n < 50 || n > 80 { // 6 h in steps of 5.5 minutes: 65
			t.Errorf("%d watches in 6 h", n)
		}
		if !c.Page.splits[split("ts/wrong")].Failing {
			t.Error("it does not fail any more between two watches that failed")
		}
	})
}

// Splits that come and go are followed, with the budget divided anew; one that is missing for a moment is not gone, and
// an API server that does not answer changes nothing. What goes beyond the bound is counted, and takes the place of what
// goes.
func TestSplitsComeAndGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{}
		c := s.config()
		c.Most = 3
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan []Result)
		go func() {
			results, _ := Run(ctx, c)
			ended <- results
		}()
		after := func(d time.Duration, there ...string) {
			s.set(func() {
				s.there = nil
				for _, x := range there {
					s.there = append(s.there, split(x))
				}
			})
			time.Sleep(d)
			synctest.Wait()
		}
		want := func(what string, watched int, each float64, over int) {
			t.Helper()
			s.mu.Lock()
			defer s.mu.Unlock()
			c.Page.mu.Lock()
			defer c.Page.mu.Unlock()
			if len(c.Page.splits) != watched || c.Page.over != over {
				t.Errorf("%s: %d watched, %d over; want %d, %d", what, len(c.Page.splits), c.Page.over, watched, over)
			}
			for f := range c.Page.splits {
				if got := s.rates[f.Split].PerSecond(); got != each {
					t.Errorf("%s: %s sends %g/s, want %g", what, f.Split, got, each)
				}
			}
		}
		after(time.Second)
		want("none", 0, 0, 0)
		if !s.told("there is no split yet") {
			t.Errorf("it was not said: %q", s.said)
		}
		after(15*time.Second, "ts/a")
		want("one", 1, 12, 0)
		after(15*time.Second, "ts/a", "ts/b", "ts/c", "ts/d")
		want("four", 3, 4, 1)
		after(15*time.Second, "ts/a", "ts/d") // two looks without b and c
		want("missing for a moment", 3, 4, 1)
		s.set(func() { s.unread = errors.New("connection refused") })
		after(time.Hour)
		want("not read", 3, 4, 1)
		s.set(func() { s.unread = nil })
		after(40*time.Second, "ts/a", "ts/d")
		want("gone", 2, 6, 0)
		if !s.told("ts/b: the split is gone") || !s.told("cannot be read now") || !s.told("2 are there that are not") && !s.told("1 more are there") {
			t.Errorf("said %q", s.said)
		}
		cancel()
		if got := outcomes(<-ended); got != "ts/a=invalid ts/d=invalid" {
			t.Errorf("in the end %s", got)
		}
	})
}

// A mistake on the command line ends everything, and splits that cannot be found at the beginning too.
func TestWhatCanNeverBeWatched(t *testing.T) {
	t.Parallel()
	s := &stage{unread: errors.New("forbidden")}
	if _, err := Run(t.Context(), s.config()); err == nil || err.Error() != "forbidden" {
		t.Errorf("%v", err)
	}
	c := s.config()
	c.Find, c.Named = nil, []mesh.Found{split("ts/right"), split("nonsense")}
	c.watch = func(ctx context.Context, cfg bench.WatchConfig) (report.Report, error) {
		if cfg.Query.Split == "nonsense" {
			return report.Report{}, errors.New("no such kind")
		}
		return s.watch(ctx, cfg)
	}
	if _, err := Run(t.Context(), c); err == nil || err.Error() != "no such kind" {
		t.Errorf("%v", err)
	}
}
