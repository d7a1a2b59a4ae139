package judge

import (
	"errors"
	"slices"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
)

// MaxSequential bounds a sequential run: its verdict needs the order of all of its requests.
const MaxSequential = maxObservations

// Looker looks at the requests in the order in which they were sent, not in that of their answers: a slow backend's
// answers come late, and the first n answers would have too few of them. A look is made when every request up to it has
// its result.
type Looker struct {
	rule      *analyze.Sequential
	every     uint64
	tolerance []float64 // shares
	expected  []float64 // shares

	waiting      map[uint64]int // results that came before an earlier one's
	next         uint64         // number of requests that are in
	batch        []int64        // since the last look
	unattributed int64
	leaked       bool // a weight-0 backend has answered

	looks   int
	last    analyze.Look
	outcome analyze.Outcome
}

// NewLooker is a rule that looks after each every counted requests. Errors are those of analyze.NewSequential.
func NewLooker(w analyze.Weights, o analyze.Options, every uint64) (*Looker, error) {
	rule, err := analyze.NewSequential(w, o)
	if err != nil {
		return nil, err
	}
	l := &Looker{
		rule: rule, every: every, batch: make([]int64, len(w)), waiting: make(map[uint64]int), outcome: analyze.Inconclusive,
		expected: w.Shares(), tolerance: make([]float64, len(w)),
	}
	for i, share := range l.expected {
		l.tolerance[i] = o.Tolerance.Share(share)
	}
	return l, nil
}

// Add takes the result of one request and reports whether the run is decided. What comes after that is not looked at.
func (l *Looker) Add(seq uint64, backend int) (decided bool, err error) {
	if l.outcome != analyze.Inconclusive {
		return true, nil
	}
	l.waiting[seq] = backend
	for l.outcome == analyze.Inconclusive {
		b, ok := l.waiting[l.next]
		if !ok {
			break
		}
		delete(l.waiting, l.next)
		l.next++
		if b >= 0 && b < len(l.batch) {
			l.batch[b]++
			l.leaked = l.leaked || l.expected[b] == 0
		} else {
			l.unattributed++
		}
		if l.next%l.every == 0 {
			if err := l.look(); err != nil {
				return false, err
			}
		}
	}
	return l.outcome != analyze.Inconclusive, nil
}

// end makes the last look, at requests that are no whole batch.
func (l *Looker) end() error {
	if l.outcome != analyze.Inconclusive || l.next%l.every == 0 {
		return nil
	}
	return l.look()
}

func (l *Looker) look() error {
	look, err := l.rule.Update(l.batch)
	if err != nil {
		return err
	}
	clear(l.batch)
	l.looks++
	l.last = look
	l.outcome = look.Outcome
	if l.unattributed > 0 && !l.holds(look) {
		l.outcome = analyze.Inconclusive
	}
	return nil
}

// holds reports whether the outcome would be the same however the unattributed requests were shared out.
func (l *Looker) holds(look analyze.Look) bool {
	if l.leaked {
		return true // a weight-0 backend has answered: nothing takes that back
	}
	inside, outside := true, false
	for i, c := range look.Intervals {
		if c.Why != "" {
			continue // weight 0: its first answer decides
		}
		low, high := spread(c, look.Requests, l.unattributed)
		inside = inside && low >= l.expected[i]-l.tolerance[i] && high <= l.expected[i]+l.tolerance[i]
		outside = outside || low > l.expected[i]+l.tolerance[i] || high < l.expected[i]-l.tolerance[i]
	}
	switch look.Outcome {
	case analyze.Pass:
		return inside
	case analyze.Fail:
		return outside
	}
	return false
}

// sequential judges a run by its looks. The same requests give the same looks, live and stored.
func sequential(doc *draft, m record.Manifest, t *Tally) (analyze.Decision, *Tally, error) {
	l, err := NewLooker(m.Weights, m.Options, m.Sequential.Every)
	if err != nil {
		return analyze.Decision{}, nil, err
	}
	if m.Options.Gate != analyze.GateTolerance {
		return analyze.Decision{}, nil, errors.New("a run that looked early is judged by its tolerance alone, not by " +
			"--gate " + string(m.Options.Gate))
	}
	if !t.ordered() {
		return analyze.Decision{}, nil, errors.New("the order of requests was not kept whole")
	}
	for _, o := range t.observations {
		if decided, err := l.Add(o.Seq, o.Backend); err != nil {
			return analyze.Decision{}, nil, err
		} else if decided {
			break
		}
	}
	if err := l.end(); err != nil {
		return analyze.Decision{}, nil, err
	}
	counted := NewTally(len(m.Weights))
	counted.Pods = t.Pods
	for _, o := range t.observations {
		if o.Seq < l.next {
			counted.keep(o)
		}
	}
	doc.counts = counted.counts
	d, err := analyze.Judge(m.Weights, doc.counts, m.Options)
	if err != nil {
		return analyze.Decision{}, nil, err
	}
	doc.Sequential = l.apply(doc, &d, m.Plan.Requests)
	leakAfter(doc, &d, m.Weights, t)
	return d, counted, nil
}

// leakAfter makes a failure of an answer that a weight-0 backend gave after the deciding look: no statistics are needed
// for what must not happen at all.
func leakAfter(doc *draft, d *analyze.Decision, w analyze.Weights, t *Tally) {
	for i, x := range w {
		if n := t.counts.N[i]; x.W == 0 && n > 0 && d.Outcome != analyze.Fail {
			d.Outcome = analyze.Fail
			doc.onlyBecause(d, analyze.CodeLeak, report.SayLeakedLater, x.Backend, n)
		}
	}
}

// statusOf keeps of an answer what the checks look at: whether it was one, and no error.
func statusOf(o analyze.Observation) uint16 {
	if o.OK {
		return 200
	}
	return 500
}

// apply puts the sequential rule's outcome and intervals in the place of those of the fixed-size test, whose p-values
// stay as nominal.
func (l *Looker) apply(doc *draft, d *analyze.Decision, maximum uint64) *report.SequentialLooks {
	d.Outcome = l.outcome
	for i := range d.Backends {
		if i < len(l.last.Intervals) && l.last.Intervals[i].Why == "" {
			d.Backends[i].Interval = l.last.Intervals[i]
		}
	}
	d.Unattributed.Decides = l.unattributed > 0 && l.last.Outcome != l.outcome
	d.Reasons = slices.DeleteFunc(slices.Clone(d.Reasons), func(r analyze.Reason) bool {
		return r.Code != analyze.CodeLeak || l.outcome != analyze.Fail
	})
	switch {
	case l.outcome == analyze.Pass:
		doc.because(codeSequential, report.SayLooksPass, l.looks, l.next)
	case l.outcome == analyze.Fail:
		doc.because(codeSequential, report.SayLooksFail, l.looks, l.next)
	case d.Unattributed.Decides:
		doc.because(codeSequential, report.SayLooksUnattributed, l.looks, l.next, l.unattributed)
	default:
		doc.because(codeSequential, report.SayLooksUndecided, l.looks, l.next)
	}
	if l.outcome == analyze.Inconclusive {
		spent := analyze.Needed{Why: analyze.NeedAnotherPlan}
		d.NeededIfOnTarget, d.NeededIfAsObserved = spent, spent
	}
	return &report.SequentialLooks{
		Every: int64(l.every), Looks: int64(l.looks), Requests: int64(l.next), Maximum: int64(maximum),
		LnE: report.Finite(l.last.LnE), Anytime: probability(l.last.Anytime),
	}
}
