package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/preflight"
)

// Build makes the Report. It takes the decision as it is and may only make it worse: any reason in Invalid, an
// interruption, a failed fatal check, weights that changed, and no counted answer make it invalid; a diagnostic that
// downgrades makes it inconclusive. Text is kept as it came, but for bytes that are not UTF-8.
func Build(in Input) Report {
	r := Report{
		APIVersion:   APIVersion,
		Kind:         Kind,
		Diagnostics:  list(in.Diagnostics),
		Witness:      in.Witness,
		Segments:     in.Segments,
		Checks:       list(in.Checks),
		Warnings:     list(in.Warnings),
		Split:        splitOf(in.Before, in.After),
		Source:       sourceOf(in),
		Unattributed: unattributedOf(in),
		Backends:     backendsOf(in),
	}
	if in.Run != nil {
		run := *in.Run
		run.Complete, run.CutShort = in.Interrupted == "" && run.Complete, in.Interrupted
		run.Command = list(run.Command)
		r.Run = &run
	}
	if in.Decision != nil {
		r.GoodnessOfFit = goodnessOf(in.Decision.GoodnessOfFit)
	}
	if q := in.Sequential; q != nil {
		r.Sequential = &SequentialLooks{
			Every: q.Every, Looks: q.Looks, Requests: q.Requests, Maximum: q.Maximum,
			LnE: finite(q.LnE), Anytime: probability(q.Anytime),
		}
	}
	addLoad(&r, in.Load)
	r.Series = seriesOf(in)
	r.GatewayCost = gatewayCostOf(in.GatewayCost)
	r.Comparison, r.Drill, r.Watch = in.Comparison, in.Drill, in.Watch
	r.Kind = kindOf(r)
	if r.Kind != Kind {
		r.Unattributed.Harmless = true // its verdict is not about shares of one run
	}
	if r.Comparison != nil {
		r.Split = nil // its targets are Services, not a split
	}
	r.Verdict = verdictOf(in, &r)
	return mapStrings(r, validUTF8)
}

// list makes a JSON [] of a nil slice.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return slices.Clone(s)
}

// Codes of reasons that are not from a Decision.
const (
	codeInvalid    = "invalid"
	codeDiagnostic = "diagnostic"
)

func verdictOf(in Input, r *Report) Verdict {
	if in.Judged != nil {
		return judgedVerdict(in, r)
	}
	o := in.Options
	if in.Decision != nil {
		o = in.Decision.Options
		o.Gate = in.Decision.Gate
	}
	if o.Gate == "" {
		o.Gate = analyze.GateTolerance
	}
	v := Verdict{
		Gate: string(o.Gate), Alpha: o.Alpha, Power: o.Power,
		Tolerance: []BackendTolerance{}, Reasons: []string{}, ReasonCodes: []string{},
	}
	statistical := ""
	if d := in.Decision; d != nil {
		statistical = string(d.Outcome)
		v.ToleranceRule = toleranceRule(d.Options.Tolerance)
		for _, b := range d.Backends {
			v.Tolerance = append(v.Tolerance, BackendTolerance{Backend: b.Backend, Points: b.TolerancePoints})
		}
		v.Match, v.Differs = probability(d.Match), probability(d.Differs)
		v.RequestsNeeded = neededOf(d)
		for _, reason := range d.Reasons {
			v.Reasons, v.ReasonCodes = append(v.Reasons, Sentence(reason)), append(v.ReasonCodes, reason.Code)
		}
	}
	v.Outcome = statistical
	for _, d := range in.Diagnostics {
		if !d.OK && d.Effect == EffectDowngrade && (v.Outcome == Pass || v.Outcome == Fail) {
			v.Outcome = Inconclusive
		}
		if !d.OK && d.Effect == EffectDowngrade {
			v.Reasons, v.ReasonCodes = append([]string{d.Text}, v.Reasons...), append([]string{codeDiagnostic}, v.ReasonCodes...)
		}
	}
	if why := invalidReasons(in, r); len(why) > 0 {
		v.Outcome, v.Reasons, v.ReasonCodes = Invalid, why, slices.Repeat([]string{codeInvalid}, len(why))
	}
	if v.Outcome != statistical {
		v.StatisticalOutcome = statistical
	}
	v.Remedies = remediesOf(in, r, v.Outcome)
	return v
}

