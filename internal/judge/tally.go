package judge

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/wire"
)

// Bounds of what a tally keeps of each single request; counts are exact for any number.
const (
	maxTimes        = 1 << 19 // requests whose times are kept; of more, one in 2, 4, 8 ... by their numbers
	maxObservations = 1 << 18 // requests whose order is kept; of more, none
)

// Tally counts results as they come, live or from a stored run.
type Tally struct {
	counts       analyze.Counts
	unknown      int64     // of Unattributed: complete answers that no rule matched
	backends     []answers // by backend
	rest         answers   // unattributed
	lags         []int64   // nanoseconds
	stride       uint64    // times are kept of every stride-th request
	times        int       // requests whose times are kept
	outcomes     wire.Tally
	observations []analyze.Observation
	first, last  time.Duration // instants of the first and the last sending
	windows      windows
	cost         costTimes
	N            uint64
	late         uint64           // requests that were sent late, or not at all because the plan drops what would be
	turns        bool             // the counts are as near to the weights as turns by weight keep them
	Pods         int              // source pods: request n is of pod n mod pods
	byPod        []analyze.Counts // where there is more than one
	lost         map[int][]span   // by pod: requests whose stream broke before their result came
}

// NewTally counts the answers of that many backends.
func NewTally(backends int) *Tally {
	return &Tally{
		counts: analyze.Counts{N: make([]int64, backends)}, backends: make([]answers, backends), stride: 1,
		windows: newWindows(backends),
	}
}

// Add counts one result.
func (t *Tally) Add(r attack.Result) {
	if r.Err == attack.ErrDropped || r.SendLag() > attack.LateAfter {
		t.late++
	}
	if r.Err == attack.ErrDropped { // it was never sent: no draw of the split, and nothing to time
		t.outcomes.Add(r)
		t.N++
		return
	}
	a := t.answersOf(r.Backend)
	if a == &t.rest && r.Status != 0 && r.Status < 500 {
		t.unknown++
	}
	t.counts.Add(int(r.Backend), 1)
	if r.Err == attack.ErrLost {
		t.lose(r.Seq)
	}
	t.countByPod(t.podOf(r), int(r.Backend))
	t.outcomes.Add(r)
	t.time(a, r)
	t.observe(r)
	t.windows.add(r)
	t.cost.add(r)
	if t.N == 0 || r.Sent < t.first {
		t.first = r.Sent
	}
	t.last = max(t.last, r.Sent)
	t.N++
}

// span is a row of requests of one pod, by their numbers in its part of the plan.
type span struct{ first, next uint64 }

// lose keeps the number of a lost request. A stream that breaks loses one after the other, millions of them at times.
func (t *Tally) lose(seq uint64) {
	pods := uint64(max(1, t.Pods))
	pod, at := int(seq%pods), seq/pods
	if spans := t.lost[pod]; len(spans) > 0 && spans[len(spans)-1].next == at {
		spans[len(spans)-1].next++
		return
	}
	if t.lost == nil {
		t.lost = map[int][]span{}
	}
	t.lost[pod] = append(t.lost[pod], span{at, at + 1})
}

// answersOf are those of a backend, of none where there is none of that number.
func (t *Tally) answersOf(backend int16) *answers {
	if b := int(backend); b >= 0 && b < len(t.backends) {
		return &t.backends[b]
	}
	return &t.rest
}

func (t *Tally) countByPod(pod, backend int) {
	if pod < 0 || pod >= t.Pods {
		return
	}
	for len(t.byPod) < t.Pods {
		t.byPod = append(t.byPod, analyze.Counts{N: make([]int64, len(t.counts.N))})
	}
	t.byPod[pod].Add(backend, 1)
}

// podOf is the number of the source pod of a result, -1 where there is only one.
func (t *Tally) podOf(r attack.Result) int {
	if t.Pods < 2 {
		return -1
	}
	return int(r.Seq % uint64(t.Pods))
}

// time keeps the times of a request. When there are too many, every second one goes, by the requests' numbers, which
// says nothing about how long they took.
func (t *Tally) time(a *answers, r attack.Result) {
	if t.stride == 0 || r.Seq%t.stride != 0 {
		return
	}
	if t.times >= maxTimes {
		t.thin()
		if r.Seq%t.stride != 0 {
			return
		}
	}
	t.times++
	t.lags = append(t.lags, int64(r.SendLag()))
	if r.Err == attack.OK {
		a.service = append(a.service, int64(r.ServiceTime()))
		a.response = append(a.response, int64(r.ResponseTime()))
	}
}

