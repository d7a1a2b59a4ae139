package analyze

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Causes of an order of requests that independent draws of one split do not give.
const (
	CauseChange      = "change"              // the shares changed, once or several times
	CauseDrift       = "drift"               // the shares moved slowly
	CauseConnections = "connections"         // a connection keeps its backend
	CauseUnnamed     = "unnamed-connections" // the same of connections that nobody names, used in turns
	CausePods        = "source-pods"         // a source pod differs
	CauseTurns       = "turns"               // backends take turns
	CauseSticky      = "sticky"              // requests go where the one before went
	CauseLost        = "lost-answers"        // the answers of one backend were lost, from some request on
	CauseUnknown     = "unknown"             // none of these has more evidence than independent draws
)

// Place is where in the order of the requests with a known backend something changed, with a range that holds it
// with 99 %.
type Place struct {
	At, Low, High           int           // requests before it
	Time, LowTime, HighTime time.Duration // sending of the first request behind it, from the start of the run
}

// Stretch is a part of the requests.
type Stretch struct {
	Name     string        // of a source pod, where the caller knows it
	From, To time.Duration // sending of its first and of its last request
	N        []int64       // answers by backend
	Lost     int64         // CauseLost: requests without an answer
}

// Tried is an explanation with ln of how much more probable the order is by it than by independent draws of one split.
type Tried struct {
	Cause    string
	Evidence float64 // in nats; below 0: less probable
}

// Cause is the explanation of an order that has the most evidence.
type Cause struct {
	Kind  string
	Also  string  // a second cause, where both together have 1,000 times the evidence of either
	Tried []Tried // all, the most evidence first

	Places  []Place   // CauseChange and CauseLost
	Parts   []Stretch // between changes, or by source pod
	Backend string    // whose share differs most between the parts, or that loses answers
	Index   int       // of that backend in the weights

	Begin, End  float64 // CauseDrift: share of the backend at the first and the last request
	Connections int     // that carried the requests, or that take turns
	Independent int64   // requests that tell as much as those on the connections; 0: not known
	Requests    int64   // examined
	Runs        RunsResult
}

// inquiry is the working state of the comparison of explanations.
type inquiry struct {
	*examination
	*history
	names  []int                             // of the backends that answered, in the history's order
	within map[string]func(l, h int) float64 // evidence of those that may also hold between changes
	places []Place                           // changes
	gained map[string]float64                // evidence over independent draws
	lost   Stretch                           // answers that one backend lost
	out    Cause
}

// cause compares the explanations.
func (e *examination) cause() *Cause {
	q := inquiry{examination: e, gained: map[string]float64{}}
	q.out = Cause{Kind: CauseUnknown, Requests: int64(len(e.seq)), Runs: Runs(e.seq, len(e.w))}
	q.out.Connections = len(e.table(func(o Observation) int { return o.Conn }))
	if e.effect > 0 {
		q.out.Independent = int64(math.Max(1, math.Round(float64(len(e.seq))/e.effect)))
	}
	if e.seen.Positive() < 2 {
		q.out.Kind, q.out.Backend = CauseConnections, e.w[e.seq[0]].Backend
		return &q.out
	}
	q.fit()
	for kind, v := range q.gained {
		q.out.Tried = append(q.out.Tried, Tried{kind, v})
	}
	slices.SortFunc(q.out.Tried, func(a, b Tried) int {
		return cmp.Or(cmp.Compare(b.Evidence, a.Evidence), cmp.Compare(a.Cause, b.Cause))
	})
	if best := q.out.Tried[0]; best.Evidence > 0 {
		q.out.Kind = best.Cause
		q.combine(best.Evidence)
		q.describe()
	}
	return &q.out
}

// fit finds the evidence of each explanation.
func (q *inquiry) fit() {
	name := make([]int, len(q.w))
	for b, w := range q.seen {
		if w.W > 0 {
			name[b] = len(q.names)
			q.names = append(q.names, b)
		}
	}
	seq := make([]int, len(q.all))
	for i, b := range q.seq {
		seq[i] = name[b]
	}
	q.history = newHistory(seq, len(q.names))
	q.within = map[string]func(int, int) float64{
		CauseTurns:   q.turns,
		CauseUnnamed: func(low, high int) float64 { v, _ := q.cycle(low, high); return v },
	}
	if q.out.Runs.Runs >= fewestRuns {
		q.within[CauseSticky] = q.sticky
	}
	for kind, group := range map[string]func(Observation) int{
		CauseConnections: func(o Observation) int { return o.Conn },
		CausePods:        func(o Observation) int { return o.Pod },
	} {
		if t := q.table(group); len(t) > 1 && len(t) < len(seq) {
			q.within[kind] = q.grouped(func(i int) int { return group(q.all[i]) })
		}
	}
	n := len(seq)
	for kind, ln := range q.within {
		q.gained[kind] = ln(0, n) - q.draws(0, n)
	}
	drift, _, _ := q.drift(0, n)
	q.gained[CauseDrift] = drift - q.draws(0, n)
	if q.places = q.history.changes(); len(q.places) > 0 {
		q.gained[CauseChange] = q.changed(q.places, q.draws) - q.draws(0, n)
	}
	q.lostAnswers()
}

// fewestRuns are the runs below which requests that stick to the one before cannot be told from changes.
const fewestRuns = 8

// combine looks whether the shares changed and something else holds in each part.
func (q *inquiry) combine(best float64) {
	if len(q.places) == 0 {
		return
	}
	for kind, ln := range q.within {
		both := q.changed(q.places, ln) - q.draws(0, len(q.order))
		if both < max(q.gained[kind], q.gained[CauseChange])+surely || both <= best {
			continue
		}
		best, q.out.Kind, q.out.Also = both, CauseChange, kind
		if q.gained[kind] > q.gained[CauseChange] {
			q.out.Kind, q.out.Also = kind, CauseChange
		}
	}
}

