// Package export writes stored samples in the formats of other tools: vegeta's gob, CSV and JSON, by vegeta's own
// encoders, and with everything that was measured as NDJSON, or as a table in CSV or Parquet. It reads vegeta's files
// too, so that any load test can be judged after the fact.
//
// It refuses to interpret: it judges nothing, drops nothing and fills no gap, and does not take a file that was cut
// short for a whole one. What a format cannot say (backend, four
// instants, connection) is in NDJSON and tables.
//
// Invariant: a file for vegeta is one that vegeta itself could have written. Per Attack name the sequence numbers run
// from 0 without a gap and time never goes back; vegeta's plot silently loses points of any other file.
package export

import (
	"container/heap"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/splitbench/splitbench/attack"
)

// samples are pulled by whoever writes them; after an error there are no more.
type samples = iter.Seq2[attack.Result, error]

// Clock says which latency is exported. The formats of vegeta have room for one.
type Clock string

// The clocks.
const (
	ResponseTime Clock = "response" // from the planned instant of sending; the default
	ServiceTime  Clock = "service"  // from the actual sending
)

// Facts are what the samples do not say of themselves.
type Facts struct {
	Run      string    // name of the run, vegeta's Attack
	URL      string    // that was asked for
	Method   string    // HTTP method; empty: GET
	Started  time.Time // wall-clock start of the burst, from which the samples' instants count
	Backends []string  // names, by the samples' index

	// Tables alone have room for these.
	Pods   []string // source pods, where several sent: request i is of pod i modulo their number
	Target string   // of a burst of a latency run
	Round  int      // of the target, from 1
}

// Options say how samples are written.
type Options struct {
	Clock Clock // empty: ResponseTime
	// PerBackend names each Attack RUN/BACKEND, so that vegeta's plot draws a line for each backend.
	PerBackend bool
}

// unattributed is in the place of a backend's name where nobody knows it. No Service can be called that.
const unattributed = "(unattributed)"

// The errors that callers act on.
var (
	ErrOptions = errors.New("bad export options")
	ErrSamples = errors.New("samples do not fit together")
)

func (o Options) instant(r attack.Result) time.Duration {
	if o.Clock == ServiceTime {
		return r.Sent
	}
	return r.Planned
}

func (o Options) latency(r attack.Result) time.Duration {
	if o.Clock == ServiceTime {
		return max(r.ServiceTime(), 0)
	}
	return max(r.ResponseTime(), 0)
}

func (f Facts) validate(o Options) error {
	switch {
	case o.Clock != "" && o.Clock != ResponseTime && o.Clock != ServiceTime:
		return fmt.Errorf("%w: clock %q: want response or service", ErrOptions, o.Clock)
	case f.Run == "":
		return fmt.Errorf("%w: the run has no name", ErrOptions)
	case f.Started.IsZero():
		return fmt.Errorf("%w: run %s has no start time", ErrOptions, f.Run)
	}
	return nil
}

// backend is the name of the backend that answered.
func (f Facts) backend(r attack.Result) (string, error) {
	switch {
	case r.Backend == attack.Unattributed:
		return unattributed, nil
	case r.Backend < 0 || int(r.Backend) >= len(f.Backends):
		return "", fmt.Errorf("request %d: backend %d of %d: %w", r.Seq, r.Backend, len(f.Backends), ErrSamples)
	}
	return f.Backends[r.Backend], nil
}

// window is how many samples may wait for an earlier one. Samples come in the order in which requests ended: one that
// waited 30 s for its answer comes after all that others ended meanwhile. A million of them take about 64 MB.
const window = 1 << 20

// inOrder yields the samples by the instant that key gives, and equal instants by sequence number. It holds at most
// limit samples and fails where that is not enough, instead of writing a file out of order.
func inOrder(results samples, key func(attack.Result) time.Duration, limit int) samples {
	return func(yield func(attack.Result, error) bool) {
		pending := &queue{key: key}
		var last time.Duration
		started := false
		next := func() bool {
			r, _ := heap.Pop(pending).(attack.Result) // it holds nothing else
			if started && key(r) < last {
				yield(r, fmt.Errorf("request %d is more than %d samples out of order: %w", r.Seq, limit, ErrSamples))
				return false
			}
			last, started = key(r), true
			return yield(r, nil)
		}
		for r, err := range results {
			if err != nil {
				yield(r, err)
				return
			}
			heap.Push(pending, r)
			if len(pending.items) > limit && !next() {
				return
			}
		}
		for len(pending.items) > 0 {
			if !next() {
				return
			}
		}
	}
}

// queue is a heap of samples, earliest first.
type queue struct {
	key   func(attack.Result) time.Duration
	items []attack.Result
}

func (q *queue) Len() int { return len(q.items) }

func (q *queue) Less(i, j int) bool {
	a, b := q.key(q.items[i]), q.key(q.items[j])
	return a < b || a == b && q.items[i].Seq < q.items[j].Seq
}

func (q *queue) Swap(i, j int) { q.items[i], q.items[j] = q.items[j], q.items[i] }

func (q *queue) Push(x any) {
	if r, ok := x.(attack.Result); ok { // it is given nothing else
		q.items = append(q.items, r)
	}
}

func (q *queue) Pop() any {
	last := len(q.items) - 1
	r := q.items[last]
	q.items = q.items[:last]
	return r
}

// errorText is what vegeta would say of the answer: empty for a success.
func errorText(r attack.Result) string {
	if r.Err != attack.OK {
		return r.Err.String()
	}
	if r.Status < 200 || r.Status >= 400 {
		return "status " + strconv.Itoa(int(r.Status))
	}
	return ""
}
