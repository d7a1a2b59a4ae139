package report

import (
	"fmt"
)

// statistics are the numbers behind the verdict, one line each.
func statistics(r Report) []string {
	var s []string
	v := r.Verdict
	if v.Alpha > 0 {
		s = append(s, fmt.Sprintf("gate %s, alpha %g, power %g", v.Gate, v.Alpha, v.Power))
	}
	if v.Match != nil && v.Differs != nil {
		s = append(s, fmt.Sprintf("tolerance: %s that the shares are within it, %s that one is not (small means shown)",
			pText(v.Match), pText(v.Differs)))
	}
	if g := r.GoodnessOfFit; g != nil {
		s = append(s, statisticText("chi-square (Pearson)", g.Pearson), statisticText("G", g.G))
		effect := fmt.Sprintf("effect: total variation %s, largest gap %s",
			statisticValue(g.TotalVariation), points(g.MaxDeviationPoints))
		if g.CohensW != nil {
			effect += fmt.Sprintf(", Cohen's w %s", statisticValue(*g.CohensW))
		}
		s = append(s, effect)
	}
	for _, b := range r.Backends {
		if b.AdjustedP != nil && b.StandardizedResidual != nil {
			s = append(s, fmt.Sprintf("%s: standardized residual %s, %s (Holm)", b.Name,
				statisticValue(*b.StandardizedResidual), pText(b.AdjustedP)))
		}
	}
	for _, d := range r.Diagnostics {
		s = append(s, fmt.Sprintf("%s: %s (%s)", d.Name, d.Text, d.Effect))
	}
	return s
}

func statisticText(name string, s Statistic) string {
	if s.Statistic == nil {
		return fmt.Sprintf("%s: none, %s", name, s.Why)
	}
	text := fmt.Sprintf("%s %s, df %d", name, statisticValue(*s.Statistic), s.DF)
	if s.Exact != nil {
		text += fmt.Sprintf(", %s (%s)", pText(s.Exact), s.Exact.Method)
	}
	if s.Asymptotic != nil {
		text += fmt.Sprintf(", %s (asymptotic)", pText(s.Asymptotic))
	}
	return text
}

// pText is for details only. Where p underflows its logarithm still says how small it is.
func pText(p *Probability) string {
	switch {
	case p.P > 0:
		return "p " + statisticValue(p.P)
	case p.LnP != nil:
		return "ln p " + statisticValue(*p.LnP)
	}
	return "p 0"
}

// glossary says what the words of a report mean, to a reader who knows no statistics.
func glossary() Fields {
	var f Fields
	f.add("Pass", "Every share is within its tolerance of the weight, and that was shown: were one outside, so good a "+
		"result would be rarer than the stated error rate.")
	f.add("Fail", "Some share is outside its tolerance, and that was shown; or a backend of weight 0 answered.")
	f.add("Inconclusive", "These requests cannot tell. It is neither good nor bad news; more requests would decide, "+
		"and the report says how many.")
	f.add("Invalid", "What was measured is not what was declared, or nothing was measured. The reasons say what to mend.")
	f.add("Weight and expected share", "Weights only count in proportion: 90 and 10 declare 90 % and 10 %. The expected "+
		"share is the weight divided by the sum of all.")
	f.add("Likely range", "A confidence interval: where the true share can be after what was seen. More requests make "+
		"it narrower.")
	f.add("Tolerance", "How far a share may be from its weight and still be called right. It is set before the run; by "+
		"default the smaller of 5 points and half the share.")
	f.add("Points", "Percentage points: from 10 % to 12 % is 2 points.")
	f.add("By chance", "Even a perfect split never gives exactly its weights, since each request is drawn. The report "+
		"says how often a gap like this one would turn up in runs against a perfect split.")
	f.add("Response time", "From the instant at which a request was planned to be sent until its answer was read. "+
		"Service time counts from when it was really sent.")
	f.add("p50, p99", "Half of the requests, or 99 of 100, were answered within that time.")
	f.add("Unattributed", "Requests of which nobody can say which backend answered. They are never left out: where they "+
		"could change the outcome it is inconclusive.")
	return f
}
