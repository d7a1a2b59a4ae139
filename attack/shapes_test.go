package attack

import (
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"
)

func perSecond(n uint64) Rate { return Rate{n, time.Second} }

// Instants that the closed forms give by hand.
func TestShapesAt(t *testing.T) {
	steps := &Shape{Kind: ShapeSteps, Steps: []Step{{perSecond(10), time.Second}, {Rate{1, 3 * time.Second}, 5 * time.Second}, {perSecond(100), 0}}}
	up := &Shape{Kind: ShapeRamp, From: perSecond(10), To: perSecond(30), Over: 10 * time.Second}
	down := &Shape{Kind: ShapeRamp, From: perSecond(30), To: perSecond(10), Over: 10 * time.Second}
	level := &Shape{Kind: ShapeRamp, From: perSecond(10), To: perSecond(10), Over: time.Second}
	sine := &Shape{Kind: ShapeSine, From: perSecond(100), Amplitude: perSecond(50), Over: 10 * time.Second}
	half := &Shape{Kind: ShapeSine, From: perSecond(100), Amplitude: perSecond(50), Over: 10 * time.Second, Phase: 0.5}
	swing := 50 * 10 / math.Pi // what half a sine brings above the mean: amplitude * period / pi
	for _, tt := range []struct {
		name  string
		shape *Shape
		n     float64
		want  time.Duration
	}{
		{"first step", steps, 9, 900 * time.Millisecond},
		{"second step begins with a request", steps, 10, time.Second},
		{"second step", steps, 11, 4 * time.Second},
		{"third step", steps, 12, 6 * time.Second}, // at 7 s the second would have sent again, but it ends at 6 s
		{"third step goes on", steps, 112, 7 * time.Second},
		{"ramp up begins", up, 0, 0},
		{"ramp up at 4 s", up, 10*4 + 4*4, 4 * time.Second}, // 10 t + t t
		{"ramp up at its end", up, 200, 10 * time.Second},
		{"ramp up goes on at 30/s", up, 230, 11 * time.Second},
		{"ramp down at 4 s", down, 30*4 - 4*4, 4 * time.Second},
		{"ramp down goes on at 10/s", down, 210, 11 * time.Second},
		{"level ramp", level, 25, 2500 * time.Millisecond},
		{"sine begins", sine, 0, 0},
		{"sine after a period", sine, 1000, 10 * time.Second},
		{"sine after half", sine, 500 + swing, 5 * time.Second},
		{"sine that begins with its low half", half, 500 - swing, 5 * time.Second},
		{"sine after 1000 periods", sine, 1e6, 10_000 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := tt.shape.schedule(Rate{}, 1000)
			n := uint64(tt.n)
			got := s.At(n)
			// Where the closed form is not at a whole request, the whole ones beside it must lie on both sides.
			if float64(n) != tt.n {
				if got > tt.want || s.At(n+1) < tt.want {
					t.Errorf("At(%d) = %s, At(%d) = %s, want %s between", n, got, n+1, s.At(n+1), tt.want)
				}
				return
			}
			if d := got - tt.want; d < -2 || d > 2 { // nanoseconds: the curves are computed in float64
				t.Errorf("At(%d) = %s, want %s", n, got, tt.want)
			}
		})
	}
}

// The area under the rate up to At(n) is n, and instants do not fall.
func FuzzCurves(f *testing.F) {
	f.Add(uint16(10), uint16(30), uint16(10), 0.25, uint32(100))
	f.Add(uint16(1), uint16(60000), uint16(1), 0.0, uint32(1_000_000))
	f.Fuzz(func(t *testing.T, a, b, over uint16, phase float64, n uint32) {
		from, to, period := float64(max(a, 1)), float64(max(b, 1)), float64(max(over, 1))
		hits := float64(n)
		r := ramp{from, to, period}
		at := r.At(uint64(n)).Seconds()
		area := from*at + (to-from)*at*at/(2*period)
		if at > period {
			area = (from+to)/2*period + to*(at-period)
		}
		near(t, "ramp", area, hits, max(from, to))
		if r.At(uint64(n)+1) < r.At(uint64(n)) {
			t.Error("the ramp goes back")
		}
		if !(phase >= 0 && phase <= 1) {
			return
		}
		s := sine{mean: from + to, amplitude: from, period: period, phase: phase}
		near(t, "sine", s.hits(s.At(uint64(n)).Seconds()), hits, 2*from+to)
		if s.At(uint64(n)+1) < s.At(uint64(n)) {
			t.Error("the sine goes back")
		}
	})
}

