package analyze

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Shot is one request of a drill.
type Shot struct {
	Sent    time.Duration // since the first request
	Done    time.Duration // when its answer was complete, or it was lost
	Backend int           // that answered, -1: unknown
	Lost    bool          // no complete answer, or one of status 500 and above
}

// Weighted says which weights held from an instant on, as the API told it.
type Weighted struct {
	At time.Duration // since the first request
	W  Weights
}

// Bounded is an instant and between which others it must lie.
type Bounded struct {
	At, Low, High time.Duration // since the first request
}

// Silence is a backend that stopped answering although it had weight, and what came of it. What did not happen is nil.
type Silence struct {
	Backend     int           // index in the weights
	Began       Bounded       // its last answer before, and the first request that shows it
	FirstLost   *Bounded      // the first lost request; it failed somewhere between the request before it and itself
	Lost        int64         // requests lost from then until the others carried all, or until it came back
	TakenOver   *Bounded      // from here on others carried all: between the last lost request and the first answered
	ByWeights   bool          // its weight was 0 by then, or within the second in which the API may tell it late
	Waited      int64         // requests that were sent before it was back and answered by it then
	LongestWait time.Duration // of those
	Recovered   *Bounded      // its first answer again: it came back between the request and that
	BackToSplit *Bounded      // from here on the shares are those of the weights again (95 % sure of the ends)
}

// chanceOfSilence is how improbable it must be that a backend with its weight gives no answer in so many requests by
// chance.
const chanceOfSilence = 1e-6

// toldLate is how much later than the proxy the API's stream may tell of a change of the weights.
const toldLate = time.Second

// followLate is how long a proxy may still draw by the weights of before a change that the API told of.
const followLate = 5 * time.Second

// mostShare bounds what a backend is counted on for: one with all the weight, too, must miss six requests in a row to
// be silent.
const mostShare = 0.9

// longWait is from where on an answer is called one that was waited for.
const longWait = 500 * time.Millisecond

// Silences finds the backends that stopped answering. Shots must be in the order of sending, weights in that of time,
// with at least one, of the same backends in the same order. A backend is silent where its weight makes a gap of that
// many requests less likely than one in a million; its weight is the least of those that the proxy may have drawn by
// at that moment. A gap that begins when its weight became 0 is no silence. Errors wrap ErrInput.
func Silences(shots []Shot, weights []Weighted) ([]Silence, error) {
	if len(weights) == 0 {
		return nil, inputErrorf("weights: none given")
	}
	if err := weights[0].W.Validate(); err != nil {
		return nil, err
	}
	for _, w := range weights {
		if len(w.W) != len(weights[0].W) {
			return nil, inputErrorf("weights: %d backends and %d", len(w.W), len(weights[0].W))
		}
	}
	if !slices.IsSortedFunc(shots, func(a, b Shot) int { return cmp.Compare(a.Sent, b.Sent) }) {
		return nil, inputErrorf("shots: not in the order of sending")
	}
	d := drill{shots: shots, weights: weights}
	for b := range weights[0].W {
		d.patience = append(d.patience, patienceOf(shots, b))
	}
	var gaps []silent
	for b := range weights[0].W {
		gaps = append(gaps, d.silencesOf(b)...)
	}
	slices.SortFunc(gaps, func(a, b silent) int { return cmp.Compare(a.Began.At, b.Began.At) })
	var out []Silence
	for _, g := range gaps {
		if g.to < len(shots) {
			g.BackToSplit = d.settled(g.Backend, g.from, g.to, d.untilNext(gaps, g), g.Recovered.At)
		}
		out = append(out, g.Silence)
	}
	return out, nil
}

// silent is a silence with the requests that its backend answered before and after it; -1 and the number of requests
// stand for the ends of the run.
type silent struct {
	Silence
	from, to int
}

// untilNext is how many requests were sent before the next backend fell silent, after one was back: what comes then
// is no split to come back to.
func (d drill) untilNext(gaps []silent, g silent) int {
	until := len(d.shots)
	for _, next := range gaps {
		if next.from >= g.to {
			until = min(until, next.from+1)
		}
	}
	return until
}

type drill struct {
	shots    []Shot
	weights  []Weighted
	patience []time.Duration // by backend: from where on an answer is called one that was waited for
}

