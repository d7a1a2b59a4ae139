package judge

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/witness"
)

// Watch judges a watch as it goes on. What it holds does not grow with time, but for the tests of its monitor, whose
// number is about twice the logarithm of the number of looks.
type Watch struct {
	report.Watch        // what was seen so far
	Failed       bool   // a failure was confirmed
	Why          string // why nothing is measured, of the last gap
	// Stale is that the client's proxy was seen to obey something else than the split; nil: it was not.
	Stale *witness.Finding

	weights  analyze.Weights
	stride   int64               // one in so many looks is kept; 0: each
	seq      *analyze.Sequential // the whole watch: what is shown, and whether it passed
	monitor  *analyze.Monitor    // whether it failed, whenever that began
	look     analyze.Look
	total    analyze.Counts
	expected []float64 // shares
	delta    []float64 // tolerance of each share
	passed   bool

	proxies Proxies // of all looks together
	asked   bool    // they were, at some look
	unsure  string  // why they could not tell at a look, the last time
	sent    int64   // to the root at the looks at which they told
	told    []int64 // answers of each backend at those
}

// Hear takes what the proxy counted at one look at which so many requests were sent and so many answers of each backend
// were counted, and gives what that shows.
func (w *Watch) Hear(m record.Manifest, pages record.ProxyPages, counted []int64, sent int64) []witness.Finding {
	target := witness.TargetOf(*m.Before)
	d, err := deltaOf(pages, m.Witness.Kind, target)
	if err != nil {
		w.proxies.err = err
		return nil
	}
	fs := d.Findings(target, expectedPath(m.Before.Law), sent)
	if i := slices.IndexFunc(fs, func(f witness.Finding) bool { return f.Code == witness.CodeStalePath }); i >= 0 {
		w.Stale = &fs[i]
	}
	if d.Unsure != "" {
		w.unsure = d.Unsure
		return fs
	}
	w.sent += sent
	w.told = append(w.told, make([]int64, len(counted)-len(w.told))...)
	for i, n := range counted {
		w.told[i] += n
	}
	if w.asked {
		d = w.proxies.Plus(d)
	}
	w.proxies, w.asked = Proxies{Delta: d}, true
	return fs
}

// heard has the report of a watch say what the proxies counted.
func (w *Watch) heard(doc *draft, m record.Manifest) {
	if m.Witness == nil || m.Before == nil || m.Refused() && w.Looks == 0 {
		return
	}
	facts := *m.Witness
	switch {
	case w.asked: // whatever the last session's proxy said
		facts.Why = ""
	case w.proxies.err == nil:
		facts.Why = cmp.Or(facts.Why, w.unsure, report.SayNotReadAfter)
	}
	m.Witness = &facts
	if w.Stale != nil {
		doc.refuse("%s", w.Stale.Text)
		doc.mend(*w.Stale, m)
	}
	doc.hear(m, w.proxies, w.sent)
	if !doc.Witness.Available || w.proxies.Drawn() == nil {
		return
	}
	target := witness.TargetOf(*m.Before)
	a := w.proxies.Agree(target, w.told, w.sent)
	doc.Witness.Agrees, doc.Witness.Background = a.Disagrees == "", a.Background
	if a.Disagrees != "" {
		doc.warn("%s", a.Disagrees)
	}
	var untold int64
	for i, n := range w.total.N {
		untold += n - w.told[i]
	}
	if untold > 0 {
		doc.warn(report.SayUntold, untold)
	}
	doc.Witness.Draws = drawsOf(w.proxies.Delta, target, w.told)
}

// NewWatch fixes the rule, before the first request.
func NewWatch(weights analyze.Weights, o analyze.Options) (w Watch, err error) {
	if w.seq, err = analyze.NewSequential(weights, o); err != nil {
		return w, err
	}
	if w.monitor, err = analyze.NewMonitor(weights, o); err != nil {
		return w, err
	}
	w.weights, w.expected = weights, weights.Shares()
	for _, share := range w.expected {
		delta := o.Tolerance.Share(share)
		w.delta = append(w.delta, delta)
		w.Tolerance = math.Max(w.Tolerance, 100*delta)
	}
	w.total.N = make([]int64, len(weights))
	return w, nil
}

// Discard takes what needs statistics out of the counts of a batch whose stream broke: what arrived of it are more
// answers of the faster backend. It reports whether anything is left: that a backend of weight 0 answered needs no
// statistics.
func (w *Watch) Discard(c *analyze.Counts) (leaked bool) {
	for i, x := range w.weights {
		if x.W == 0 && c.N[i] > 0 {
			leaked = true
			continue
		}
		w.SetAside += c.N[i]
		c.N[i] = 0
	}
	w.SetAside += c.Unattributed
	c.Unattributed = 0
	return leaked
}

