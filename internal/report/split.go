package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/analyze"
)

// splitReport is a report about the shares of one run.
type splitReport struct{ Report }

// subject is namespace/name of the split; empty where only counts were given.
func (d splitReport) subject() string {
	if d.Split == nil || d.Split.Name == "" {
		return ""
	}
	return d.Split.Namespace + "/" + d.Split.Name
}

func (d splitReport) title() string {
	if s := d.subject(); s != "" {
		return s + ", " + weightsLabel(d.Report) + " weights"
	}
	return weightsLabel(d.Report) + " weights"
}

func (d splitReport) headline() string {
	if shares, limits := sharesOnly(d.Report); limits != "" {
		return splitReport{shares}.headline() + "; but " + limits
	}
	weights := weightsLabel(d.Report)
	switch d.Verdict.Outcome {
	case Pass:
		return fmt.Sprintf("traffic follows the %s weights (%s)", weights, size(d.Report))
	case Fail:
		return fmt.Sprintf("traffic does NOT follow the %s weights: %s (%s)", weights, worstSentence(d.Report),
			size(d.Report))
	case Inconclusive:
		n, _ := requestsOf(d.Report)
		return fmt.Sprintf("%s cannot tell whether traffic follows the %s weights", plural(n, unitOf(d.Report)), weights)
	}
	return notMeasured(d.Verdict.Reasons)
}

func (d splitReport) lead() string { return usersSentence(d.Report) }

func (d splitReport) question() string {
	return "traffic follows the " + weightsLabel(d.Report) + " weights"
}

func (d splitReport) requests() int64 {
	_, all := requestsOf(d.Report)
	return all
}

func (d splitReport) matter() string {
	if d.Unattributed.Harmless {
		return "wherever they went, the outcome is the same"
	}
	return "where they went could change the outcome"
}

func (d splitReport) sections() []Section {
	shares := sharesSection(d.Report)
	if len(d.Backends) == 0 || d.requests() == d.Unattributed.Requests {
		shares.Blocks = []Block{Paragraph("No answer of a known backend was counted.")}
	}
	shares.Blocks = append(shares.Blocks, paragraphs(d.sentences()...)...)
	return []Section{shares}
}

// worst is the backend that a failure is about: one of weight 0 that answered, else the one furthest from its share
// in tolerances.
func worst(r Report) (Backend, bool) {
	tolerance := map[string]float64{}
	for _, t := range r.Verdict.Tolerance {
		tolerance[t.Backend] = t.Points
	}
	var found Backend
	most := -1.0
	for _, b := range r.Backends {
		if b.ObservedShare == nil {
			continue
		}
		if b.Weight == 0 && b.Observed > 0 {
			return b, true
		}
		off := math.Abs(*b.ObservedShare-b.ExpectedShare) * 100
		if t := tolerance[b.Name]; t > 0 {
			off /= t
		}
		// Of two backends, which are one another's mirror image, the smaller: as package analyze says it.
		const same = 1e-9
		if off > most+same || off > most-same && b.ExpectedShare <= found.ExpectedShare {
			found, most = b, off
		}
	}
	return found, most >= 0
}

func worstSentence(r Report) string {
	b, ok := worst(r)
	if !ok {
		return "no backend answered"
	}
	if b.Weight == 0 {
		return fmt.Sprintf("%s has weight 0 and answered %s", b.Name, plural(b.Observed, "time"))
	}
	return fmt.Sprintf("%s got %s, expected %s", b.Name, percent(*b.ObservedShare), percent(b.ExpectedShare))
}

// sentences say what chance could do, what the run would have noticed, and what is still possible.
func (d splitReport) sentences() []string {
	r, _ := sharesOnly(d.Report)
	s := []string{inForceSentence(r), informationSentence(r), sequentialSentence(r), chanceSentence(r)}
	for _, d := range r.Diagnostics {
		if d.OK && d.Name == NameCombined {
			s = append(s, d.Text)
		}
	}
	switch r.Verdict.Outcome {
	case Pass:
		if r.Sequential == nil { // its likely ranges say it; the number is of a run of fixed size
			s = append(s, noticedSentence(r))
		}
		for i, reason := range r.Verdict.Reasons {
			if CodeOf(r, i) == analyze.CodeNoHits {
				s = append(s, reason)
			}
		}
	case Inconclusive:
		if !hasCode(r, analyze.CodeTooFew) && !hasCode(r, analyze.CodeEdge) { // whose text says it
			s = append(s, rangeSentence(r))
		}
		s = append(s, neededSentence(r))
	}
	return slices.DeleteFunc(s, func(sentence string) bool { return sentence == "" })
}

// sequentialSentence says how many requests it took, and that tests of a fixed size do not know of the looks.
func sequentialSentence(r Report) string {
	q := r.Sequential
	if q == nil {
		return ""
	}
	text := fmt.Sprintf("Looked every %s, %s of at most %s: likely ranges hold at all looks together; what else is said "+
		"of chance ignores that.", plural(q.Every, "request"), count(q.Requests), count(q.Maximum))
	if r.Verdict.Outcome == Pass || r.Verdict.Outcome == Fail {
		return "Decided after " + plural(q.Requests, "request") + ". " + text
	}
	return text
}

// informationSentence says what the counts would have meant where the run was not valid or a diagnostic took the
// verdict away.
func informationSentence(r Report) string {
	if r.Verdict.StatisticalOutcome == "" {
		return ""
	}
	if r.Verdict.Outcome == Inconclusive {
		return fmt.Sprintf("The counts alone would be a %s, but what they rest on does not hold.",
			r.Verdict.StatisticalOutcome)
	}
	return fmt.Sprintf("For information only: the counts alone would be %s.", article(r.Verdict.StatisticalOutcome))
}