// refusals are why there is no verdict whatever was measured.
func refusals(in Input, r *Report) []string {
	why := slices.Clone(in.Invalid)
	said := strings.Join(why, "\n")
	for _, c := range failedChecks(in.Checks) {
		if c.Seen == "" || !strings.Contains(said, c.Seen) {
			why = append(why, failedCheck(c))
		}
	}
	if in.Interrupted != "" {
		why = append(why, interruptedReason(in.Interrupted, totalOf(in), plannedWhy(r)))
	}
	return why
}

// invalidReasons says why there is no verdict. It does not rely on the caller having seen what the data show.
func invalidReasons(in Input, r *Report) []string {
	why := refusals(in, r)
	if len(why) == 0 && r.Split != nil && in.After != nil && !r.Split.Unchanged {
		why = append(why, changedReason(r.Split.Why))
	}
	if len(why) > 0 {
		return why
	}
	switch d := in.Decision; {
	case attributed(in.Counts) == 0:
		why = append(why, noAnswersReason(totalOf(in)))
	case d == nil:
		why = append(why, "nothing was judged")
	case d.Outcome != analyze.Pass && d.Outcome != analyze.Fail && d.Outcome != analyze.Inconclusive:
		why = append(why, fmt.Sprintf("the statistics gave no outcome but %q", d.Outcome))
	}
	return why
}

func attributed(c analyze.Counts) (n int64) {
	for _, v := range c.N {
		n += v
	}
	return n
}

func totalOf(in Input) int64 { return attributed(in.Counts) + in.Counts.Unattributed }

func plannedWhy(r *Report) string {
	if r.Load == nil {
		return ""
	}
	return r.Load.EndReason
}

func backendsOf(in Input) []Backend {
	shares := in.Weights.Shares()
	n := float64(attributed(in.Counts))
	rows := make([]Backend, len(in.Weights))
	for i, w := range in.Weights {
		b := Backend{
			Name: w.Backend, Weight: w.W, Signature: in.Signatures[w.Backend], Cluster: clusterOf(in.Before, w.Backend),
			ExpectedShare: shares[i], Expected: n * shares[i],
		}
		if i < len(in.Counts.N) {
			b.Observed = in.Counts.N[i]
		}
		if n > 0 {
			b.ObservedShare = finite(float64(b.Observed) / n)
		}
		if d := in.Decision; d != nil && i < len(d.Backends) {
			addDecision(&b, d, i)
		}
		if in.Load != nil && i < len(in.Load.Backends) {
			a := in.Load.Backends[i]
			b.Errors, b.Statuses, b.Latency = a.serverErrors(), statusNames(a.Statuses), latencyOf(a.Service, a.Response)
		}
		rows[i] = b
	}
	return rows
}

func addDecision(b *Backend, d *analyze.Decision, i int) {
	row := d.Backends[i]
	b.Interval = interval(row.Interval)
	b.StandardizedResidual = finite(row.StandardizedResidual)
	b.AdjustedP = probability(row.AdjustedP)
	if row.Weight == 0 {
		b.LeakUpperShare = finite(row.LeakUpper)
	}
	if i < len(d.NoticeablePoints) && d.NoticeablePoints[i] > 0 {
		b.NoticeablePoints = finite(d.NoticeablePoints[i])
	}
}

func unattributedOf(in Input) Unattributed {
	u := Unattributed{Requests: in.Counts.Unattributed, Harmless: in.Counts.Unattributed == 0}
	if d := in.Decision; d != nil {
		u.Harmless = !d.Unattributed.Decides
		for i, w := range in.Weights {
			if u.Requests > 0 && i < len(d.Unattributed.Low) && i < len(d.Unattributed.High) {
				u.Bounds = append(u.Bounds, ShareBounds{w.Backend, number(d.Unattributed.Low[i]), number(d.Unattributed.High[i])})
			}
		}
	}
	if in.Load != nil {
		u.Statuses = statusNames(in.Load.Unattributed.Statuses)
		for class, n := range in.Load.Unattributed.Errors {
			if u.Errors == nil {
				u.Errors = map[string]int64{}
			}
			u.Errors[class.String()] += n
		}
	}
	for _, s := range in.Specimens {
		u.Specimens = append(u.Specimens, Specimen{s.Seq, s.Status, s.Body})
	}
	return u
}

