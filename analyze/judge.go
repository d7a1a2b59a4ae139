package analyze

import (
	"math"
	"slices"
)

// Judge is the one decision: it compares counts with declared weights under options that were fixed before the first
// request. It is deterministic, and it is meant to be called once per run.
//
// The tolerance gate passes where exact binomial tests show every share to be inside its tolerance (two one-sided
// tests per backend, Schuirmann 1987, joined without a price by intersection-union, Berger 1982) and fails where an
// exact minimum-effect test shows some share to be outside (Bonferroni over backends), each at level o.Alpha; neither
// can hold together with the other. The chi-square gate fails where p < o.Alpha and passes where it is not and the
// run was large enough to notice a shift beyond the tolerance with probability o.Power. With either, one answer of a
// weight-0 backend is a failure unless o.Tolerance.Leak allows some, and a conclusion that another allocation of the
// unattributed requests would change is inconclusive. No requests, or a single backend, give a decision like any
// other.
//
// The errors, all of which wrap ErrInput, are about the input; nothing is computed then.
func Judge(w Weights, c Counts, o Options) (Decision, error) {
	if err := w.Validate(); err != nil {
		return Decision{}, err
	}
	if err := c.validate(w); err != nil {
		return Decision{}, err
	}
	if err := o.Validate(); err != nil {
		return Decision{}, err
	}
	j := newJudgement(w, c, o)
	d := Decision{
		Gate: o.Gate, Options: o, Requests: j.total,
		Match:            pFromLn(matchOrOne(j.test.lnMatch(c.N, j.total), j.total), Exact),
		Differs:          pFromLn(j.test.lnDiffers(c.N, j.total), Exact),
		GoodnessOfFit:    goodnessOfFit(j.cells, o),
		Backends:         j.backends(),
		NoticeablePoints: noticeable(w, j.total, o.Alpha, o.Power),
		Unattributed:     j.test.unattributedBounds(c, j.total),
	}
	d.GoodnessOfFit = impossible(d.GoodnessOfFit, j)
	d.Outcome = j.completeCase(&d)
	complete := d.Outcome
	if complete != Inconclusive && c.Unattributed > 0 && j.flips(complete, &d) {
		d.Outcome, d.Unattributed.Decides = Inconclusive, true
	}
	j.needed(&d)
	d.Reasons = j.reasons(&d, complete)
	return d, nil
}

// judgement is the working state of one call of Judge.
type judgement struct {
	w     Weights
	c     Counts
	o     Options
	test  test
	cells cells
	total int64 // attributed requests
	hits  int64 // of them, answers of weight-0 backends
}

func newJudgement(w Weights, c Counts, o Options) *judgement {
	j := &judgement{w: w, c: c, o: o, test: newTest(w, o), cells: positiveCells(w, c), total: sumOf(c.N)}
	j.hits = j.test.leaked(c.N)
	return j
}

// impossible turns the classical test into the one of an impossible observation where a weight-0 backend answered.
func impossible(g GoodnessOfFit, j *judgement) GoodnessOfFit {
	if j.hits == 0 || j.test.leak > 0 {
		return g
	}
	never := func(m Method) PValue { return PValue{LnP: math.Inf(-1), Method: m} }
	for _, s := range []*Statistic{&g.Pearson, &g.G} {
		s.Value, s.Asymptotic, s.Exact = math.Inf(1), never(Asymptotic), never(Exact)
	}
	return g
}

// completeCase is the outcome if the unattributed requests did not exist.
func (j *judgement) completeCase(d *Decision) Outcome {
	if j.o.Gate == GateTolerance {
		return j.test.outcome(d.Match.LnP, d.Differs.LnP, j.hits, j.total)
	}
	return j.chiSquareOutcome(d.GoodnessOfFit.Pearson.Exact, j.total, j.hits)
}

func (j *judgement) chiSquareOutcome(p PValue, total, hits int64) Outcome {
	leak := j.test.leakOutcome(hits, total)
	rejects, accepts := p.LnP < math.Log(j.o.Alpha), p.LnP >= math.Log(j.o.Alpha)
	switch p.Method {
	case MonteCarlo: // undecided where its own interval straddles alpha
		rejects, accepts = p.Hi < j.o.Alpha, p.Lo >= j.o.Alpha
	case Bound: // an upper bound cannot show that p is large
		accepts = false
	case Exact, Asymptotic:
	}
	switch {
	case total == 0:
		return Inconclusive
	case leak == Fail || rejects:
		return Fail
	case leak == Pass && accepts && (len(j.cells.n) < 2 || j.test.chiSquarePower(total) >= j.o.Power):
		return Pass
	}
	return Inconclusive
}

