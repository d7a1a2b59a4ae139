package judge

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/splitbench/splitbench/analyze"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/report"
)

// Whatever the length of the burst and the order of results, every request is in one window, and windows stay few.
func TestWindowsLoseNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		requests int
		length   time.Duration
		backends int
		most     int
	}{
		"one request":      {1, 0, 2, 1},
		"an instant":       {500, time.Millisecond, 2, 1},
		"half a minute":    {30_000, 30 * time.Second, 2, report.MaxWindows},
		"a day":            {50_000, 24 * time.Hour, 3, report.MaxWindows},
		"few requests":     {100, 10 * time.Second, 2, 4},
		"hundred backends": {20_000, time.Minute, 100, maxNumbers / 102},
	} {
		rnd := rand.New(rand.NewPCG(1, 2))
		w := newWindows(c.backends)
		want, unattributed, failed := make([]int64, c.backends), int64(0), int64(0)
		for i := range c.requests {
			r := attack.Result{Seq: uint64(i), Status: 200, Backend: int16(rnd.IntN(c.backends+1)) - 1}
			if c.length > 0 {
				r.Sent = time.Duration(rnd.Int64N(int64(c.length)))
			}
			if r.Backend < 0 {
				unattributed++
				if i%2 == 0 {
					r.Err = attack.ErrTimeout
				} else {
					r.Status = 503
				}
				failed++
			} else {
				want[r.Backend]++
			}
			w.add(r)
		}
		o := w.overTime(uint64(c.requests), make(analyze.Weights, w.fields-2))
		if o == nil || o.Windows > c.most || o.Windows < 1 {
			t.Errorf("%s: %+v, want at most %d windows", name, o, c.most)
			continue
		}
		if span := time.Duration(float64(o.Windows) * o.WindowSeconds * float64(time.Second)); span < c.length*9/10 || c.length > time.Second && span > 3*c.length {
			t.Errorf("%s: %d windows of %gs for %s", name, o.Windows, o.WindowSeconds, c.length)
		}
		sum := func(v []int64) (n int64) {
			if len(v) != o.Windows {
				t.Errorf("%s: a column of %d, want %d", name, len(v), o.Windows)
			}
			for _, x := range v {
				n += x
			}
			return n
		}
		for b := range want {
			if got := sum(o.Backends[b].Observed); got != want[b] {
				t.Errorf("%s: backend %d has %d, want %d", name, b, got, want[b])
			}
		}
		if sum(o.Unattributed) != unattributed || sum(o.Errors) != failed {
			t.Errorf("%s: %d unattributed and %d errors, want %d and %d", name, sum(o.Unattributed), sum(o.Errors), unattributed, failed)
		}
	}
}

// Instants come from a pod: none may take memory or time without end.
func TestWindowsBearAnyInstant(t *testing.T) {
	t.Parallel()
	w := newWindows(1)
	for _, sent := range []time.Duration{0, -1, 1<<63 - 1, -1 << 63, time.Hour} {
		w.add(attack.Result{Sent: sent, Status: 200})
	}
	if o := w.overTime(5, make(analyze.Weights, 1)); o == nil || o.Windows > report.MaxWindows || o.WindowSeconds <= 0 {
		t.Errorf("%+v", o)
	}
}

// A change shows in the window in which it happened.
func TestWindowsKeepTheOrder(t *testing.T) {
	t.Parallel()
	w := newWindows(2)
	const n = 10_000
	for i := range n {
		r := attack.Result{Seq: uint64(i), Status: 200, Sent: time.Duration(i) * time.Millisecond}
		if i >= n/2 {
			r.Backend = 1
		}
		w.add(r)
	}
	o := w.overTime(n, make(analyze.Weights, 2))
	for i := range o.Windows {
		a, b := o.Backends[0].Observed[i], o.Backends[1].Observed[i]
		middle := float64(i+1)*o.WindowSeconds > 5 && float64(i)*o.WindowSeconds < 5
		if a > 0 && b > 0 && !middle {
			t.Errorf("window %d of %gs has %d and %d", i, o.WindowSeconds, a, b)
		}
		if before := float64(i+1)*o.WindowSeconds <= 5; before && b > 0 || !before && !middle && a > 0 {
			t.Errorf("window %d of %gs has %d and %d", i, o.WindowSeconds, a, b)
		}
	}
}
