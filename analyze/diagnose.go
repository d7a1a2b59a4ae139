package analyze

import (
	"cmp"
	"math"
	"slices"
)

// Impact is what a diagnostic may do to an outcome: never improve it.
type Impact string

// The impacts.
const (
	Keep      Impact = "keep"      // nothing was found
	Qualify   Impact = "qualify"   // the outcome stands; the report says what was found
	Downgrade Impact = "downgrade" // the outcome holds only if fewer requests still carry it, or not at all
)

// Names of the diagnostics.
const (
	DiagnosticSticky      = "sticky"         // neighbours go to the same backend too often
	DiagnosticAlternating = "alternating"    // neighbours differ too often
	DiagnosticPeriodic    = "autocorrelated" // dependence at some lag
	DiagnosticEven        = "too-even"       // windows vary less than chance
	DiagnosticConnections = "connections"    // connections differ: pinned
	DiagnosticTime        = "time"           // windows of time differ
	DiagnosticPods        = "source-pods"    // source pods differ
	DiagnosticRuns        = "runs"           // runs that are judged together differ
	DiagnosticErrors      = "error-rate"     // error rates differ by backend
)

// Diagnostic is one check of what the verdict takes for granted. What was found is given as numbers, of which those are
// set that the check knows.
type Diagnostic struct {
	Name      string
	OK        bool   // true: nothing was found at the level
	P         PValue // of this check alone
	AdjustedP PValue // Holm over all checks made
	Impact    Impact // Keep where OK

	Backend string  // of DiagnosticErrors and DiagnosticRuns: that fails most, or whose share differs
	Share   float64 // of its answers that are errors

	Least, Most Part // of DiagnosticRuns: the runs that are furthest apart
}

// Part is one of the parts that requests came in, and the share of a backend there.
type Part struct {
	Name  string
	Share float64 // 0 to 1
}

// Diagnostics are all checks that the observations allowed.
type Diagnostics struct {
	Items        []Diagnostic
	DesignEffect float64 // how many requests of a connection count as one, at least 1; only where flagged
	FewClusters  bool    // flagged connections, fewer than 20 of them
	// Drawn is true where connections rule out that few draws decided many requests: every request had a connection of its
	// own, or connections were compared and do not differ.
	Drawn bool
	Cause *Cause // of what the checks of the order found, all of them together; nil where they found nothing
}

// DiagnoseOptions fix the checks.
type DiagnoseOptions struct {
	Alpha   float64 // level of all checks together; 0: defaultAlpha
	Windows int     // most windows of time; 0: 20
}

// defaultAlpha flags a clean run in 1 of 1,000, the custom of sample-ratio checks, of which the reference laws, which
// are those of large samples, take a part.
const defaultAlpha = 0.0007

// Diagnose checks what the decision takes for granted: that requests are drawn one by one, at random, with the same
// shares all the time and from every source, and that no backend loses its answers. p-values are adjusted by Holm
// over all checks made, so that a clean run is flagged with probability Alpha at most (the reference laws are
// asymptotic). Observations may come in any order; with concurrent requests the order at the proxy is permuted, which
// costs the checks of neighbours power but makes no false alarm. Errors wrap ErrInput.
func Diagnose(observations []Observation, w Weights, o DiagnoseOptions) (Diagnostics, error) {
	if err := w.Validate(); err != nil {
		return Diagnostics{}, err
	}
	o.Alpha = cmp.Or(o.Alpha, defaultAlpha)
	o.Windows = cmp.Or(o.Windows, 20)
	if !(o.Alpha > 0 && o.Alpha < 0.5) || o.Windows < 2 {
		return Diagnostics{}, inputErrorf("diagnostics: alpha %v or %d windows out of range", o.Alpha, o.Windows)
	}
	e := newExamination(inOrder(observations), w, o)
	if err := e.groups(); err != nil {
		return Diagnostics{}, err
	}
	e.neighbours()
	e.errorRates()
	return e.conclude(), nil
}

// examination is the working state of Diagnose.
type examination struct {
	w      Weights
	o      DiagnoseOptions
	sent   []Observation
	all    []Observation // those whose backend is known
	seq    []int         // backends of the attributed requests, in order
	seen   Weights       // their counts as weights: a check of sameness must not depend on the declared ones
	out    Diagnostics
	effect float64 // design effect of the connections, and whether they are few
	few    bool
}

func newExamination(all []Observation, w Weights, o DiagnoseOptions) *examination {
	e := &examination{w: w, o: o, sent: all, seen: slices.Clone(w)}
	for i := range e.seen {
		e.seen[i].W = 0
	}
	for _, x := range all {
		if x.Backend >= 0 && x.Backend < len(w) {
			e.all = append(e.all, x)
			e.seq = append(e.seq, x.Backend)
			e.seen[x.Backend].W++
		}
	}
	e.out.DesignEffect = 1
	return e
}