// patienceOf is longWait, or more for a backend that is slow anyway.
func patienceOf(shots []Shot, b int) time.Duration {
	var took []int64
	for _, s := range shots {
		if s.Backend == b && !s.Lost {
			took = append(took, int64(s.Done-s.Sent))
		}
	}
	slices.Sort(took)
	const slow = 4 // times its median
	return max(longWait, slow*time.Duration(Quantile(took, 0.5)))
}

// waited reports whether request i had to wait for backend b: such an answer says that it is back, not that it was
// there.
func (d drill) waited(b, i int) bool {
	s := d.shots[i]
	return s.Backend == b && !s.Lost && s.Done-s.Sent >= d.patience[b]
}

// weightsAt are the weights that held at an instant.
func (d drill) weightsAt(at time.Duration) Weights {
	w := d.weights[0].W
	for _, x := range d.weights {
		if x.At <= at {
			w = x.W
		}
	}
	return w
}

// share is what a backend should get at an instant.
func (d drill) share(b int, at time.Duration) float64 { return d.weightsAt(at).Shares()[b] }

// leastShare is the least that a backend should get at an instant, by any of the weights that the proxy may have
// drawn by then.
func (d drill) leastShare(b int, at time.Duration) float64 {
	least := d.share(b, at)
	for i, x := range d.weights {
		ended := i+1 < len(d.weights) && d.weights[i+1].At < at-followLate
		if !ended && x.At <= at {
			least = min(least, d.share(b, x.At))
		}
	}
	return min(least, mostShare)
}

// weightless reports whether a backend had no weight at an instant, or was told to have none shortly after.
func (d drill) weightless(b int, at time.Duration) bool {
	return d.share(b, at) == 0 || slices.ContainsFunc(d.weights, func(x Weighted) bool {
		return x.At > at && x.At <= at+toldLate && x.W[b].W == 0
	})
}

func (d drill) silencesOf(b int) []silent {
	var out []silent
	last := -1 // its last answer
	for i := 0; i <= len(d.shots); i++ {
		if i < len(d.shots) && (d.shots[i].Backend != b || d.shots[i].Lost || d.waited(b, i)) {
			continue
		}
		if s, ok := d.gap(b, last, i); ok {
			out = append(out, silent{s, last, i})
		}
		last = i
	}
	return out
}

// gap looks at the requests between two answers of a backend; -1 and the number of requests stand for the ends of the
// run.
func (d drill) gap(b, from, to int) (Silence, bool) {
	s := Silence{Backend: b, Began: d.between(from, from+1)}
	s.Began.At = s.Began.Low
	lnChance, lost, waiter := 0.0, to, to // the first request that was lost, and that waited
	for i := from + 1; i < to; i++ {
		lnChance += math.Log1p(-d.leastShare(b, d.shots[i].Sent))
		if d.shots[i].Lost {
			lost = min(lost, i)
		}
		if d.waited(b, i) {
			waiter = min(waiter, i)
			s.Waited, s.LongestWait = s.Waited+1, max(s.LongestWait, d.shots[i].Done-d.shots[i].Sent)
		}
	}
	if lnChance > math.Log(chanceOfSilence) {
		return Silence{}, false
	}
	if waiter < len(d.shots) {
		s.Recovered = d.firstAnswer(b, waiter)
	}
	if lost < to {
		s.FirstLost = new(d.between(lost-1, lost))
	}
	if trouble := min(lost, waiter); trouble < to {
		d.takeover(&s, trouble, to)
	} else {
		d.takenOver(&s, from) // nobody lost a request, or waited: others carried all from the start
	}
	return s, true
}

// firstAnswer is when a backend answered first among its requests from the i-th on: a request that was sent while it
// was silent may wait for it, and one that was sent later may be answered sooner.
func (d drill) firstAnswer(b, i int) *Bounded {
	first := d.shots[i]
	for _, s := range d.shots[i:] {
		if s.Backend == b && !s.Lost && s.Done < first.Done {
			first = s
		}
		if s.Sent > first.Done {
			break
		}
	}
	at := max(first.Done, first.Sent)
	return &Bounded{At: at, Low: d.shots[i].Sent, High: at}
}

// between is the instant at which the second of two requests was sent, and not before the first.
func (d drill) between(i, j int) Bounded {
	clamp := func(i int) time.Duration {
		if len(d.shots) == 0 {
			return 0
		}
		return d.shots[min(max(i, 0), len(d.shots)-1)].Sent
	}
	return Bounded{At: clamp(j), Low: clamp(i), High: clamp(j)}
}

