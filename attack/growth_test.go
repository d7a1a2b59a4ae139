package attack

import (
	"flag"
	"runtime"
	"testing"
	"time"
)

var growth = flag.Uint64("growth", 300_000, "requests of TestH1DoesNotGrow; 10000000 take a minute")

// A burst of any length takes no more memory than a short one.
func TestH1DoesNotGrow(t *testing.T) {
	srv, err := newResponder(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	p := Plan{
		URL: "http://" + srv.Addr().String(), Shape: &Shape{Kind: ShapeClosed}, Requests: *growth, Connections: 8, MaxRate: maxPerSecond,
		MaxRequests: *growth, Rules: []Rule{{Backend: 1, Kind: RuleJSON, Key: "/message", Values: []string{"hello"}}},
	}
	var s Summary
	var early uint64
	for r, err := range newTestH1(t, 8).Attack(t.Context(), p) {
		if err != nil {
			t.Fatal(err)
		}
		if s.Add(r); s.Requests == *growth/10 {
			early = heap()
		}
	}
	late := heap()
	if s.Requests != *growth || s.ByRule[1] != *growth {
		t.Fatalf("%d results, %v", s.Requests, s.Errors)
	}
	t.Logf("%d requests in %s: %d KiB after a tenth of them, %d KiB in the end", s.Requests, s.LastDone.Round(time.Millisecond), early>>10, late>>10)
	// Both buffers of results may have grown to the 65,536 that may wait.
	if most := early + 2*maxPending*80 + 1<<20; late > most {
		t.Errorf("%d KiB are in use after a tenth of the requests, %d KiB in the end", early>>10, late>>10)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