// thin drops every second time of each kind. Times are in the order in which answers came, which is nearly that of the
// requests' numbers: the half that stays is spread over the whole run.
func (t *Tally) thin() {
	half := func(s []int64) []int64 {
		n := 0
		for i := 0; i < len(s); i += 2 {
			s[n] = s[i]
			n++
		}
		return s[:n]
	}
	for i := range t.backends {
		t.backends[i].service, t.backends[i].response = half(t.backends[i].service), half(t.backends[i].response)
	}
	t.rest.service, t.rest.response = half(t.rest.service), half(t.rest.response)
	t.lags = half(t.lags)
	t.times = len(t.lags)
	t.stride *= 2
}

func (t *Tally) observe(r attack.Result) {
	if t.N >= maxObservations {
		t.observations = nil
		return
	}
	t.observations = append(t.observations, analyze.Observation{
		Seq: r.Seq, Planned: r.Planned, Sent: r.Sent, Done: r.Done, Backend: int(r.Backend), Conn: int(r.Conn),
		Pod: t.podOf(r),
		OK:  r.Err == attack.OK && r.Status < 500,
	})
}

// keep counts an observation of another tally.
func (t *Tally) keep(o analyze.Observation) {
	t.observations = append(t.observations, o)
	t.counts.Add(o.Backend, 1)
	t.countByPod(o.Pod, o.Backend)
	t.N++
}

// ordered reports whether the order of all requests was kept.
func (t *Tally) ordered() bool { return t.N > 0 && uint64(len(t.observations)) == t.N }

// sorted puts times in ascending order and requests in that of their numbers, and fills in the counts by status, once,
// after the last result.
func (t *Tally) sorted() {
	t.statuses()
	for i := range t.backends {
		slices.Sort(t.backends[i].service)
		slices.Sort(t.backends[i].response)
	}
	slices.Sort(t.rest.service)
	slices.Sort(t.rest.response)
	slices.Sort(t.lags)
	slices.SortFunc(t.observations, func(a, b analyze.Observation) int { return cmp.Compare(a.Seq, b.Seq) })
}

// statuses fills in the counts by status and by error class.
func (t *Tally) statuses() {
	for i := range t.backends {
		t.backends[i].statuses, t.backends[i].errors = nil, nil
	}
	t.rest.statuses, t.rest.errors = nil, nil
	t.outcomes.Each(func(backend int16, status uint16, class attack.ErrorClass, n uint64) {
		a := t.answersOf(backend)
		if class != attack.OK {
			if a.errors == nil {
				a.errors = make(map[attack.ErrorClass]int64)
			}
			a.errors[class] += int64(n)
			return
		}
		if a.statuses == nil {
			a.statuses = make(map[uint16]int64)
		}
		a.statuses[status] += int64(n)
	})
}

// exact is the counts by the agent's own totals, which also hold what it had to drop from the samples.
func exact(totals wire.Totals, backends int) analyze.Counts {
	c := analyze.Counts{N: make([]int64, backends)}
	for _, e := range totals.Tally {
		if e.Class != attack.ErrDropped.String() {
			c.Add(int(e.Backend), int64(e.N))
		}
	}
	return c
}

const (
	droppedShare  = 0.01 // of all results; of more dropped samples the times of the rest are no sample of all
	lateQuantile  = 0.99
	medianOfTimes = 0.5
)

// onTime reports whether the generator's lag is small beside the times of every backend, so that each is a fact by
// itself. A median of all answers would be that of one side or the other, by which of them happened to be drawn more
// often.
func (t *Tally) onTime(totals wire.Totals) bool {
	if t.N == 0 {
		return true
	}
	fastest, _ := t.medians()
	limits := attack.ClientLimits(t.N, t.late, t.lagP99(), time.Duration(fastest), 0)
	lost := float64(totals.Dropped) > droppedShare*float64(totals.Requests) && !timed(totals)
	return len(limits) == 0 && !lost && !throttled(totals, t.last-t.first)
}

// medians are the least and the largest median response time of the backends that answered.
func (t *Tally) medians() (fastest, slowest int64) {
	for i := range t.backends {
		times := t.backends[i].response
		if len(times) == 0 {
			continue
		}
		m := analyze.Quantile(times, medianOfTimes)
		if slowest == 0 || m < fastest {
			fastest = m
		}
		slowest = max(slowest, m)
	}
	return fastest, slowest
}

// lateBy is what 99 of 100 requests with these lags were sent late by at most, in words.
func lateBy(lags []int64) string {
	return rough(time.Duration(analyze.Quantile(ascending(lags), lateQuantile)))
}

// rough is a time to three digits or so.
func rough(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return fmt.Sprintf("%dus", d.Microseconds())
}

// lagP99 is what 99 of 100 requests were sent late by at most.
func (t *Tally) lagP99() time.Duration {
	if len(t.lags) == 0 {
		return 0
	}
	return time.Duration(analyze.Quantile(t.lags, lateQuantile))
}