// takeover finds from where on others carried all: after the last loss, or the last request that waited, for so many
// requests that chance does not explain the silence, under the weights that the backend had when it fell silent. What
// is lost after it was given a weight again takes nothing back: then it is drawn although it does not answer yet.
func (d drill) takeover(s *Silence, first, to int) {
	b := s.Backend
	for i := first; i < to; i++ {
		if d.shots[i].Lost {
			s.Lost++
		}
	}
	share := min(d.share(b, d.shots[first].Sent), mostShare)
	for _, until := range []int{d.drawnAgain(b, first, to), to} {
		last := first
		for i := first; i < until; i++ {
			if d.shots[i].Lost || d.waited(b, i) {
				last = i
			}
		}
		after := until - last - 1
		if share <= 0 || float64(after)*math.Log1p(-share) > math.Log(chanceOfSilence) {
			continue // the losses went on until then
		}
		d.takenOver(s, last)
		return
	}
}

// takenOver says that others carried all from behind request i on.
func (d drill) takenOver(s *Silence, i int) {
	over := d.between(i, i+1)
	s.TakenOver, s.ByWeights = &over, d.weightless(s.Backend, over.High)
}

// drawnAgain is the first request between two others that may have been drawn after a backend without weight was
// given one again, the second of them where it was not.
func (d drill) drawnAgain(b, first, to int) int {
	for k := 1; k < len(d.weights); k++ {
		at := d.weights[k].At
		if at <= d.shots[first].Sent || d.weights[k-1].W[b].W != 0 || d.weights[k].W[b].W == 0 {
			continue
		}
		for i := first + 1; i < to; i++ {
			if d.shots[i].Sent >= at-toldLate {
				return i
			}
		}
	}
	return to
}

// settled finds from where on the answers follow the weights, of the requests that were sent after the backend,
// silent from request from to request to, was back, and before request until; nil where that is not shown: too few
// answers, or shares that stay away from the weights. Requests that waited for the backend were drawn before and say
// nothing of the draws after.
func (d drill) settled(b, from, to, until int, back time.Duration) *Bounded {
	w := d.weights[len(d.weights)-1].W // those of the end: what the split has come back to
	if until < len(d.shots) {
		w = d.weightsAt(d.shots[until-1].Sent)
	}
	if d.share(b, d.shots[until-1].Sent) == 0 {
		return nil
	}
	var seq []int
	var at []time.Duration
	const enoughBefore = 200 // requests of the time before, in which the others carried all
	for _, s := range d.shots[max(0, from+1, to-enoughBefore):until] {
		waited := s.Backend == b && s.Sent < back
		if s.Backend >= 0 && s.Backend < len(w) && !s.Lost && !waited {
			seq, at = append(seq, s.Backend), append(at, s.Sent)
		}
	}
	before := slices.Clone(w)
	before[b].W = 0
	c, err := KnownChange(seq, before, w) // refuses where nobody else had any weight: nothing to come back from
	const enough = 20
	if err != nil || len(seq)-c.At < enough {
		return nil
	}
	tail := Counts{N: make([]int64, len(w))}
	for _, x := range seq[c.At:] {
		tail.N[x]++
	}
	after, err := Judge(w, tail, DefaultOptions())
	if err != nil || after.GoodnessOfFit.Pearson.Exact.P < 0.001 {
		return nil
	}
	out := &Bounded{At: max(at[c.At], back), Low: at[min(c.Low, len(at)-1)]} // not before it answered
	out.High = max(at[min(c.High, len(at)-1)], out.At)
	return out
}

// Outage is the time with losses: lost requests of less than join apart belong together, and each such time lasts
// from its first to its last lost request at least, and from the request before to the one after at most.
func Outage(shots []Shot, join time.Duration) Bounded {
	var out Bounded
	for i := 0; i < len(shots); i++ {
		if !shots[i].Lost {
			continue
		}
		first, last := i, i
		for j := i; j < len(shots) && shots[j].Sent-shots[last].Sent <= join; j++ {
			if shots[j].Lost {
				last = j
			}
		}
		length := shots[last].Sent - shots[first].Sent
		before, after := max(first-1, 0), min(last+1, len(shots)-1)
		out.Low += length
		out.At += shots[after].Sent - shots[first].Sent
		out.High += shots[after].Sent - shots[before].Sent
		i = last
	}
	return out
}
