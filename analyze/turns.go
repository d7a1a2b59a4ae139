package analyze

import (
	"math"
	"slices"
)

// RunsResult is the test of independence by the number of runs (Wald and Wolfowitz 1940; A. M. Mood 1940 for several
// categories): too few say that requests stick to a backend, too many that they alternate.
type RunsResult struct {
	Runs      int64   // observed
	Mean, Var float64 // of the number of runs under independence, given the counts
	TooFew    PValue  // normal approximation
	TooMany   PValue
}

// Runs counts runs in a sequence of categories 0..k-1; entries outside (unattributed requests) are left out. Where
// fewer than two categories occur there is nothing to test, and every p is 1.
func Runs(seq []int, k int) RunsResult {
	counts := make([]float64, max(0, k))
	last, n := -1, 0.0
	var out RunsResult
	for _, x := range seq {
		if x < 0 || x >= k {
			continue
		}
		counts[x]++
		n++
		if x != last {
			out.Runs++
		}
		last = x
	}
	out.TooFew, out.TooMany = pFromLn(0, Asymptotic), pFromLn(0, Asymptotic)
	if n < 2 {
		out.Mean = float64(out.Runs)
		return out
	}
	var s2, s3 float64
	for _, c := range counts {
		s2 += c * c
		s3 += c * c * c
	}
	out.Mean = (n*(n+1) - s2) / n
	out.Var = math.Max(0, (s2*(s2+n*(n+1))-2*n*s3-n*n*n)/(n*n*(n-1)))
	if out.Var == 0 {
		return out
	}
	z := (float64(out.Runs) - out.Mean) / math.Sqrt(out.Var)
	out.TooFew = pFromLn(lnNormalUpper(-z), Asymptotic)
	out.TooMany = pFromLn(lnNormalUpper(z), Asymptotic)
	return out
}

// LjungBox tests an indicator series ("was it this backend?") for autocorrelation at lags 1..lag (Ljung and Box
// 1978). The p is a survival function: R's Box.test takes 1-CDF and prints 0 for small ones. A constant series, or
// one no longer than the lag, has nothing to test and p = 1.
func LjungBox(series []bool, lag int) Statistic {
	out := Statistic{Asymptotic: pFromLn(0, Asymptotic)}
	n := len(series)
	if lag < 1 || n <= lag {
		return out
	}
	mean := 0.0
	for _, x := range series {
		if x {
			mean++
		}
	}
	mean /= float64(n)
	if mean == 0 || mean == 1 {
		return out
	}
	centred := make([]float64, n)
	c0 := 0.0
	for i, x := range series {
		centred[i] = -mean
		if x {
			centred[i]++
		}
		c0 += centred[i] * centred[i]
	}
	for h := 1; h <= lag; h++ {
		c := 0.0
		for i := h; i < n; i++ {
			c += centred[i] * centred[i-h]
		}
		r := c / c0
		out.Value += r * r / float64(n-h)
	}
	return chiSquareTest(out.Value*float64(n)*(float64(n)+2), lag)
}

// Codes of the reasons of JudgeTurns.
const (
	CodeTurns       = "turns-by-weight"       // pass: counts are as near to the weights as turns keep them
	CodeTurnsFew    = "turns-too-few"         // inconclusive: turns of another weight could give these counts
	CodeTurnsBroken = "turns-not-undisturbed" // counts further off than turns allow; judged as random draws
)

// Turns says how a split that takes turns is scheduled.
type Turns struct {
	Instances int // balancers that take turns by themselves, e.g. pods; at least 1
	Levels    int // weighted services of weighted services, at most so deep; at least 1
}

// TurnsResult is what counts say about turns.
type TurnsResult struct {
	Bound     []float64 // by backend: requests that turns may be off the weight, unattributed ones included
	Deviation []float64 // by backend: requests that it was off, with its sign
	Within    bool      // every deviation is within its bound
}

