package analyze

import (
	"cmp"
	"math"
	"slices"
)

// Counts is what was observed: requests answered by each backend, aligned to Weights, and requests whose backend
// nobody can name.
type Counts struct {
	N            []int64 // requests answered by backend i, >= 0
	Unattributed int64   // requests without a known backend (timeouts, resets, unmatched answers), >= 0
}

// Add counts n requests of a backend, those of none that exists as unattributed.
func (c *Counts) Add(backend int, n int64) {
	if backend >= 0 && backend < len(c.N) {
		c.N[backend] += n
	} else {
		c.Unattributed += n
	}
}

// Outcome is the three-valued statistical conclusion. Whether a run was measurable at all (invalid) is not a
// statistical question and is decided by the caller.
type Outcome string

// The outcomes of a Decision.
const (
	Pass         Outcome = "pass"         // every share is within tolerance of its weight, shown at level alpha
	Fail         Outcome = "fail"         // some share is outside, shown at level alpha; or a weight-0 backend answered
	Inconclusive Outcome = "inconclusive" // the counts cannot tell
)

// Gate says which test is the judge.
type Gate string

// The gates.
const (
	GateTolerance Gate = "tolerance" // exact equivalence and minimum-effect tests against the tolerance; the default
	GateChiSquare Gate = "chisquare" // the classical test at alpha; passes only with the power to notice the tolerance
)

// Method says how a p-value was obtained.
type Method string

// The methods of a PValue.
const (
	Exact      Method = "exact"
	MonteCarlo Method = "monteCarlo"
	Asymptotic Method = "asymptotic"
	Bound      Method = "bound" // a rigorous upper bound: the true p is at most this
)

// PValue is a probability carried with its natural logarithm, which stays right where P underflows to 0.
type PValue struct {
	P      float64 // in [0,1]; 0 where it underflows
	LnP    float64 // natural logarithm of p; -Inf only where p is exactly 0 (an impossible observation)
	Method Method
	Lo, Hi float64 // interval of a Monte-Carlo p; equal to P otherwise
}

// Interval is a confidence interval for a share (unitless, 0 to 1) or for another quantity with the unit its source
// names.
type Interval struct {
	Low, High float64 // ends, Low <= High; infinite where that end does not exist
	Level     float64 // confidence level, e.g. 0.99
	Method    string  // "wilson", "clopperPearson", "goodman", ...
	Why       string  // why it could not be estimated; empty where it could
}

// Tolerance is how far a share may be from its weight and still be called right. Points is absolute, Relative is a
// fraction of the backend's own expected share; where both are positive the smaller of the two holds.
type Tolerance struct {
	Points   float64 `json:"points"`   // percentage points, e.g. 5 for 5 points; 0: not set
	Relative float64 `json:"relative"` // fraction of the expected share, e.g. 0.5; 0: not set
	Leak     float64 `json:"leak"`     // share that all weight-0 backends together may get; 0: one answer fails
}

// DefaultTolerance is the smaller of 5 points and half the backend's expected share.
func DefaultTolerance() Tolerance { return Tolerance{Points: 5, Relative: 0.5} }

// Options fixes everything about a decision but the counts. Fix it before the first request is sent.
type Options struct {
	Gate      Gate      `json:"gate"`
	Tolerance Tolerance `json:"tolerance"`
	Alpha     float64   `json:"alpha"`     // error rate, 0 < Alpha < 0.5
	Power     float64   `json:"power"`     // wanted power, 0 < Power < 1
	Seed      uint64    `json:"seed"`      // of the Monte-Carlo fallback
	MaxStates int       `json:"maxStates"` // cap of the exact algorithm; 0: the default
}

// DefaultOptions are the documented defaults: the tolerance gate, alpha 0.01, power 0.99.
func DefaultOptions() Options {
	return Options{Gate: GateTolerance, Tolerance: DefaultTolerance(), Alpha: 0.01, Power: 0.99, Seed: 1}
}

// Statistic is one goodness-of-fit statistic with its p-values.
type Statistic struct {
	Value      float64 // the statistic, unitless; +Inf where an impossible backend answered
	DF         int     // degrees of freedom: backends of positive weight minus 1
	Asymptotic PValue
	Exact      PValue // by the method it names (exact, monteCarlo, bound)
}

// GoodnessOfFit is the classical test of counts against weights, over backends of positive weight only.
type GoodnessOfFit struct {
	Pearson Statistic
	G       Statistic

	CohensW            float64 // sqrt(X2/N)
	TotalVariation     float64 // half the sum of |observed - expected| shares, 0 to 1
	MaxDeviationPoints float64 // largest |observed - expected| share, in percentage points
}

// BackendResult is what the counts say about one backend.
type BackendResult struct {
	Backend              string
	Weight               int64   // as declared
	ExpectedShare        float64 // 0 to 1
	Expected             float64 // requests
	Observed             int64   // requests
	ObservedShare        float64 // 0 to 1; of attributed requests
	Interval             Interval
	StandardizedResidual float64 // (n-E)/sqrt(E(1-pi)); 0 for weight 0
	AdjustedP            PValue  // exact two-sided binomial, Holm over backends
	TolerancePoints      float64 // the tolerance that held for it, percentage points
	Match                PValue  // test of "outside tolerance": small means shown to be inside
	Differs              PValue  // test of "inside tolerance": small means shown to be outside
	LeakUpper            float64 // weight 0 only: one-sided upper bound of its share, 0 to 1
}

// Needed is how many requests in all would decide; 0 means that no number does, and Why says so.
type Needed struct {
	Requests int64  // in all, attributed ones
	Why      string // a Need code, or a sentence of the caller's
	Backend  string // NeedEdge only: whose share it is
}

// Codes of why no number of requests decides.
const (
	NeedNothing      = "decided"      // the run is decided
	NeedUnattributed = "unattributed" // the unattributed requests decide
	NeedObservations = "unobserved"   // nothing was observed
	NeedEdge         = "edge"         // the observed share lies on the edge of the tolerance
	NeedNarrow       = "narrow"       // the tolerance is too narrow: more than 1e9 requests would be needed
	NeedLikeness     = "unlike"       // the requests of the run are not alike, or not independent
	NeedAlikeRuns    = "unlike-runs"  // the runs that are judged together are not alike
	NeedAnotherPlan  = "looks-spent"  // the looks of the run have used up its error rate
)

// Decision is the conclusion from one tally, made once.
type Decision struct {
	Outcome  Outcome
	Gate     Gate
	Options  Options
	Requests int64 // attributed requests
	// Match and Differs are the tests of the tolerance gate: small Match shows that all shares are inside tolerance,
	// small Differs shows that some share is outside.
	Match, Differs PValue
	GoodnessOfFit  GoodnessOfFit
	Backends       []BackendResult

	NeededIfOnTarget, NeededIfAsObserved Needed // requests in all, for an inconclusive outcome to become decided

	// NoticeablePoints is, per backend, the smallest shift in percentage points that a run of this size would have
	// noticed with the wanted power at level alpha.
	NoticeablePoints []float64
	Unattributed     UnattributedBounds
	Reasons          []Reason // never empty
}

// UnattributedBounds says what the unattributed requests could have hidden: the shares when all of them are given to,
// or withheld from, one backend.
type UnattributedBounds struct {
	Low, High   []float64 // bounds of the share of backend i, 0 to 1
	Decides     bool      // true where another allocation of them would have changed the outcome
	WorstMatch  PValue    // Match at the worst allocation
	WorstDiffer PValue    // Differs at the worst allocation
}

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