// flips reports whether some allocation of the unattributed requests changes the outcome.
func (j *judgement) flips(complete Outcome, d *Decision) bool {
	lnAlpha, m := math.Log(j.o.Alpha), j.c.Unattributed
	all := j.total + m
	if complete == Fail && j.test.leakOutcome(j.hits, all) == Fail {
		return false
	}
	if complete == Pass && len(j.test.zero) > 0 && j.test.leakOutcome(j.hits+m, all) != Pass {
		return true // any of them may have reached a backend that must get nothing
	}
	if j.o.Gate == GateTolerance {
		if complete == Pass {
			return d.Unattributed.WorstMatch.LnP > lnAlpha
		}
		return d.Unattributed.WorstDiffer.LnP > lnAlpha
	}
	n := mostPearson(j.cells, m)
	if complete == Fail {
		n = leastPearson(j.cells, m)
	}
	c := j.cells.with(n)
	if len(n) < 2 {
		return false
	}
	observed, expected := c.floats()
	o := j.o
	o.MaxStates = 20_000 // a bound needs no more
	p := exactPearson(c, pearsonValue(observed, expected), o)
	return j.chiSquareOutcome(p, all, j.hits) != complete
}

// backends is the table of per-backend results.
func (j *judgement) backends() []BackendResult {
	out := make([]BackendResult, len(j.w))
	observed, expected := j.cells.floats()
	intervals := simultaneous(j.cells.n, 1-j.o.Alpha)
	lnP := make([]float64, len(j.cells.n))
	for r, n := range j.cells.n {
		if len(j.cells.n) > 1 {
			lnP[r] = exactPearson2(n, j.cells.total, j.cells.w[r], sumOf(j.cells.w)-j.cells.w[r])
		}
	}
	if len(lnP) > 2 { // the two residuals of two backends are one test
		lnP = holmLn(lnP)
	}
	for r, i := range j.cells.index {
		b := j.test.bands[r]
		x := BackendResult{
			ExpectedShare: b.pi, Expected: float64(j.total) * b.pi, TolerancePoints: 100 * b.delta,
			Interval: intervals[r], AdjustedP: pFromLn(lnP[r], Exact),
			Match:   pFromLn(matchOrOne(b.lnMatch(j.c.N[i], j.total), j.total), Exact),
			Differs: pFromLn(b.lnDiffers(j.c.N[i], j.total), Exact),
		}
		if v := expected[r] * (1 - b.pi); v > 0 {
			x.StandardizedResidual = (observed[r] - expected[r]) / math.Sqrt(v)
		}
		out[i] = x
	}
	for _, i := range j.test.zero {
		out[i] = j.zeroBackend(j.c.N[i])
	}
	for i, x := range j.w {
		out[i].Backend, out[i].Weight, out[i].Observed = x.Backend, x.W, j.c.N[i]
		if j.total > 0 {
			out[i].ObservedShare = float64(j.c.N[i]) / float64(j.total)
		}
	}
	return out
}

// zeroBackend is the result of a backend that may get nothing.
func (j *judgement) zeroBackend(n int64) BackendResult {
	x := BackendResult{
		Interval:  ClopperPearson(n, j.total, 1-j.o.Alpha),
		AdjustedP: pFromLn(0, Exact), Match: pFromLn(0, Exact), Differs: pFromLn(0, Exact),
		TolerancePoints: 100 * j.test.leak, LeakUpper: 1,
	}
	if j.total > 0 {
		x.LeakUpper = upperLimit(n, j.total, j.o.Alpha)
	}
	switch {
	case j.total == 0:
	case j.test.leak > 0:
		x.Match = pFromLn(lnLower(n, j.total, j.test.leak, 1-j.test.leak), Exact)
		x.Differs = pFromLn(lnUpper(n, j.total, j.test.leak, 1-j.test.leak), Exact)
		x.AdjustedP = x.Differs
	case n > 0:
		never := PValue{LnP: math.Inf(-1), Method: Exact}
		x.AdjustedP, x.Differs = never, never
	default:
		x.Match = PValue{LnP: math.Inf(-1), Method: Exact}
	}
	return x
}