// near allows for 10 ns at the given rate and for 12 digits.
func near(t *testing.T, what string, got, want, rate float64) {
	t.Helper()
	if math.Abs(got-want) > rate*1e-8+want*1e-12 {
		t.Errorf("%s: the area is %.9f, want %.9f", what, got, want)
	}
}

func TestPoisson(t *testing.T) {
	const n = 3*poissonStride + 100
	shape := &Shape{Kind: ShapePoisson, Seed: 42}
	inOrder := make([]time.Duration, n)
	s := shape.schedule(perSecond(1000), 1000)
	for i := range inOrder {
		inOrder[i] = s.At(uint64(i))
	}
	if !slices.IsSorted(inOrder) {
		t.Error("instants fall")
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	s = shape.schedule(perSecond(1000), 1000)
	for range 100 { // any order gives the same
		if i := rnd.IntN(n); s.At(uint64(i)) != inOrder[i] {
			t.Fatalf("At(%d) depends on what was asked before", i)
		}
	}
	if other := (&Shape{Kind: ShapePoisson, Seed: 43}).schedule(perSecond(1000), 1000); other.At(5) == inOrder[5] {
		t.Error("another seed gives the same")
	}
	// Gaps are exponential with mean 1 ms: Kolmogorov-Smirnov's distance is below 1.95/sqrt(n) but once in 1000 seeds.
	gaps := make([]float64, n)
	for i, at := range inOrder {
		if gaps[i] = at.Seconds(); i > 0 {
			gaps[i] -= inOrder[i-1].Seconds()
		}
	}
	slices.Sort(gaps)
	worst := 0.0
	for i, g := range gaps {
		f := 1 - math.Exp(-1000*g)
		worst = max(worst, math.Abs(f-float64(i)/n), math.Abs(f-float64(i+1)/n))
	}
	if worst > 1.95/math.Sqrt(n) {
		t.Errorf("the gaps are %.4f from exponential", worst)
	}
}

func TestEnginesKeepTheSchedule(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	forEachEngine(t, func(t *testing.T, build func(EngineOptions, int) ClosableEngine) {
		for name, shape := range map[string]*Shape{
			"steps":   {Kind: ShapeSteps, Steps: []Step{{perSecond(200), 100 * time.Millisecond}, {perSecond(1000), 0}}},
			"ramp":    {Kind: ShapeRamp, From: perSecond(100), To: perSecond(900), Over: 200 * time.Millisecond},
			"poisson": {Kind: ShapePoisson, Seed: 1},
			"closed":  {Kind: ShapeClosed},
		} {
			t.Run(name, func(t *testing.T) {
				p := fastPlan(srv.URL, 100)
				p.Shape = shape
				rs, err := collect(t, build(EngineOptions{}, 8), t.Context(), p)
				if err != nil || len(rs) != 100 {
					t.Fatalf("%d results, %v", len(rs), err)
				}
				s := p.WithDefaults().Schedule()
				for _, r := range rs {
					want := s.At(r.Seq)
					if shape.Kind == ShapeClosed { // sent when it can be, at the ceiling of 1000/s here
						if r.Sent < want {
							t.Fatalf("request %d was sent at %s, above the ceiling", r.Seq, r.Sent)
						}
						want = r.Sent
					}
					if r.Planned != want || r.Sent < r.Planned || r.Status != 200 {
						t.Fatalf("got %+v, want it planned for %s", r, want)
					}
				}
			})
		}
	})
}

func BenchmarkAt(b *testing.B) {
	for name, s := range map[string]Schedule{
		"constant": Constant{perSecond(300_000)},
		"ramp":     ramp{10, 1000, 60},
		"sine":     sine{100, 50, 10, 0},
		"poisson":  newPoisson(1000, 1),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for n := uint64(0); b.Loop(); n++ {
				s.At(n)
			}
		})
	}
}
