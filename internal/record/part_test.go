package record

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/splitbench/splitbench/attack"
)

// Whatever a plan counts is shared out whole between any number of pods: the parts add up, no two differ by more than one,
// and the requests of all parts together are due when those of the plan are.
func TestPartsOfAPlanAddUp(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 500))
	for range 2000 {
		n := 1 + rng.IntN(500)
		p := attack.Plan{
			Rate: attack.Rate{Hits: 1 + rng.Uint64N(2_000_000), Per: time.Second}, Requests: uint64(n) + rng.Uint64N(1e6),
			WarmUp: rng.Uint64N(2000), Connections: n + rng.IntN(5000),
		}
		var sum attack.Plan
		first := PartOf(p, 0, n)
		for k := range n {
			part := PartOf(p, k, n)
			sum.Requests, sum.WarmUp = sum.Requests+part.Requests, sum.WarmUp+part.WarmUp
			sum.Connections += part.Connections
			if part.Connections < 1 || part.Requests < 1 || first.Requests-part.Requests > 1 || first.WarmUp-part.WarmUp > 1 ||
				first.Connections-part.Connections > 1 {
				t.Fatalf("pod %d of %d has %+v of %+v", k, n, part, p)
			}
			i := rng.Uint64N(part.Requests)
			due, own := p.Schedule().At(i*uint64(n)+uint64(k)), part.Schedule().At(i)+Stagger(p, k)
			if (due - own).Abs() > time.Microsecond {
				t.Fatalf("request %d of pod %d of %d is due at %s, in the plan at %s", i, k, n, own, due)
			}
		}
		if sum.Requests != p.Requests || sum.WarmUp != p.WarmUp || sum.Connections != p.Connections {
			t.Fatalf("the parts of %d pods add up to %+v, the plan is %+v", n, sum, p)
		}
	}
}