func (e *examination) add(d Diagnostic) {
	e.out.Items = append(e.out.Items, d)
}

// neighbours checks the order of requests.
func (e *examination) neighbours() {
	k := len(e.w)
	if len(e.seq) < 40 {
		return // the normal law of the number of runs wants some
	}
	runs := Runs(e.seq, k)
	if runs.Var == 0 {
		return
	}
	e.add(Diagnostic{Name: DiagnosticSticky, P: runs.TooFew, Impact: e.dependence()})
	e.add(Diagnostic{Name: DiagnosticAlternating, P: runs.TooMany, Impact: Qualify})
	e.autocorrelation()
}

// Lags of the check of autocorrelation: where connections are unknown, a pattern as long as their number must be seen.
const (
	lagsDrawn   = 20
	lagsUnknown = 100
)

// autocorrelation checks dependence over more than one request.
func (e *examination) autocorrelation() {
	n := len(e.seq)
	lag := min(lagsDrawn, n/5)
	if !e.out.Drawn {
		lag = min(lagsUnknown, n/10)
	}
	worst := Statistic{Asymptotic: pFromLn(0, Asymptotic)}
	tests := 0
	indicator := make([]bool, n)
	for i := range e.w {
		hits := 0
		for t, x := range e.seq {
			indicator[t] = x == i
			if x == i {
				hits++
			}
		}
		// A rare backend makes the chi-square law of the statistic wrong: a few expected pairs are the least.
		if rare := float64(min(hits, n-hits)); rare*rare < 5*float64(n) {
			continue
		}
		tests++
		if r := LjungBox(indicator, lag); tests == 1 || r.Asymptotic.LnP < worst.Asymptotic.LnP {
			worst = r
		}
	}
	if tests == 0 {
		return
	}
	if len(e.w) > 2 {
		worst.Asymptotic = worst.Asymptotic.scaled(float64(tests))
	}
	e.add(Diagnostic{Name: DiagnosticPeriodic, P: worst.Asymptotic, Impact: e.dependence()})
}

// dependence is what dependence between requests does to an outcome: where connections show that requests are drawn
// one by one, the shares stand.
func (e *examination) dependence() Impact {
	if e.out.Drawn {
		return Qualify
	}
	return Downgrade
}

// errorRates compares the share of errors between backends.
func (e *examination) errorRates() {
	table := make([][]int64, len(e.w))
	for i := range table {
		table[i] = make([]int64, 2)
	}
	for _, x := range e.all {
		if x.OK {
			table[x.Backend][0]++
		} else {
			table[x.Backend][1]++
		}
	}
	s := contingency(table)
	if s.DF == 0 || leastExpected(table) < 1 {
		return
	}
	worst := 0
	rate := func(i int) float64 {
		if n := table[i][0] + table[i][1]; n > 0 {
			return float64(table[i][1]) / float64(n)
		}
		return 0
	}
	for i := range table {
		if rate(i) > rate(worst) {
			worst = i
		}
	}
	e.add(Diagnostic{
		Name: DiagnosticErrors, P: s.Asymptotic, Impact: Qualify, Backend: e.w[worst].Backend, Share: rate(worst),
	})
}

// conclude adjusts for multiplicity and settles what was found.
func (e *examination) conclude() Diagnostics {
	lnP := make([]float64, len(e.out.Items))
	for i, d := range e.out.Items {
		lnP[i] = d.P.LnP
	}
	adjusted := holmLn(lnP)
	for i := range e.out.Items {
		d := &e.out.Items[i]
		d.AdjustedP = pFromLn(adjusted[i], d.P.Method)
		if d.OK = d.AdjustedP.P > e.o.Alpha; d.OK {
			d.Impact = Keep
			continue
		}
		if d.Name == DiagnosticConnections {
			e.out.DesignEffect, e.out.FewClusters = math.Max(1, e.effect), e.few
		}
	}
	if slices.ContainsFunc(e.out.Items, ofOrder) {
		e.out.Cause = e.cause()
		e.judgeTurns()
	}
	return e.out
}

// ofOrder reports whether a check found that requests are no independent draws of one split: what the Cause explains.
func ofOrder(d Diagnostic) bool {
	return !d.OK && d.Name != DiagnosticErrors && d.Name != DiagnosticRuns
}

// judgeTurns lets turns that keep the weights qualify an outcome only: their shares are what they are.
func (e *examination) judgeTurns() {
	for i, share := range e.w.Shares() {
		off := float64(e.seen[i].W) - share*float64(len(e.seq))
		if e.out.Cause.Kind != CauseTurns || math.Abs(off) > float64(len(e.w)) {
			return
		}
	}
	for i, d := range e.out.Items {
		if !d.OK && (d.Name == DiagnosticSticky || d.Name == DiagnosticPeriodic) {
			e.out.Items[i].Impact = Qualify
		}
	}
}
