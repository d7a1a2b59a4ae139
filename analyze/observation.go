package analyze

import (
	"cmp"
	"slices"
	"time"
)

// Observation is one request, for the questions that counts cannot answer. Times are from the start of the run on the
// client's monotonic clock.
type Observation struct {
	Seq     uint64        // position in the order in which requests were sent
	Planned time.Duration // when it should have been sent
	Sent    time.Duration // when it was
	Done    time.Duration // when its answer was complete
	Backend int           // position in Weights; -1: unattributed
	Conn    int           // connection, from 0; -1 where the generator cannot know
	Pod     int           // source pod, from 0; -1 where there is only one or nobody knows
	OK      bool          // answered, and not an error
}

// Tally counts requests per backend. Add costs no allocation. The zero value is not usable; NewTally makes one.
type Tally struct {
	counts Counts
}

// NewTally starts an empty tally for the backends of w.
func NewTally(w Weights) *Tally { return &Tally{counts: Counts{N: make([]int64, len(w))}} }

// Add counts one request; a backend outside the weights counts as unattributed.
func (t *Tally) Add(backend int) {
	if backend < 0 || backend >= len(t.counts.N) {
		t.counts.Unattributed++
		return
	}
	t.counts.N[backend]++
}

// Counts is a copy of the tally so far.
func (t *Tally) Counts() Counts {
	return Counts{N: slices.Clone(t.counts.N), Unattributed: t.counts.Unattributed}
}

// LagResult says whether the client itself kept its schedule: a latency measured by a generator that could not keep
// up belongs to the generator. Durations; Service is Done-Sent, Response is Done-Planned (what a user who wanted an
// answer at the planned instant waited).
type LagResult struct {
	Requests            int           // answered ones
	LagP50              time.Duration // of Sent-Planned
	LagP99              time.Duration // 99th percentile
	ServiceP50          time.Duration // of Done-Sent
	ServiceP99          time.Duration // 99th percentile
	ResponseP50         time.Duration // of Done-Planned
	ResponseP99         time.Duration // 99th percentile
	ClientLimited       bool          // the 99th percentile of the lag is above a tenth of the median service time
	PercentilesAreFacts bool          // enough samples for an interval of the 99th percentile at level 0.95 (368)
}

// ScheduleLag compares planned and actual send times of answered requests. A closed loop, which has no plan (all
// Planned equal to Sent), has no lag to see.
func ScheduleLag(observations []Observation) LagResult {
	var lag, service, response []int64
	for _, o := range observations {
		if o.Done < o.Sent || o.Done == 0 {
			continue
		}
		lag = append(lag, int64(max(0, o.Sent-o.Planned)))
		service = append(service, int64(o.Done-o.Sent))
		response = append(response, int64(o.Done-o.Planned))
	}
	for _, x := range [][]int64{lag, service, response} {
		slices.Sort(x)
	}
	at := func(x []int64, q float64) time.Duration { return time.Duration(Quantile(x, q)) }
	out := LagResult{
		Requests: len(lag), LagP50: at(lag, 0.5), LagP99: at(lag, 0.99),
		ServiceP50: at(service, 0.5), ServiceP99: at(service, 0.99),
		ResponseP50: at(response, 0.5), ResponseP99: at(response, 0.99),
		PercentilesAreFacts: len(lag) >= MinSamples(0.99, 0.95),
	}
	out.ClientLimited = out.LagP99*10 > out.ServiceP50 && out.Requests > 0
	return out
}

// inOrder are the observations by Seq; the slice itself where they are so already.
func inOrder(observations []Observation) []Observation {
	by := func(a, b Observation) int { return cmp.Compare(a.Seq, b.Seq) }
	if slices.IsSortedFunc(observations, by) {
		return observations
	}
	out := slices.Clone(observations)
	slices.SortStableFunc(out, by)
	return out
}
