package analyze

import (
	"cmp"
	"math"
	"slices"
)

// Codes of a Reason.
const (
	CodeWithin       = "within-tolerance"    // pass
	CodeOutside      = "outside-tolerance"   // fail
	CodeByChance     = "unlikely-by-chance"  // fail of the chi-square gate
	CodeNoDifference = "no-difference-seen"  // pass of the chi-square gate
	CodeLeak         = "leak"                // fail: a weight-0 backend answered
	CodeLeakUnsure   = "leak-undecided"      // some leak is tolerated, and the counts cannot tell whether it is more
	CodeTooFew       = "too-few-requests"    // inconclusive
	CodeNoRequests   = "no-requests"         // inconclusive: nothing was attributed
	CodeEdge         = "on-the-edge"         // inconclusive, and no number of requests helps
	CodeUnattributed = "unattributed-decide" // inconclusive: another allocation changes the outcome
	CodeChance       = "chance"              // how often chance alone does this
	CodeNoticeable   = "noticeable"          // what a run of this size would have noticed
	CodeNoHits       = "leak-bound"          // a weight-0 backend did not answer; how much it could still get
	CodeApproximate  = "simulated-undecided" // a simulated or bounded p straddles alpha
	CodeDiagnostic   = "diagnostic"          // a diagnostic was flagged
)

// Reason says why an outcome is what it is, as a code with its numbers: the sentences are not this package's. Which
// fields are set depends on the code.
type Reason struct {
	Code     string
	Unit     string  // what was counted, e.g. "connection"; empty: requests
	Weights  Weights // as declared
	Backend  string  // that the reason is about
	Requests int64   // that the reason is about: in all, unattributed, or of the backend

	Share, Expected float64 // observed and declared share of the backend
	Points          float64 // tolerance, or the smallest shift that would have been noticed, in percentage points
	Low, High       float64 // likely range of the backend's share
	P               PValue  // of counts like these
	Power           float64 // wanted
	Complete        Outcome // of the counts alone, where it does not stand

	OnTarget, AsObserved Needed  // how many requests would decide
	Deviation, Bound     float64 // requests that turns by weight are off, and may be; 0: no turns

	Finding *Diagnostic // CodeDiagnostic: what a check found that is not about the order of requests
	Cause   *Cause      // CodeDiagnostic: what explains the order of requests
	Why     string      // CodeDiagnostic: a Why code, "" where the outcome stands; of a quantile: why no interval

	Target   string  // whose latencies were compared; empty where there are but two
	Quantile float64 // of latencies, 0 to 1; 0: not about latencies
	Blocks   int     // on each side that would tell; 0: no number would
}

// reasons explains the decision, the most important reason first. complete is the outcome without the unattributed.
func (j *judgement) reasons(d *Decision, complete Outcome) []Reason {
	if j.total == 0 {
		return []Reason{j.needing(Reason{Code: CodeNoRequests, Requests: j.c.Unattributed}, d)}
	}
	var out []Reason
	switch {
	case d.Unattributed.Decides:
		out = append(out, j.unattributedReason(complete))
	case d.Outcome == Pass:
		out = append(out, j.passReason(d))
	case d.Outcome == Fail:
		out = append(out, j.failReasons(d)...)
	default:
		out = append(out, j.inconclusiveReason(d))
	}
	if len(j.cells.n) > 1 && j.cells.total > 0 && (j.hits == 0 || j.test.leak > 0) {
		out = append(out, Reason{Code: CodeChance, Weights: j.w, P: d.GoodnessOfFit.Pearson.Exact})
	}
	if d.Outcome == Pass && len(j.w) > 1 {
		out = append(out, Reason{Code: CodeNoticeable, Points: slices.Max(d.NoticeablePoints), Power: j.o.Power})
	}
	for _, i := range j.test.zero {
		if b := d.Backends[i]; b.Observed == 0 {
			out = append(out, Reason{Code: CodeNoHits, Backend: b.Backend, Requests: j.total, High: b.LeakUpper})
		}
	}
	return out
}

// about fills a reason in with what the counts say of one backend.
func (j *judgement) about(code string, b BackendResult, p PValue) Reason {
	return Reason{
		Code: code, Weights: j.w, Backend: b.Backend, Requests: b.Observed, Share: b.ObservedShare, Expected: b.ExpectedShare,
		Points: b.TolerancePoints, Low: b.Interval.Low, High: b.Interval.High, P: p,
	}
}

