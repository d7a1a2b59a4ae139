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
	"runtime"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
)

// madeUp is an engine that answers by itself, each request some milliseconds after it is due.
type madeUp struct {
	attack.ClosableEngine // of a plan that nobody carries out
	rng                   *rand.Rand
	turns                 chan struct{} // of all pods
}

// makesUp is what agents are told.
func makesUp() func(o *agent.ServeOptions) {
	turns := make(chan struct{}, runtime.GOMAXPROCS(0))
	return func(o *agent.ServeOptions) {
		o.Engine = func(p attack.Plan, eo attack.EngineOptions) attack.ClosableEngine {
			return madeUp{attack.NewEngine(p, eo), rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 7)), turns}
		}
	}
}

// chunk is how often results come: timers of 500 pods are to cost less than what is measured.
const chunk = 50 * time.Millisecond

// Attack implements attack.Engine. Pods have machines of their own; here they take turns, or 500 of them that want to
// compute would keep each other from answering their clients.
func (m madeUp) Attack(ctx context.Context, p attack.Plan) iter.Seq2[attack.Result, error] {
	return func(yield func(attack.Result, error) bool) {
		began, schedule := time.Now(), p.Schedule()
		for n := uint64(0); n < p.Requests; {
			end := schedule.At(n) + chunk
			select {
			case <-time.After(end - time.Since(began)):
			case <-ctx.Done():
				yield(attack.Result{}, context.Cause(ctx))
				return
			}
			m.turns <- struct{}{}
			more := true
			for ; more && n < p.Requests && schedule.At(n) < end; n++ {
				more = yield(m.answer(p, n, schedule.At(n)), nil)
			}
			<-m.turns
			if !more {
				return
			}
		}
	}
}

func (m madeUp) answer(p attack.Plan, n uint64, due time.Duration) attack.Result {
	sent := due + time.Duration(m.rng.IntN(100))*time.Microsecond
	took := time.Millisecond + time.Duration(m.rng.ExpFloat64()*float64(time.Millisecond))
	return attack.Result{
		Seq: n, Planned: due, Sent: sent, FirstByte: sent + took - took/8, Done: sent + took,
		Conn: int32(n % uint64(max(1, p.Connections))), Status: 200, Backend: int16(m.rng.IntN(2)),
	}
}
