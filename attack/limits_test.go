package attack

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// forEachPool runs a test on every engine that carries out all of a plan.
func forEachPool(t *testing.T, test func(t *testing.T, build func(EngineOptions, int) ClosableEngine)) {
	forEachEngine(t, func(t *testing.T, build func(EngineOptions, int) ClosableEngine) {
		if !strings.HasSuffix(t.Name(), "/vegeta") {
			test(t, build)
		}
	})
}

func TestGuard(t *testing.T) {
	at := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	ok := func(n int) Result { return Result{Planned: at(n), Sent: at(n), Done: at(n + 1), Status: 200} }
	bad := func(n int) Result { return Result{Planned: at(n), Sent: at(n), Done: at(n + 1), Status: 503} }
	noDial := func(n int) Result {
		return Result{Planned: at(n), Sent: at(n), Done: at(n + 1), Err: ErrDial, Conn: UnknownConn}
	}
	for name, tt := range map[string]struct {
		limits Limits
		result func(n int) Result
		reason AbortReason
		after  int // results
	}{
		"half of them failed":        {Limits{ErrorShare: 0.4}, func(n int) Result { return []Result{ok(n), bad(n)}[n%2] }, AbortErrors, 2001},
		"as many as are allowed":     {Limits{ErrorShare: 0.51}, func(n int) Result { return []Result{ok(n), bad(n)}[n%2] }, "", 0},
		"a shorter window":           {Limits{ErrorShare: 0.4, ErrorWindow: 100 * time.Millisecond}, bad, AbortErrors, 101},
		"too few to tell":            {Limits{ErrorShare: 0.4, ErrorWindow: 5 * time.Millisecond}, bad, AbortErrors, 20},
		"no connection":              {Limits{DialFailures: 7}, noDial, AbortDialFailures, 7},
		"no connection now and then": {Limits{DialFailures: 2}, func(n int) Result { return []Result{ok(n), noDial(n)}[n%2] }, "", 0},
		"slow": {Limits{ResponseTime: 3 * time.Millisecond}, func(n int) Result {
			r := ok(n)
			if n%50 == 0 {
				r.Done += 5 * time.Millisecond
			}
			return r
		}, AbortResponseTime, 2001},
		"slow, but seldom": {Limits{ResponseTime: 3 * time.Millisecond}, func(n int) Result {
			r := ok(n)
			if n%200 == 0 {
				r.Done += 5 * time.Millisecond
			}
			return r
		}, "", 0},
		"late": {Limits{Lateness: 10 * time.Millisecond}, func(n int) Result {
			r := ok(n)
			r.Sent += time.Duration(n) * 100 * time.Microsecond
			return r
		}, AbortLateness, 102},
		"dropped ones were never asked": {Limits{ErrorShare: 0.01, DialFailures: 1}, func(n int) Result { return Result{Planned: at(n), Err: ErrDropped} }, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuard(Plan{GiveUpAfter: 10_000, Limits: &tt.limits})
			for n := range 5000 {
				if why := g.see(tt.result(n)); why != nil {
					abort, ok := why.(*AbortError)
					if !ok {
						t.Fatal(why)
					}
					if abort.Reason != tt.reason || n+1 != tt.after || abort.Saw == "" {
						t.Errorf("%s (%s) after %d results, want %s after %d", abort.Reason, abort.Saw, n+1, tt.reason, tt.after)
					}
					return
				}
			}
			if tt.reason != "" {
				t.Errorf("no abort")
			}
		})
	}
}