// chanceSentence turns the exact p-value of the classical test into runs out of many.
func chanceSentence(r Report) string {
	b, ok := worst(r)
	switch {
	case r.Verdict.Outcome == Invalid:
		return ""
	case ok && b.Weight == 0 && b.Observed > 0:
		return fmt.Sprintf("Chance has no part in it: %s has weight 0 and must not answer at all.", b.Name)
	case r.GoodnessOfFit == nil || r.GoodnessOfFit.Pearson.DF <= 0:
		return ""
	}
	p := cmp.Or(r.GoodnessOfFit.Pearson.Exact, r.GoodnessOfFit.Pearson.Asymptotic)
	if p == nil {
		return ""
	}
	v := analyze.PValue{P: p.P, LnP: math.Log(p.P), Method: analyze.Method(p.Method)}
	if p.LnP != nil {
		v.LnP = *p.LnP
	}
	return Sentence(analyze.Reason{Code: analyze.CodeChance, Weights: weightsOf(r), P: v})
}

// noticedSentence is the sensitivity of a pass: without it a pass of 30 requests would look like one of a million.
func noticedSentence(r Report) string {
	most := 0.0
	for _, b := range r.Backends {
		if b.NoticeablePoints != nil {
			most = max(most, *b.NoticeablePoints)
		}
	}
	if most == 0 {
		return "How small a shift this run would have noticed could not be computed."
	}
	return Sentence(analyze.Reason{Code: analyze.CodeNoticeable, Points: most, Power: r.Verdict.Power})
}

// rangeSentence says where the true share still can be, for the backend that is known least.
func rangeSentence(r Report) string {
	widest, text := 0.0, ""
	for _, b := range r.Backends {
		if low, high, ok := b.Interval.Ends(); ok && high-low > widest {
			widest, text = high-low, fmt.Sprintf("The true share of %s could be anywhere from %s to %s.", b.Name,
				percent(low), percent(high))
		}
	}
	return text
}

// neededSentence says how many requests more would decide.
func neededSentence(r Report) string {
	_, have := requestsOf(r)
	need := r.Verdict.RequestsNeeded
	if r.Verdict.StatisticalOutcome != "" || need == nil {
		return "More requests of the same kind would not decide it."
	}
	var ways []string
	add := func(n *int64, when string) {
		if n != nil && *n > have {
			ways = append(ways, fmt.Sprintf("%s in all (%s more) if %s", plural(*n, unitOf(r)), count(*n-have), when))
		}
	}
	add(need.IfOnTarget, "the split is right")
	add(need.IfAsObserved, "it is as far off as it looks")
	why := cmp.Or(need.IfAsObservedWhy, need.IfOnTargetWhy)
	switch {
	case len(ways) > 0:
		return "To decide, send " + strings.Join(ways, ", or ") + "."
	case why != "":
		return "No number of requests would decide it: " + strings.TrimSuffix(why, ".") + "."
	}
	return "How many requests would decide it could not be computed."
}

// usersSentence says what the split means for those who use the service. It says no more of times than the gateway's
// cost does, where that is stated or refused.
func usersSentence(r Report) string {
	if (r.Verdict.Outcome != Pass && r.Verdict.Outcome != Fail) || len(r.Backends) != 2 {
		return ""
	}
	a, b := r.Backends[0], r.Backends[1]
	if a.ObservedShare == nil || b.ObservedShare == nil || *a.ObservedShare == 0 || *b.ObservedShare == 0 {
		return ""
	}
	s := fmt.Sprintf("About %s to %s", inWords(*b.ObservedShare), b.Name)
	if r.GatewayCost != nil {
		return s + medianCost(r.GatewayCost, b.Name) + "."
	}
	if p, q := medianOf(a), medianOf(b); p != nil && q != nil {
		difference := math.Abs(*q - *p)
		word := "slower"
		if *q < *p {
			word = "faster"
		}
		if difference < 0.05*max(*p, *q) {
			return s + fmt.Sprintf(", which is about as fast at the median (%s and %s).", ms(q), ms(p))
		}
		s += fmt.Sprintf(", which is %s %s than %s at the median (%s instead of %s)", ms(&difference), word, a.Name, ms(q),
			ms(p))
	}
	return s + "."
}

// medianCost is what the gateway adds at the median, as a clause; empty where there is no range of it.
func medianCost(g *GatewayCost, backend string) string {
	for _, c := range g.Costs {
		for _, q := range c.Quantiles {
			if c.Backend == backend && q.Quantile == 0.5 && q.Ms != nil && q.LowMs != nil && q.HighMs != nil {
				return fmt.Sprintf(", and at the median its answers are %s", slowerText(q.Difference, g.Reference))
			}
		}
	}
	return ""
}

// slowerText is a difference with its likely range: "38.0 ms slower than podinfo (37.2 to 38.9)".
func slowerText(d Difference, than string) string {
	ms, low, high, word := *d.Ms, *d.LowMs, *d.HighMs, "slower"
	switch {
	case low <= 0 && high >= 0:
		return fmt.Sprintf("not proven slower or faster than %s (%s to %s ms)", than, signedMs(low), signedMs(high))
	case ms < 0:
		ms, low, high, word = -ms, -high, -low, "faster"
	}
	return fmt.Sprintf("%s %s than %s (%s to %s)", msText(ms), word, than, msNumber(low), msNumber(high))
}

func medianOf(b Backend) *float64 {
	if b.Latency == nil {
		return nil
	}
	return b.Latency.ResponseTime.P50Ms
}

// inWords is a share as people say it.
func inWords(share float64) string {
	if share >= 0.35 {
		return percent(share) + " of the requests go"
	}
	return fmt.Sprintf("1 in %s requests goes", count(int64(math.Round(1/share))))
}