// needed fills in how many requests in all would decide.
func (j *judgement) needed(d *Decision) {
	switch {
	case d.Outcome != Inconclusive:
		d.need(Needed{Why: NeedNothing})
	case d.Unattributed.Decides:
		d.need(Needed{Why: NeedUnattributed})
	default:
		d.NeededIfOnTarget = j.test.neededOnTarget(j.o)
		d.NeededIfAsObserved = j.test.neededAsObserved(j.c.N, j.total, j.o)
	}
}

// need says the same of requests on target and as observed.
func (d *Decision) need(n Needed) { d.NeededIfOnTarget, d.NeededIfAsObserved = n, n }

// Codes of why an outcome does not stand in spite of what a diagnostic found.
const (
	WhyMixed = "mixed" // there is no single split to judge
	WhyDraws = "draws" // nobody can say how many independent draws are behind the counts
	WhyFew   = "few"   // too few connections
	WhyFewer = "fewer" // the counts tell only as much as fewer independent requests
)

// Conclude lets the diagnostics keep, qualify or make inconclusive a decision; they never improve one. A leak stays a
// failure whatever the order of requests. Shares that differ over time or between source pods have no single value to
// judge: inconclusive. Requests that stick together count as fewer: the decision is made once more with the counts
// divided by the design effect, and stands only if the outcome is the same; below 20 connections it does not stand at
// all. Everything flagged is added to the reasons. w and c are those of the decision. Errors wrap ErrInput.
func Conclude(d Decision, w Weights, c Counts, g Diagnostics) (Decision, error) {
	if len(g.Items) == 0 {
		return d, nil
	}
	leak := newTest(w, d.Options)
	hits := int64(0)
	if len(c.N) == len(w) {
		hits = leak.leaked(c.N)
	}
	leaked := leak.leak == 0 && hits > 0
	var order *Reason // of all that the cause explains
	var added []Reason
	outcome := d.Outcome
	for i, item := range g.Items {
		if item.OK {
			continue
		}
		r := Reason{Code: CodeDiagnostic, Finding: &g.Items[i]}
		if item.Impact == Downgrade && !leaked && d.Outcome != Inconclusive {
			var err error
			if r.Why, r.Requests, err = undone(item, d, w, c, g); err != nil {
				return Decision{}, err
			}
		}
		if r.Why != "" {
			r.Complete, outcome = d.Outcome, Inconclusive
		}
		switch {
		case !ofOrder(item):
			added = append(added, r)
		case order == nil || r.Why != "" && (order.Why == "" || g.Cause.why(r.Why) && !g.Cause.why(order.Why)):
			r.Finding, r.Cause = nil, g.Cause
			order = &r
		}
	}
	if order != nil {
		added = append([]Reason{*order}, added...)
	}
	if d.Outcome != outcome {
		d.Outcome = outcome
		d.need(Needed{Why: NeedLikeness})
	}
	if d.Outcome == Inconclusive {
		// The reasons of the outcome that does not stand would contradict it.
		kept := slices.DeleteFunc(slices.Clone(d.Reasons), func(r Reason) bool { return decided(r.Code) })
		d.Reasons = append(added, kept...)
	} else {
		d.Reasons = append(slices.Clone(d.Reasons), added...)
	}
	return d, nil
}

// decided reports whether a reason explains a pass or a fail.
func decided(code string) bool {
	switch code {
	case CodeWithin, CodeOutside, CodeByChance, CodeNoDifference, CodeNoticeable:
		return true
	}
	return false
}

// undone says why the outcome does not stand: a code, empty where it does, and how many independent requests there are
// of WhyFewer.
func undone(item Diagnostic, d Decision, w Weights, c Counts, g Diagnostics) (why string, requests int64, err error) {
	switch item.Name {
	case DiagnosticTime, DiagnosticPods, DiagnosticRuns:
		return WhyMixed, 0, nil
	case DiagnosticSticky, DiagnosticPeriodic:
		if g.DesignEffect <= 1 && !g.Drawn {
			return WhyDraws, 0, nil
		}
	case DiagnosticConnections:
		if g.FewClusters {
			return WhyFew, 0, nil
		}
	}
	if g.DesignEffect <= 1 {
		return "", 0, nil
	}
	fewer := Counts{N: make([]int64, len(c.N)), Unattributed: int64(math.Ceil(float64(c.Unattributed) / g.DesignEffect))}
	for i, n := range c.N {
		fewer.N[i] = int64(math.Round(float64(n) / g.DesignEffect))
	}
	again, err := Judge(w, fewer, d.Options)
	if err != nil || again.Outcome == d.Outcome {
		return "", 0, err
	}
	return WhyFewer, again.Requests, nil
}