// JudgeTurns is Judge for a weighted round robin, whose counts vary far less than those of random draws: a chi-square
// test would call anything "too good" or nothing wrong. Where every count is within the bound that turns keep, the
// run passes if no weights outside tolerance could have given such counts by turns, and is inconclusive if some
// could, or if requests without a known backend could have reached one of weight 0. Where a count is further off
// (other clients take turns in between, a backend was down), the schedule cannot be checked, and Judge's decision
// stands, which is conservative for counts that vary less than random ones. An answer of a weight-0 backend is judged
// as ever. Errors wrap ErrInput.
//
// The bound, for one balancer that always takes the entry with the earliest deadline, deadlines being multiples of
// 1/w: at any moment entry j is e_j in [0, 1] of a turn behind t*w_j, so over any stretch of the schedule its count
// is off by f_j in [-1, 1], and n_i - N p_i = -(1-p_i) f_i + p_i sum_{j<>i} f_j, which is at most 1 + p_i (k-2) in
// size for k entries.
func JudgeTurns(w Weights, c Counts, o Options, turns Turns) (Decision, TurnsResult, error) {
	d, err := Judge(w, c, o)
	if err != nil {
		return d, TurnsResult{}, err
	}
	if turns.Instances < 1 || turns.Levels < 1 {
		return d, TurnsResult{}, inputErrorf("turns: %d instances, %d levels: want at least 1", turns.Instances, turns.Levels)
	}
	res := turnsOf(d, w, c, turns)
	switch {
	case d.Requests == 0 || slices.ContainsFunc(d.Backends, leaks):
		return d, res, nil
	case !res.Within:
		d.Reasons = append(d.Reasons, res.reason(CodeTurnsBroken, w, d))
		return d, res, nil
	}
	widest := float64(turns.Instances*turns.Levels*max(1, w.Positive()-1)) + float64(c.Unattributed)
	need := int64(0)
	for i, b := range d.Backends {
		if b.Weight > 0 && b.TolerancePoints > 0 {
			need = max(need, int64(math.Floor((math.Abs(res.Deviation[i])+widest)/(b.TolerancePoints/100)))+1)
		}
	}
	d.Unattributed.Decides = false
	var why Reason
	switch t, all := newTest(w, o), d.Requests+c.Unattributed; {
	case c.Unattributed > 0 && len(t.zero) > 0 && t.leakOutcome(c.Unattributed, all) != Pass:
		d.Outcome, d.Unattributed.Decides = Inconclusive, true
		d.need(Needed{Why: NeedUnattributed})
		why = res.reason(CodeUnattributed, w, d)
		why.Requests = c.Unattributed
	case d.Requests >= need:
		d.Outcome = Pass
		why = res.reason(CodeTurns, w, d)
	default:
		d.Outcome = Inconclusive
		d.need(Needed{Requests: need})
		why = res.reason(CodeTurnsFew, w, d)
		why.OnTarget = d.NeededIfOnTarget
	}
	kept := slices.DeleteFunc(slices.Clone(d.Reasons), func(r Reason) bool { return r.Code != CodeNoHits })
	d.Reasons = append([]Reason{why}, kept...)
	return d, res, nil
}

func turnsOf(d Decision, w Weights, c Counts, turns Turns) TurnsResult {
	res := TurnsResult{Within: true, Bound: make([]float64, len(d.Backends)), Deviation: make([]float64, len(d.Backends))}
	k := w.Positive()
	for i, b := range d.Backends {
		if b.Weight == 0 {
			continue
		}
		one := 1 + b.ExpectedShare*float64(max(0, k-2))
		if turns.Levels > 1 { // each level is off by its own bound, weighted with at most 1
			one = float64(turns.Levels * max(1, k-1))
		}
		if k == 1 {
			one = 0
		}
		res.Bound[i] = float64(turns.Instances)*one + float64(c.Unattributed)
		res.Deviation[i] = float64(b.Observed) - b.Expected
		const rounding = 1e-6 // of Expected
		res.Within = res.Within && math.Abs(res.Deviation[i]) <= res.Bound[i]+rounding
	}
	return res
}

// reason is about the backend that is furthest off, measured by its bound.
func (r TurnsResult) reason(code string, w Weights, d Decision) Reason {
	worst, most := 0, math.Inf(-1)
	for i := range r.Deviation {
		if x := math.Abs(r.Deviation[i]) - r.Bound[i]; r.Bound[i] > 0 && x > most {
			worst, most = i, x
		}
	}
	b := d.Backends[worst]
	return Reason{
		Code: code, Weights: w, Backend: b.Backend, Share: b.ObservedShare, Requests: d.Requests,
		Deviation: math.Abs(r.Deviation[worst]), Bound: r.Bound[worst],
	}
}

func leaks(b BackendResult) bool { return b.Weight == 0 && b.Observed > 0 }
