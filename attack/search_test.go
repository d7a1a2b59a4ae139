package attack

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestSearchFindsACapacity(t *testing.T) {
	for name, tt := range map[string]struct {
		search   Search
		capacity float64 // requests per second that are borne
		best     bool
		most     int // trials
	}{
		"above the first rate":   {Search{From: 100, To: 1e6}, 12_345, true, 20},
		"below the first rate":   {Search{From: 100, To: 1e6}, 7, false, 1},
		"the ceiling":            {Search{From: 100, To: 1000}, 1e9, true, 5},
		"nothing":                {Search{From: 100, To: 1000}, 0, false, 1},
		"too many trials":        {Search{From: 0.001, To: 1e6}, 1e9, true, searchTrials},
		"exactly the first rate": {Search{From: 100, To: 1e6}, 100, true, 20},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := tt.search.Run(t.Context(), func(_ context.Context, rate float64) (Trial, error) {
				trial := Trial{Reached: rate}
				if rate > tt.capacity {
					trial.ErrorShare = 0.5
				}
				return trial, nil
			})
			want := min(tt.capacity, tt.search.To)
			if !tt.best { // the first rate is the floor
				want = 0
			}
			for _, trial := range found.Trials {
				if trial.Rate < tt.search.From {
					t.Errorf("%g/s were tried, below the floor of %g/s", trial.Rate, tt.search.From)
				}
			}
			if err != nil || len(found.Trials) > tt.most || (found.Best > 0) != tt.best || found.Best > want ||
				len(found.Trials) != searchTrials && found.Best < want*(1-searchWithin)-1e-9 || found.Why == "" {
				t.Errorf("best %g, fail %g after %d trials (%s), %v; want %g", found.Best, found.Fail, len(found.Trials), found.Why, err, want)
			}
			if found.Fail > 0 && found.Fail <= tt.capacity {
				t.Errorf("%g/s is said to fail; %g/s are borne", found.Fail, tt.capacity)
			}
		})
	}
}

func TestSearchHoldsToItsLimits(t *testing.T) {
	s := Search{From: 100, To: 100, ResponseTime: 50 * time.Millisecond}
	for name, tt := range map[string]struct {
		trial Trial
		ok    bool
	}{
		"kept":             {Trial{Reached: 100, P99: 50 * time.Millisecond}, true},
		"one request":      {Trial{}, false},
		"errors":           {Trial{Reached: 100, ErrorShare: 0.001}, false},
		"slow":             {Trial{Reached: 100, P99: 51 * time.Millisecond}, false},
		"a late client":    {Trial{Reached: 100, Late: []string{"late"}}, false},
		"not all was sent": {Trial{Reached: 90}, false},
	} {
		found, err := s.Run(t.Context(), func(context.Context, float64) (Trial, error) { return tt.trial, nil })
		if err != nil || found.Trials[0].OK != tt.ok || (found.Trials[0].Why == "") != tt.ok {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
	broken := errors.New("gone")
	if _, err := s.Run(t.Context(), func(context.Context, float64) (Trial, error) { return Trial{}, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	for _, bad := range []Search{{}, {From: 2, To: 1}, {From: math.NaN(), To: 1}, {From: 1, To: 2, ResponseTime: -1}, {From: 1, To: 1e9}} {
		if err := bad.Validate(); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

// A server that works on two requests at a time, 4 ms on each, bears 500/s. Half a second of r/s leaves a backlog of
// (r-500)/2 requests, which is more than the 200 ms allowed from 700/s on. A sleep of 4 ms takes longer on a busy machine,
// which lowers what is borne.
func TestSearchOnAServerOfKnownCapacity(t *testing.T) {
	slots := make(chan struct{}, 2)
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		slots <- struct{}{}
		time.Sleep(4 * time.Millisecond) // the server's work
		<-slots
	}))
	defer srv.Close()
	e := newTestH1(t, 256)
	s := Search{From: 50, To: 10_000, ResponseTime: 200 * time.Millisecond}
	found, err := s.Run(t.Context(), func(ctx context.Context, rate float64) (Trial, error) {
		p := fastPlan(srv.URL, uint64(rate/2)) // half a second
		p.Rate, p.Connections = Rate{uint64(rate), time.Second}, 256
		var sum Summary
		for r, err := range e.Attack(ctx, p) {
			if err != nil {
				return Trial{}, err
			}
			sum.Add(r)
		}
		trial := sum.Trial(0)
		trial.Late = nil // whoever else uses this machine is not the matter here
		return trial, nil
	})
	if err != nil || found.Best < 100 || found.Best > 800 || found.Fail == 0 {
		t.Errorf("best %g/s, fails at %g/s (%s), %v", found.Best, found.Fail, found.Why, err)
	}
}
