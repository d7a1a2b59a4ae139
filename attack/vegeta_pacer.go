//go:build !splitbench_agent

package attack

import (
	"slices"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// FromPacer asks a vegeta pacer for the instants of n requests, as an attack that is never late would, and returns them as
// a shape to put into a plan. It holds fewer where the pacer stops before, and at most 1,000,000.
func FromPacer(p vegeta.Pacer, n uint64) *Shape {
	n = min(n, maxOffsets)
	out := make([]time.Duration, 0, n)
	at := time.Duration(0)
	for hits := range n {
		wait, stop := p.Pace(at, hits)
		if stop {
			break
		}
		at = later(at, max(wait, 0))
		out = append(out, at)
	}
	return &Shape{Kind: ShapeReplay, Offsets: slices.Clip(out)}
}