func neededOf(d *analyze.Decision) *RequestsNeeded {
	if d.Outcome != analyze.Inconclusive {
		return nil
	}
	n := RequestsNeeded{
		IfOnTargetWhy: neededWhy(d.NeededIfOnTarget, unitRequest), IfAsObservedWhy: neededWhy(d.NeededIfAsObserved, unitRequest),
	}
	if d.NeededIfOnTarget.Requests > 0 {
		n.IfOnTarget, n.IfOnTargetWhy = &d.NeededIfOnTarget.Requests, ""
	}
	if d.NeededIfAsObserved.Requests > 0 {
		n.IfAsObserved, n.IfAsObservedWhy = &d.NeededIfAsObserved.Requests, ""
	}
	return &n
}

func goodnessOf(g analyze.GoodnessOfFit) *GoodnessOfFit {
	return &GoodnessOfFit{
		Pearson:            statistic(g.Pearson),
		G:                  statistic(g.G),
		CohensW:            finite(g.CohensW),
		TotalVariation:     number(g.TotalVariation),
		MaxDeviationPoints: number(g.MaxDeviationPoints),
	}
}

// StatisticOf is a statistic as reports have it.
func StatisticOf(s analyze.Statistic) Statistic { return statistic(s) }

func statistic(s analyze.Statistic) Statistic {
	out := Statistic{
		DF: s.DF, Statistic: finite(s.Value), Asymptotic: probability(s.Asymptotic), Exact: probability(s.Exact),
	}
	switch {
	case math.IsInf(s.Value, 1):
		out.Why = "infinite: a backend of weight 0 answered"
	case s.DF <= 0:
		out.Why = "one backend has all the weight: there is no other share to compare with"
	case out.Statistic == nil:
		out.Why = "could not be computed"
	}
	return out
}

// probability is nil for a p-value that nobody computed.
func probability(p analyze.PValue) *Probability {
	if p.Method == "" || math.IsNaN(p.P) {
		return nil
	}
	out := &Probability{P: p.P, LnP: finite(p.LnP), Method: string(p.Method)}
	if out.LnP == nil {
		out.Why = "impossible under the declared weights"
	}
	if p.Method == analyze.MonteCarlo {
		out.Low, out.High = finite(p.Lo), finite(p.Hi)
	}
	return out
}

func interval(i analyze.Interval) *Interval {
	if i.Method == "" && i.Why == "" {
		return nil
	}
	out := &Interval{Level: i.Level, Method: i.Method, Why: i.Why}
	if i.Why == "" {
		out.Low, out.High = finite(i.Low), finite(i.High)
	}
	return out
}

// finite is nil for what JSON cannot say.
func finite(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

func number(x float64) float64 {
	if p := finite(x); p != nil {
		return *p
	}
	return 0
}

// failedChecks are the checks that forbid a verdict, root causes first, else in their order.
func failedChecks(checks []preflight.Result) []preflight.Result {
	failed := slices.DeleteFunc(slices.Clone(checks), func(c preflight.Result) bool { return !c.Failure() })
	slices.SortStableFunc(failed, func(a, b preflight.Result) int {
		return cmp.Compare(min(len(a.CausedBy), 1), min(len(b.CausedBy), 1))
	})
	return failed
}

func clusterOf(s *law.Snapshot, backend string) string {
	if s == nil {
		return ""
	}
	for _, b := range s.Backends {
		if b.Name != backend {
			continue
		}
		if b.Mirror != nil {
			return b.Mirror.Context
		}
		return contextOf(s)
	}
	return ""
}

// contextOf is the kubeconfig context of the client's cluster.
func contextOf(s *law.Snapshot) string {
	for _, c := range s.Clusters {
		if c.Role == "client" {
			return c.Context
		}
	}
	return ""
}
