package judge

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/wire"
)

// A tally of n requests, one a millisecond, drawn by 50/50 and from change on by 90/10.
func twoParts(n, change int) *Tally {
	rng := rand.New(rand.NewPCG(1, 2))
	t := NewTally(2)
	for i := range n {
		east := 0.5
		if i >= change {
			east = 0.1
		}
		r := attack.Result{Seq: uint64(i), Sent: time.Duration(i) * time.Millisecond, Status: 200, Conn: -1}
		if rng.Float64() < east {
			r.Backend = 1
		}
		t.Add(r)
	}
	t.sorted()
	return t
}

// Of a write at 1 s that the data plane follows 0.4 s later, the delay is found; of one that nothing follows, that is said.
func TestPropagation(t *testing.T) {
	t.Parallel()
	began := time.Unix(1_764_000_000, 0)
	m := record.Manifest{
		Weights: analyze.Weights{{Backend: "podinfo", W: 50}, {Backend: "podinfo-east", W: 50}}, Options: analyze.DefaultOptions(),
		Clock: record.Clock{LowNs: int64(3*time.Second) - 2e6, HighNs: int64(3*time.Second) + 2e6, Known: true}, // the pod is 3 s ahead
		Moves: []record.Move{{
			At: began.Add(time.Second), What: "TrafficSplit test/podinfo", Law: true,
			Weights: analyze.Weights{{Backend: "podinfo", W: 90}, {Backend: "podinfo-east", W: 10}},
		}},
	}
	totals := wire.Totals{StartedUnixNs: began.Add(3 * time.Second).UnixNano()}
	got := segments(m, twoParts(4000, 1400), totals)
	if len(got) != 2 || got[1].Propagation.Seconds == nil {
		t.Fatalf("segments %+v", got)
	}
	// The place of the change is known to within a few requests: each tells some 0.5 nats.
	if s := *got[1].Propagation.Seconds; s < 0.37 || s > 0.43 || got[1].Propagation.ClockErrorMs != 2 {
		t.Errorf("propagation %+v", got[1].Propagation)
	}
	if lo, hi := *got[1].Propagation.LowSeconds, *got[1].Propagation.HighSeconds; lo > 0.4 || hi < 0.4 {
		t.Errorf("0.4 s is not within %g to %g s", lo, hi)
	}
	got = segments(m, twoParts(4000, 4000), totals)
	if len(got) != 2 || got[1].Propagation.Seconds != nil || !strings.Contains(got[1].Propagation.Why, "do not show") || got[1].Outcome != report.Fail {
		t.Errorf("nothing followed, and the segments are %+v", got)
	}
}