// lostAnswers asks whether the shares stayed the same and one backend lost answers, more of them from some request on.
// All others leave the requests without an answer to independent losses, of a rate that may change.
func (q *inquiry) lostAnswers() {
	indicator := func(of func(Observation) bool) (*history, []Observation) {
		var seq []int
		var kept []Observation
		for _, o := range q.sent {
			switch known := o.Backend >= 0 && o.Backend < len(q.w); {
			case !known:
				seq, kept = append(seq, 1), append(kept, o)
			case of(o):
				seq, kept = append(seq, 0), append(kept, o)
			}
		}
		return newHistory(seq, 2), kept
	}
	if len(q.sent) == len(q.all) {
		return
	}
	unknown, _ := indicator(func(Observation) bool { return true })
	others := unknown.changed(unknown.changes(), unknown.draws) + q.draws(0, len(q.order))
	best := math.Inf(-1)
	for side, b := range q.names {
		its, kept := indicator(func(o Observation) bool { return o.Backend == b })
		places := its.changes()
		if len(places) == 0 {
			continue
		}
		counts := q.counts(0, len(q.order))
		counts[side] += len(q.sent) - len(q.all)
		whole := newHistory(make([]int, len(q.sent)), len(q.names))
		evidence := whole.drawn(counts) + its.changed(places, its.draws) - others
		if evidence > best {
			best = evidence
			q.gained[CauseLost] = evidence
			q.lost = Stretch{Name: q.w[b].Backend}
			from := kept[places[0].At].Sent
			for _, o := range q.sent {
				if o.Sent >= from && (o.Backend < 0 || o.Backend >= len(q.w)) {
					q.lost.Lost++
				}
			}
			q.lost.From = from
		}
	}
}

// describe fills in the figures of the cause that was found.
func (q *inquiry) describe() {
	out := &q.out
	for i := range q.places {
		p := &q.places[i]
		p.Time, p.LowTime, p.HighTime = q.all[p.At].Sent, q.all[p.Low].Sent, q.all[p.High].Sent
	}
	switch out.Kind {
	case CauseUnnamed:
		if _, out.Connections = q.cycle(0, len(q.order)); q.inTurns(out.Connections) {
			out.Kind = CauseTurns
		}
	case CauseDrift:
		_, begin, end := q.drift(0, len(q.order))
		b := furthest(begin, end)
		out.Backend, out.Begin, out.End = q.w[q.names[b]].Backend, begin[b], end[b]
	case CauseLost:
		out.Backend, out.Parts = q.lost.Name, []Stretch{q.lost}
	case CausePods:
		for _, row := range q.table(func(o Observation) int { return o.Pod }) {
			out.Parts = append(out.Parts, Stretch{N: row})
		}
	}
	if out.Kind == CauseChange || out.Also == CauseChange {
		out.Places = q.places
		low := 0
		for _, p := range append(slices.Clone(q.places), Place{At: len(q.all)}) {
			s := Stretch{From: q.all[low].Sent, To: q.all[p.At-1].Sent, N: make([]int64, len(q.w))}
			for _, o := range q.all[low:p.At] {
				s.N[o.Backend]++
			}
			if out.Kind == CauseChange {
				out.Parts = append(out.Parts, s)
			}
			low = p.At
		}
	}
	if len(out.Parts) > 1 {
		out.Index = widest(out.Parts)
		out.Backend = q.w[out.Index].Backend
	}
}

// inTurns reports whether a cycle is one of turns and not of connections that happen to be used so: no backend is ever
// further off its share than turns are, or one cycle holds the weights in their lowest terms.
func (q *inquiry) inTurns(period int) bool {
	counts, smooth := q.counts(0, period), true
	for b := range counts {
		least, most, had := 0.0, 0.0, 0.0
		for i, x := range q.order[:period] {
			if x == b {
				had++
			}
			off := had - float64(counts[b])*float64(i+1)/float64(period)
			least, most = min(least, off), max(most, off)
		}
		bound := 1 + float64(counts[b]*(len(counts)-2))/float64(period) // see JudgeTurns
		smooth = smooth && most-least < bound+1e-9
	}
	turn, whole := q.w.reduced(), int64(0)
	for b, w := range turn {
		whole += w
		if i := slices.Index(q.names, b); w > 0 && (i < 0 || int64(counts[i]) != w) {
			return smooth
		}
	}
	return smooth || whole == int64(period)
}

// furthest is the place at which two series differ most.
func furthest(a, b []float64) (at int) {
	for i := range a {
		if math.Abs(a[i]-b[i]) > math.Abs(a[at]-b[at]) {
			at = i
		}
	}
	return at
}

// widest is the backend whose share differs most between parts.
func widest(parts []Stretch) (backend int) {
	most := -1.0
	for b := range parts[0].N {
		low, high := 1.0, 0.0
		for _, p := range parts {
			share := p.Share(b)
			low, high = min(low, share), max(high, share)
		}
		if high-low > most+1e-9 {
			backend, most = b, high-low
		}
	}
	return backend
}

// Requests are the answers of all backends.
func (s Stretch) Requests() int64 { return sumOf(s.N) }

// Share is that of a backend among the answers, 0 to 1.
func (s Stretch) Share(backend int) float64 {
	if n := sumOf(s.N); n > 0 {
		return float64(s.N[backend]) / float64(n)
	}
	return 0
}

// why reports whether the cause is one of which an outcome does not stand for that reason.
func (c *Cause) why(code string) bool {
	mixed := c != nil && slices.Contains([]string{CauseChange, CauseDrift, CausePods, CauseLost}, c.Kind)
	return mixed == (code == WhyMixed)
}