// Every limit ends a burst within a second, with its reason, and what was in flight has its result.
func TestEnginesKeepLimits(t *testing.T) {
	t.Parallel()
	endless := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat("x", 32<<10)); err != nil {
				return
			}
		}
	}
	for name, tt := range map[string]struct {
		limits  Limits
		handler http.HandlerFunc
		reason  AbortReason
	}{
		"errors":                          {Limits{ErrorShare: 0.1, ErrorWindow: 100 * time.Millisecond}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, AbortErrors},
		"time":                            {Limits{Time: 200 * time.Millisecond}, func(http.ResponseWriter, *http.Request) {}, AbortTime},
		"bytes of an endless body":        {Limits{Bytes: 10 << 20}, endless, AbortBytes},
		"time, while nothing is answered": {Limits{Time: 200 * time.Millisecond}, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, AbortTime},
	} {
		t.Run(name, func(t *testing.T) {
			forEachEngine(t, func(t *testing.T, build func(EngineOptions, int) ClosableEngine) {
				if tt.reason == AbortBytes && strings.HasSuffix(t.Name(), "/vegeta") {
					t.Skip("vegeta does not count bytes: Plan.Validate refuses this limit, see TestPlanValidate")
				}
				srv := httptest.NewServer(tt.handler)
				defer srv.Close()
				p := fastPlan(srv.URL, 50_000)
				p.Limits, p.Connections = &tt.limits, 4
				began := time.Now()
				rs, err := collect(t, build(EngineOptions{}, 4), t.Context(), p)
				var abort *AbortError
				if !errors.As(err, &abort) || abort.Reason != tt.reason || len(rs) == 0 || len(rs) == 50_000 {
					t.Errorf("%d results, %v; want reason %s", len(rs), err, tt.reason)
				}
				if took := time.Since(began); took > tt.limits.Time+tt.limits.ErrorWindow+5*time.Second {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

// What is due while every connection is busy waits, is dropped and counted, or ends the burst, as the plan says.
func TestSaturation(t *testing.T) {
	t.Parallel()
	forEachPool(t, func(t *testing.T, build func(EngineOptions, int) ClosableEngine) {
		srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			time.Sleep(20 * time.Millisecond) // the server's work
		}))
		defer srv.Close()
		p := fastPlan(srv.URL, 2000)
		p.Connections, p.Saturation = 2, SaturationDrop
		rs, err := collect(t, build(EngineOptions{}, 2), t.Context(), p)
		if err != nil || len(rs) != 2000 {
			t.Fatalf("%d results, %v", len(rs), err)
		}
		seen := map[uint64]bool{}
		sent := 0
		for _, r := range rs {
			seen[r.Seq] = true
			switch {
			case r.Err == OK && r.Status == 200:
				sent++
			case r.Err != ErrDropped || r.Status != 0 || r.Sent != r.Planned || r.Conn != UnknownConn:
				t.Errorf("got %+v", r)
			}
		}
		// 2 s and a little, 20 ms for each, 2 at a time: 202 at most, one of a pair more for the edges. How many fewer is the
		// machine's doing; that connections are used again is not.
		if len(seen) != 2000 || sent < 3 || sent > 204 {
			t.Errorf("%d different requests, %d sent", len(seen), sent)
		}
		p.Saturation = SaturationAbort
		rs, err = collect(t, build(EngineOptions{}, 2), t.Context(), p)
		var abort *AbortError
		if !errors.As(err, &abort) || abort.Reason != AbortSaturated || len(rs) != 2 {
			t.Errorf("%d results, %v", len(rs), err)
		}
	})
}

// Which of several connections at rest is used follows the plan.
func TestOrder(t *testing.T) {
	forEachPool(t, func(t *testing.T, build func(EngineOptions, int) ClosableEngine) {
		for order, want := range map[Order]func(map[int32]int) bool{
			OrderLIFO: func(n map[int32]int) bool { // the eight that were needed at first, then mostly one
				most := 0
				for _, k := range n {
					most = max(most, k)
				}
				return most > 30
			},
			OrderFIFO: func(n map[int32]int) bool { // all in turn
				for _, k := range n {
					if k < 5 || k > 25 {
						return false
					}
				}
				return len(n) == 8
			},
			OrderRandom: func(n map[int32]int) bool { return len(n) == 8 && n[0] < 50 }, // 100 draws leave out one of 8 with probability 1.3e-5: of one seed
		} {
			t.Run(string(order), func(t *testing.T) {
				// The first eight requests come at once and wait for each other, so that there are eight connections; the others
				// come one by one, each when all eight are at rest.
				var together sync.WaitGroup
				together.Add(8)
				srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/together" {
						together.Done()
						together.Wait()
					}
				}))
				defer srv.Close()
				e := build(EngineOptions{}, 8)
				first := fastPlan(srv.URL+"/together", 8)
				first.Order = order
				if rs, err := collect(t, e, t.Context(), first); err != nil || len(used(rs)) != 8 {
					t.Fatalf("%d connections, %v", len(used(rs)), err)
				}
				p := fastPlan(srv.URL, 100)
				p.Order, p.Connections, p.Rate = order, 8, Rate{200, time.Second}
				rs, err := collect(t, e, t.Context(), p)
				if err != nil || len(rs) != 100 || !want(used(rs)) {
					t.Errorf("%d results over %v, %v", len(rs), used(rs), err)
				}
			})
		}
	})
}

// A process that may open no more files says so, and not that the server was not there.
func TestNoMoreFilesIsAClassOfItsOwn(t *testing.T) {
	forEachPool(t, func(t *testing.T, build func(EngineOptions, int) ClosableEngine) {
		e := build(EngineOptions{Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.EMFILE}
		}}, 2)
		rs, err := collect(t, e, t.Context(), fastPlan("http://podinfo", 3))
		if err != nil || len(rs) != 3 || rs[0].Err != ErrFiles {
			t.Errorf("%+v, %v", rs, err)
		}
	})
}

func TestSpinningSendsOnTime(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	p := fastPlan(srv.URL, 200)
	p.Spin = true
	rs, err := collect(t, newTestH1(t, 8), t.Context(), p)
	if err != nil || len(rs) != 200 {
		t.Fatalf("%d results, %v", len(rs), err)
	}
	for _, r := range rs {
		if r.SendLag() < 0 || r.Status != 200 {
			t.Errorf("got %+v", r)
		}
	}
}
