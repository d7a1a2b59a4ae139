package attack

import (
	"math"
	"testing"
	"time"
)

func TestConstantAt(t *testing.T) {
	tests := []struct {
		name string
		rate Rate
		n    uint64
		want time.Duration
	}{
		{"the first request is due at once", Rate{1000, time.Second}, 0, 0},
		{"whole intervals", Rate{1000, time.Second}, 10_000, 10 * time.Second},
		// 10 s * 300000/s: a schedule that added up 3333 ns would be at 9.999 s.
		{"300,000 per second does not drift", Rate{300_000, time.Second}, 3_000_000, 10 * time.Second},
		{"one third per second", Rate{1, 3 * time.Second}, 7, 21 * time.Second},
		{"rounds down to the nanosecond", Rate{3, time.Second}, 1, 333_333_333},
		{"beyond the range of a duration", Rate{1, time.Hour}, math.MaxUint64, math.MaxInt64},
		{"no rate has no instants", Rate{}, 5, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := (Constant{tt.rate}).At(tt.n); got != tt.want {
				t.Errorf("At(%d) = %d ns, want %d", tt.n, got, tt.want)
			}
		})
	}
}

func TestParseRate(t *testing.T) {
	for in, want := range map[string]Rate{
		"1000":                      {1000, time.Second},
		"0.5":                       {1, 2 * time.Second},
		"100/s":                     {100, time.Second},
		"30/m":                      {30, time.Minute},
		"90/h":                      {90, time.Hour},
		"1.5/m":                     {3, 2 * time.Minute},
		"1e3":                       {},
		"":                          {},
		"0":                         {},
		"-1":                        {},
		"NaN":                       {},
		"Inf":                       {},
		"1/2":                       {},
		"1/d":                       {},
		"1/3/s":                     {},
		"0x10":                      {},
		"10000001":                  {},
		"0.00000000000000000000001": {},
	} {
		got, err := ParseRate(in)
		if got != want || (err == nil) != (want.Hits != 0) {
			t.Errorf("ParseRate(%q) = %v, %v, want %v", in, got, err, want)
		}
	}
}

func TestRateRequests(t *testing.T) {
	for _, tt := range []struct {
		rate Rate
		d    time.Duration
		want uint64
	}{
		{Rate{50, time.Second}, 10 * time.Second, 500},
		{Rate{1, 3 * time.Second}, 10 * time.Second, 4}, // at 0, 3, 6 and 9 s
		{Rate{1000, time.Second}, 0, 0},
		{Rate{math.MaxUint64, time.Nanosecond}, time.Hour, math.MaxUint64},
	} {
		if got := tt.rate.Requests(tt.d); got != tt.want {
			t.Errorf("%v.Requests(%s) = %d, want %d", tt.rate, tt.d, got, tt.want)
		}
	}
}

func FuzzParseRate(f *testing.F) {
	for _, s := range []string{"1000", "0.5", "30/m", "1/2", "-", "9999999.999/s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRate(s)
		if err != nil {
			return
		}
		if p := r.PerSecond(); !(p > 0 && p <= maxPerSecond*(1+1e-9)) {
			t.Fatalf("ParseRate(%q) = %v, %g per second", s, r, p)
		}
		if at := (Constant{r}).At(1); at < 0 {
			t.Fatalf("ParseRate(%q): request 1 at %d", s, at)
		}
	})
}
