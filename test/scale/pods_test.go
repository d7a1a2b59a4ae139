// Package scale measures how many pods one splitbench takes.
//
// The pods are the demo's, in a process of their own: real agents behind a real API server's exec over TLS and WebSocket,
// with their batches, histograms, frames and signs of life. Only what sends is not real: it makes up a result for each
// request when it is due, since a million HTTP requests a second are not this machine's. What is measured is the other
// process, a whole run from discovery to the report.
package scale

import (
	"context"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
)

// madeUp is an engine that answers by itself, each request some milliseconds after it is due.
type madeUp struct {
	attack.ClosableEngine // of a plan that nobody carries out
	rng                   *rand.Rand
}

// makesUp is what agents are told.
func makesUp(o *agent.ServeOptions) {
	o.Engine = func(p attack.Plan, eo attack.EngineOptions) attack.ClosableEngine {
		return madeUp{attack.NewEngine(p, eo), rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 7))}
	}
}

// chunk is how often results come: timers of 500 pods are to cost less than what is measured.
const chunk = 50 * time.Millisecond

// Attack implements attack.Engine.
func (m madeUp) Attack(ctx context.Context, p attack.Plan) iter.Seq2[attack.Result, error] {
	return func(yield func(attack.Result, error) bool) {
		began, schedule := time.Now(), p.Schedule()
		for n := range p.Requests {
			due := schedule.At(n)
			took := time.Millisecond + time.Duration(m.rng.ExpFloat64()*float64(time.Millisecond))
			for due+took > time.Since(began) {
				select {
				case <-time.After(chunk):
				case <-ctx.Done():
					yield(attack.Result{}, context.Cause(ctx))
					return
				}
			}
			sent := due + time.Duration(m.rng.IntN(100))*time.Microsecond
			r := attack.Result{
				Seq: n, Planned: due, Sent: sent, FirstByte: sent + took - took/8, Done: sent + took,
				Conn: int32(n % uint64(max(1, p.Connections))), Status: 200, Backend: int16(m.rng.IntN(2)),
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}