// Update looks at the counts of one more batch. Whether a split that was right is wrong now is the monitor's to say,
// however long it was right before; whether all of the watch together shows that it is right is told by the likely
// ranges, wherever the requests without a backend went.
func (w *Watch) Update(c analyze.Counts) (*analyze.Departure, error) {
	departure, err := w.monitor.Update(c)
	if err != nil {
		return nil, err
	}
	if w.look, err = w.seq.Update(c.N); err != nil {
		return nil, err
	}
	for i, n := range c.N {
		w.total.N[i] += n
	}
	w.total.Unattributed += c.Unattributed
	w.Looks++
	w.Lost, w.Requests = w.total.Unattributed, w.look.Requests
	w.remember()
	w.passed = w.look.Requests > 0
	for i, x := range w.look.Intervals {
		if x.Why != "" { // weight 0
			continue
		}
		low, high := spread(x, w.look.Requests, w.total.Unattributed)
		w.passed = w.passed && x.Low <= x.High && low >= w.expected[i]-w.delta[i] && high <= w.expected[i]+w.delta[i]
	}
	return departure, nil
}

// remember keeps what is known at every look, or at one in 2, 4, 8 ... where that would be too many.
func (w *Watch) remember() {
	if len(w.History) == report.MaxHistory {
		for i := range report.MaxHistory / 2 {
			w.History[i] = w.History[2*i+1]
		}
		w.History, w.stride = w.History[:report.MaxHistory/2], 2*max(w.stride, 1)
	}
	if w.Looks%max(w.stride, 1) == 0 {
		w.History = append(w.History, report.WatchedLook{
			AtSeconds: Rounded(w.Seconds), LnE: report.Finite(w.look.LnE), Backends: w.parts(),
		})
	}
}

// spread is a likely range of n requests wherever the unattributed ones went.
func spread(x analyze.Interval, n, unattributed int64) (low, high float64) {
	all := float64(n) + float64(unattributed)
	return x.Low * float64(n) / all, (x.High*float64(n) + float64(unattributed)) / all
}

// Outcome is what the watch shows so far.
func (w *Watch) Outcome() string {
	switch {
	case w.Failed:
		return report.Fail
	case w.passed:
		return report.Pass
	}
	return report.Inconclusive
}

// Now is the watch as a whole at this moment.
func (w *Watch) Now() report.Watch {
	out := w.Watch
	out.Decided = w.passed
	out.LnE, out.Anytime = nil, probability(w.look.Anytime)
	if w.Looks > 0 {
		out.LnE = report.Finite(w.look.LnE)
	}
	out.Backends, out.History = w.parts(), slices.Clone(w.History)
	out.Gaps, out.Pods = append([]report.WatchGap{}, w.Gaps...), append([]string{}, w.Pods...)
	return out
}

// parts are the backends as they are known at this moment.
func (w *Watch) parts() []report.WatchedPart {
	out := []report.WatchedPart{}
	for i, x := range w.weights {
		part := report.WatchedPart{Backend: x.Backend, Weight: x.W, Observed: w.total.N[i]}
		if i < len(w.look.Intervals) && w.look.Intervals[i].Low <= w.look.Intervals[i].High {
			part.Interval = interval(w.look.Intervals[i])
		}
		out = append(out, part)
	}
	return out
}

// concludeWatch reports a watch that is over.
func concludeWatch(m record.Manifest, w *Watch) report.Report {
	if w.weights == nil { // it never began
		w.weights, w.total.N = m.Weights, make([]int64, len(m.Weights))
	}
	s := w.Now()
	doc := newDraft(m, m.Undisturbed())
	doc.counts, doc.Watch, doc.Verdict.Outcome = w.total, &s, w.Outcome()
	w.heard(&doc, m)
	doc.heldAgainstForce(m)
	switch {
	case w.Failed:
		code := analyze.CodeOutside
		if s.Failure.Side == report.SideLeak {
			code = analyze.CodeLeak
		}
		doc.because(code, "%s", s.Failure)
	case w.Looks == 0 && m.Undisturbed() && !m.Refused():
		doc.invalid = append(doc.invalid, strings.TrimSuffix(report.SayNothingMeasured+w.Why, ": "))
	case w.passed && doc.answeredByProxy() != "":
		doc.invalid = append(doc.invalid, doc.answeredByProxy())
	case !w.passed && len(m.Failures) == 0:
		doc.because(analyze.CodeTooFew, report.SayUndecided, s.Requests)
		doc.remedy(report.RemedyWatch)
	}
	return doc.finish()
}