// needing adds how many requests would decide.
func (j *judgement) needing(r Reason, d *Decision) Reason {
	r.Power, r.OnTarget, r.AsObserved = j.o.Power, d.NeededIfOnTarget, d.NeededIfAsObserved
	if j.total == 0 {
		r.AsObserved.Why = ""
	}
	return r
}

func (j *judgement) passReason(d *Decision) Reason {
	if j.o.Gate == GateChiSquare {
		return Reason{Code: CodeNoDifference, Weights: j.w}
	}
	return j.about(CodeWithin, j.leastMatching(d), d.Match)
}

// leastMatching is the backend that is least surely inside its tolerance.
func (j *judgement) leastMatching(d *Decision) BackendResult {
	return j.worst(d, func(b BackendResult) float64 { return b.Match.LnP })
}

// worst is the backend of positive weight at which that is largest; the first of several.
func (j *judgement) worst(d *Decision, size func(BackendResult) float64) BackendResult {
	return d.Backends[slices.MaxFunc(j.cells.index, func(a, b int) int {
		return cmp.Compare(size(d.Backends[a]), size(d.Backends[b]))
	})]
}

func (j *judgement) failReasons(d *Decision) []Reason {
	var out []Reason
	if j.test.leakOutcome(j.hits, j.total) == Fail {
		for _, i := range j.test.zero {
			if b := d.Backends[i]; b.Observed > 0 {
				out = append(out, Reason{
					Code: CodeLeak, Backend: b.Backend, Requests: b.Observed, Share: b.ObservedShare, Points: 100 * j.test.leak,
				})
			}
		}
	}
	if j.o.Gate == GateChiSquare {
		if p := d.GoodnessOfFit.Pearson.Exact; p.LnP < math.Log(j.o.Alpha) && (len(out) == 0 || j.test.leak > 0) {
			worst := j.worst(d, func(b BackendResult) float64 { return math.Abs(b.StandardizedResidual) })
			out = append(out, j.about(CodeByChance, worst, p))
		}
		return out
	}
	for _, i := range j.outside(d) {
		out = append(out, j.about(CodeOutside, d.Backends[i], d.Backends[i].Differs))
	}
	return out
}

// outside are the backends shown to be outside their tolerance; of two, which are one another's mirror image, the
// smaller.
func (j *judgement) outside(d *Decision) []int {
	limit := math.Log(j.o.Alpha) - math.Log(j.test.factor)
	var out []int
	for _, i := range j.test.index {
		if d.Backends[i].Differs.LnP <= limit {
			out = append(out, i)
		}
	}
	if len(j.test.index) == 2 && len(out) == 2 {
		if d.Backends[out[0]].ExpectedShare < d.Backends[out[1]].ExpectedShare {
			return out[:1]
		}
		return out[1:]
	}
	return out
}

// unattributedReason names a weight-0 backend where any unattributed request may have reached it.
func (j *judgement) unattributedReason(complete Outcome) Reason {
	r := Reason{Code: CodeUnattributed, Requests: j.c.Unattributed, Complete: complete}
	all := j.total + j.c.Unattributed
	if complete == Pass && len(j.test.zero) > 0 && j.test.leakOutcome(j.hits+j.c.Unattributed, all) != Pass {
		r.Backend = j.w[j.test.zero[0]].Backend
	}
	return r
}

func (j *judgement) inconclusiveReason(d *Decision) Reason {
	if j.test.leakOutcome(j.hits, j.total) == Inconclusive {
		return Reason{Code: CodeLeakUnsure, Requests: j.hits, Points: 100 * j.test.leak}
	}
	exact := d.GoodnessOfFit.Pearson.Exact.Method == Exact
	if j.o.Gate == GateChiSquare && !exact && j.test.chiSquarePower(j.total) >= j.o.Power {
		return Reason{Code: CodeApproximate}
	}
	code := CodeTooFew
	if d.NeededIfAsObserved.Requests == 0 {
		code = CodeEdge
	}
	r := j.about(code, j.leastMatching(d), PValue{})
	r.Requests = j.total
	return j.needing(r, d)
}
