package analyze

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"
)

func newMonitor(t testing.TB, w Weights, o Options) *Monitor {
	t.Helper()
	m, err := NewMonitor(w, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// watch looks so often every 10 requests at a split of two whose first share is truth(look), and reports whether it
// departed. Of each request the backend stays unknown with probability lost.
func watchSplit(t *testing.T, rng *rand.Rand, o Options, looks int, lost float64, truth func(look int) float64) bool {
	t.Helper()
	m := newMonitor(t, named(50, 50), o)
	for look := range looks {
		c := Counts{N: []int64{0, 0}}
		for range 10 {
			x := rng.Float64()
			switch {
			case lost > 0 && rng.Float64() < lost:
				c.Unattributed++
			case x < truth(look):
				c.N[0]++
			default:
				c.N[1]++
			}
		}
		d, err := m.Update(c)
		if err != nil {
			t.Fatal(err)
		}
		if d != nil {
			return true
		}
	}
	return false
}

// A share that stays inside its tolerance, be it right on the edge all the time, is called a failure with probability
// at most alpha at any of all looks. Of 150 watches at alpha 0.05 more than 19 are with a probability below 0.0001
// (binomial), even if the rate were exactly alpha.
func TestMonitorErrorsOverAllLooks(t *testing.T) {
	looks := 1000
	if testing.Short() {
		looks = 200
	}
	o := with(func(o *Options) { o.Alpha = 0.05 })
	for name, c := range map[string]struct {
		lost  float64
		truth func(int) float64
	}{
		"on the edge": {0, func(int) float64 { return 0.55 }},
		"on target":   {0, func(int) float64 { return 0.5 }},
		// A range for one share that never moves would be empty soon.
		"moves from edge to edge":                   {0, func(look int) float64 { return []float64{0.55, 0.45}[look/100%2] }},
		"on the edge, one in ten without a backend": {0.1, func(int) float64 { return 0.45 }},
	} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(31, 32))
			wrong := 0
			for range 150 {
				if watchSplit(t, rng, o, looks, c.lost, c.truth) {
					wrong++
				}
			}
			if wrong > 19 {
				t.Errorf("%d of 150 right splits were called wrong", wrong)
			}
		})
	}
}

// However long a split was right before, a drift from 50/50 to 70/30 is seen within 4,000 requests: behind 4,000 of
// them a test is alive that began at least 2,000 ago, whose evidence is 94 nats, give or take 13, and it needs 29 at
// the number 20,000 (24 for its level, up to 5 for the prior). That is five standard deviations.
func TestMonitorSeesALateDrift(t *testing.T) {
	rng := rand.New(rand.NewPCG(33, 34))
	for _, right := range []int{0, 100, 10_000, 20_000} {
		m := newMonitor(t, named(50, 50), DefaultOptions())
		step := func(share float64) *Departure {
			var n int64
			for range 50 {
				if rng.Float64() < share {
					n++
				}
			}
			d, err := m.Update(Counts{N: []int64{n, 50 - n}})
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		for range right {
			if d := step(0.5); d != nil {
				t.Fatalf("a right split departed: %+v", d)
			}
		}
		var d *Departure
		requests := 0
		for ; d == nil && requests < 4000; requests += 50 {
			d = step(0.7)
		}
		if d == nil {
			t.Errorf("behind %d right looks, the drift was not seen in %d requests", right, requests)
			continue
		}
		t.Logf("behind %d right looks: %d requests, %+v", right, requests, *d)
		if d.Leak || d.Requests > 8000 || d.Edge != 0.55 && d.Edge != 0.45 {
			t.Errorf("%+v", d)
		}
	}
}

// A watch has no end: what it holds grows with the logarithm of its looks only.
func TestMonitorDoesNotGrow(t *testing.T) {
	m := newMonitor(t, named(90, 10), DefaultOptions())
	heap := func() uint64 {
		var s runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	var before uint64
	for look := range 100_000 {
		if look == 10_000 {
			before = heap()
		}
		n := int64(9)
		if look%10 == 0 {
			n = 8
		}
		if d, err := m.Update(Counts{N: []int64{n, 1}}); d != nil || err != nil {
			t.Fatalf("look %d: %+v %v", look, d, err)
		}
		if len(m.alive) > 36 { // 2 log2(100,000) is 33, and the first and the newest
			t.Fatalf("%d tests after %d looks", len(m.alive), look)
		}
	}
	if after := heap(); after > before+64<<10 {
		t.Errorf("%d bytes after 10,000 looks, %d after 100,000", before, after)
	}
	runtime.KeepAlive(m)
}

// One answer of a weight-0 backend is a departure at once; answers without a backend, empty looks and a single
// backend are none.
func TestMonitorOfLeaksAndNothing(t *testing.T) {
	m := newMonitor(t, named(3, 2, 0), DefaultOptions())
	for _, c := range []Counts{{N: []int64{0, 0, 0}}, {N: []int64{6, 4, 0}}, {N: []int64{0, 0, 0}, Unattributed: 10_000}} {
		if d, err := m.Update(c); d != nil || err != nil {
			t.Errorf("%+v: %+v %v", c, d, err)
		}
	}
	d, err := m.Update(Counts{N: []int64{0, 0, 1}})
	if err != nil || d == nil || !d.Leak || d.Backend != 2 || d.Observed != 1 {
		t.Errorf("%+v %v", d, err)
	}
	one := newMonitor(t, named(1), DefaultOptions())
	if d, err := one.Update(Counts{N: []int64{100_000}}); d != nil || err != nil {
		t.Errorf("%+v %v", d, err)
	}
	// All of three to the first: it has too many, the others too few, and what is clearest is told.
	three := newMonitor(t, named(50, 30, 20), DefaultOptions())
	if d, err = three.Update(Counts{N: []int64{400, 0, 0}}); err != nil || d == nil || !d.Above || d.Backend != 0 || d.Requests != 400 || d.Edge != 0.55 {
		t.Errorf("%+v %v", d, err)
	}
}

func TestMonitorRefusesBadInput(t *testing.T) {
	if _, err := NewMonitor(named(0, 0), DefaultOptions()); !errors.Is(err, ErrInput) {
		t.Errorf("no weights: %v", err)
	}
	if _, err := NewMonitor(named(1, 1), with(func(o *Options) { o.Alpha = 2 })); !errors.Is(err, ErrInput) {
		t.Errorf("alpha 2: %v", err)
	}
	m := newMonitor(t, named(1, 1), DefaultOptions())
	for _, bad := range []Counts{{N: []int64{1}}, {N: []int64{-1, 1}}, {N: []int64{MaxRequests, 1}}, {N: []int64{1, 1}, Unattributed: -1}} {
		if _, err := m.Update(bad); !errors.Is(err, ErrInput) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
