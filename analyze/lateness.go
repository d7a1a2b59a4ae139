package analyze

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Sending is one request as its generator saw it, from the start of the burst on a monotonic clock.
type Sending struct {
	Planned time.Duration // when it should have been sent
	Sent    time.Duration // when it was
	Done    time.Duration // when its answer was complete
}

// Lags says how late each request was sent by the generator's own fault, and near how late the requests sent just
// before it were at most, itself included: what a generator sends late it sends in a volley, behind which others wait.
// A volley is taken to have gone by once its answers have come, or as much time has passed as it was late. requests are
// in the order of their sending. One that was due while all connections were busy waited for the target, which is the
// target's time: its lag begins with the instant at which a connection would have been free, had the generator been on
// time so far. What it sent late itself keeps no connection busy.
func Lags(requests []Sending, connections int) (own, near []int64) {
	own, near = make([]int64, len(requests)), make([]int64, len(requests))
	var busy []time.Duration // the last ends, one for each connection, had all requests so far been sent when due
	var volley []late        // none of which another exceeds in both
	for i, r := range requests {
		due := r.Planned
		if connections > 0 && len(busy) == connections {
			due = max(due, busy[0])
		}
		lag := max(0, r.Sent-due)
		end := due + r.Done - r.Sent
		at, _ := slices.BinarySearch(busy, end)
		if busy = slices.Insert(busy, at, end); connections > 0 && len(busy) > connections {
			busy = busy[1:]
		}
		until := min(r.Done, r.Sent+lag)
		volley = slices.DeleteFunc(volley, func(x late) bool {
			return x.until <= r.Sent || x.by <= lag && x.until <= until
		})
		worst := lag
		for _, x := range volley {
			worst = max(worst, x.by)
		}
		volley = append(volley, late{lag, until})
		own[i], near[i] = int64(lag), int64(worst)
	}
	return own, near
}

// late is a request that was sent late: by how much, and until when others may wait because of it.
type late struct {
	by, until time.Duration
}

// Lateness bounds how far a late generator may have made times longer than they would have been: all but a share of
// them are too long by so much at most, for several shares. The zero value says that none is.
type Lateness struct {
	steps []lateStep
	own   []int64 // every request's lag, ascending
}

type lateStep struct {
	share float64 // of the values, too long by whatever
	by    float64 // the others, at most; the samples' unit
	drawn bool    // which values are of the share was drawn apart from how long they are
}

// lateShares are the shares whose lags are tried: the one that widens a range least is taken.
func lateShares() []float64 { return []float64{0, .001, .002, .005, .01, .02, .05, .1, .2, .3, .4} }

// Reading is what is known of how late answers were read.
type Reading struct {
	Unknown float64 // share of the requests of which it is not known; what is known of the others is not in the times
	Frozen  float64 // how often, for each request, the generator was kept from running
}

// NewLateness takes what Lags gives of all requests. Where it is not known how late answers were read, it was as late
// as often as the sending, because both wait for the same to wake up, and once more each time that the generator was
// kept from running, which its own work brings about. The lag of half of the requests is no lateness: no client wakes
// up faster.
func NewLateness(own, near []int64, r Reading) Lateness {
	near = slices.Sorted(slices.Values(near))
	return newLateness(own, r, func(after int64) float64 { return above(near, after) }, false)
}

// LatenessOnTime is what remains where all requests are left out that were sent late, kept being the share that is
// left: that of reading. Whether the generator sleeps when an answer comes has nothing to do with how long that took,
// so that as many of the short times are concerned as of the long ones.
func LatenessOnTime(own []int64, r Reading, kept float64) Lateness {
	l := newLateness(own, r, func(int64) float64 { return 0 }, true)
	for i := range l.steps {
		l.steps[i].share = math.Min(1, l.steps[i].share/kept)
	}
	return l
}

func newLateness(own []int64, r Reading, sent func(after int64) float64, drawn bool) (l Lateness) {
	if len(own) == 0 {
		return l
	}
	own = slices.Sorted(slices.Values(own))
	l.own = own
	usual := Quantile(own, 0.5)
	for _, e := range lateShares() {
		after := max(Quantile(own, 1-e), usual)
		l.steps = append(
			l.steps,
			lateStep{share: sent(after) + r.Unknown, drawn: drawn},
			lateStep{share: sent(after) + above(own, after) + r.Frozen, by: float64(after - usual), drawn: drawn},
		)
	}
	return l
}

// above is the share of an ascending sample above a value.
func above(sorted []int64, v int64) float64 {
	at, _ := slices.BinarySearch(sorted, v+1)
	return float64(len(sorted)-at) / float64(len(sorted))
}

// Bound has every interval of b hold what times would have been without the generator's lateness. least are the values
// in any order, each without what is known to be the generator's own; nil: the values themselves. Errors wrap ErrInput.
func (b *Blocks) Bound(least []int64, l Lateness) error {
	if least != nil && len(least) != len(b.sorted) {
		return inputErrorf("bound: %d values, want one for each of %d", len(least), len(b.sorted))
	}
	b.least, b.late = b.sorted, l
	if least != nil {
		b.least = slices.Sorted(slices.Values(least))
	}
	return nil
}

// lowered is how low a quantile may lie that is v in the sample: the highest that some step shows.
func (b *Blocks) lowered(v float64) float64 {
	if len(b.late.steps) == 0 || math.IsInf(v, 0) {
		return v
	}
	n, rank := float64(len(b.sorted)), len(b.sorted)
	if v < math.MaxInt64 {
		rank, _ = slices.BinarySearch(b.sorted, int64(v)+1)
	}
	low := 0.0
	for _, s := range b.late.steps {
		share := s.share
		if s.drawn {
			share *= float64(rank) / n
		}
		if at := rank - int(math.Ceil(share*n-1e-9)); at >= 1 {
			low = math.Max(low, float64(b.least[at-1])-s.by)
		}
	}
	return math.Min(low, v)
}

// WhyLate is the Why of a Reason where more blocks would not tell because the generator was late.
const WhyLate = "late"

// most is how much of a quantile may be the generator's for it to be stated.
const most = 0.5

// Late says why a quantile is not stated, with how late the generator was; "" where it is.
func (b *Blocks) Late(q float64) string {
	if len(b.sorted) == 0 {
		return ""
	}
	value := float64(b.Quantile(q))
	if value-b.lowered(value) <= most*value {
		return ""
	}
	own := b.late.own
	matters := Quantile(own, 0.5) + int64(value/10)
	return fmt.Sprintf("would be the generator's as much as the target's: of the requests it sent %.2g %% more than %s "+
		"late, "+
		"one of them by %s", 100*above(own, matters), lateText(matters), lateText(own[len(own)-1]))
}

// lateText is a time to three digits.
func lateText(ns int64) time.Duration {
	d, unit := time.Duration(ns), time.Microsecond
	for d >= 1000*unit {
		unit *= 10
	}
	return d.Round(unit)
}

// bias is how much of a quantile may be the generator's.
func (x blockQuantile) bias() float64 {
	return float64(x.value) - x.b.lowered(float64(x.value))
}
