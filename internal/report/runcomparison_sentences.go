package report

import (
	"fmt"
	"math"
	"strings"
)

// The sentences of a comparison of runs; text, Markdown and HTML share them.

// runsHeadline is the sentence after the verdict's word.
func runsHeadline(c RunComparison) string {
	n := plural(int64(len(c.Changes)), "run")
	switch c.Verdict.Outcome {
	case Pass:
		return n + " against " + c.Base.ID + ": nothing got worse than the margins allow"
	case Fail:
		return n + " against " + c.Base.ID + ": something got worse than the margins allow"
	case Inconclusive:
		return n + " against " + c.Base.ID + ": whether anything got worse than the margins allow cannot be told"
	}
	if len(c.Verdict.Reasons) == 0 {
		return n + " against " + c.Base.ID + ": cannot be compared"
	}
	return n + " against " + c.Base.ID + ": cannot be compared: " + strings.TrimSuffix(c.Verdict.Reasons[0], ".")
}

// runsRule says what was asked, and what a pass and a fail mean.
func runsRule(v ComparisonVerdict) string {
	return fmt.Sprintf("A pass means that every share moved by less than %s and no latency, nor the gateway's cost, grew by more than %s; "+
		"a fail that one did. Either is wrong at most %s of the time, whatever the number of questions (%d); slow moments that a run met "+
		"fewer than about 20 times make latencies less sure.",
		points(v.SharePoints), v.Margin, percent(v.Alpha), v.Questions)
}

func shareSentence(s ShareChange) string {
	switch {
	case s.BaseWeight == nil:
		return fmt.Sprintf("%s is new in the split", s.Backend)
	case s.NewWeight == nil:
		return fmt.Sprintf("%s is no longer in the split", s.Backend)
	case s.Points == nil:
		return fmt.Sprintf("%s: the shares are not known in both runs", s.Backend)
	}
	moved := fmt.Sprintf("%s: no difference proven (likely %s to %s points)", s.Backend, signed(*s.LowPoints), signed(*s.HighPoints))
	if *s.LowPoints > 0 || *s.HighPoints < 0 {
		moved = fmt.Sprintf("%s: %s points (likely %s to %s)", s.Backend, signed(*s.Points), signed(*s.LowPoints), signed(*s.HighPoints))
	}
	if s.Outcome == "" {
		moved += "; its weight was changed, so this is not judged"
	}
	return moved
}

func timeSentence(t TimeChange, more, less string) string {
	var parts []string
	for _, q := range t.Quantiles {
		name := quantileName(q.Quantile)
		switch {
		case q.Outcome == "" && (q.LowMs == nil || q.HighMs == nil): // shown only, and not known
		case q.Ms == nil || q.LowMs == nil || q.HighMs == nil:
			parts = append(parts, fmt.Sprintf("%s not known (%s)", name, q.Why))
		case !q.Different:
			parts = append(parts, fmt.Sprintf("%s no difference proven (likely %s to %s ms)", name, signedMs(*q.LowMs), signedMs(*q.HighMs)))
		case *q.Ms < 0:
			parts = append(parts, fmt.Sprintf("%s %s by %s (likely %s to %s)", name, less, msText(-*q.Ms), msNumber(-*q.HighMs), msNumber(-*q.LowMs)))
		default:
			parts = append(parts, fmt.Sprintf("%s %s by %s (likely %s to %s)", name, more, msText(*q.Ms), msNumber(*q.LowMs), msNumber(*q.HighMs)))
		}
	}
	if len(parts) == 0 {
		return t.Name + ": " + t.Why
	}
	return t.Name + ": " + strings.Join(parts, "; ")
}

// signed writes points with their sign.
func signed(v float64) string {
	s := fmt.Sprintf("%+.1f", v)
	if math.Abs(v) < 0.05 {
		return "0.0"
	}
	return s
}

// comparedRunText is one run in a list.
func comparedRunText(r ComparedRun) string {
	text := fmt.Sprintf("%s, %s, %s", r.ID, r.Subject, r.Outcome)
	if r.Weights != "" {
		text += ", " + r.Weights + " weights"
	}
	text += ", " + plural(r.Requests, "request")
	if !r.Started.IsZero() {
		text += ", " + r.Started.UTC().Format("2006-01-02 15:04 UTC")
	}
	if len(r.Labels) > 0 {
		text += ", " + strings.Join(labels(r.Labels), " ")
	}
	return text
}

// shareChangeTitles and shareChangeRow are the table of shares, in every renderer.
func shareChangeTitles() []string {
	return []string{"Backend", "Weights", "Base share", "New share", "Points", "Likely range", "Outcome"}
}

func shareChangeRow(s ShareChange) []string {
	weight := func(w *int64) string {
		if w == nil {
			return dash
		}
		return fmt.Sprint(*w)
	}
	share := func(x *float64) string {
		if x == nil {
			return dash
		}
		return shareColumn(*x)
	}
	weights := weight(s.BaseWeight)
	if w := weight(s.NewWeight); w != weights {
		weights += " to " + w
	}
	row := []string{s.Backend, weights, share(s.BaseShare), share(s.NewShare), "~", dash, orDash(s.Outcome)}
	if s.Points != nil && s.LowPoints != nil && s.HighPoints != nil {
		if *s.LowPoints > 0 || *s.HighPoints < 0 {
			row[4] = signed(*s.Points)
		}
		row[5] = signed(*s.LowPoints) + " to " + signed(*s.HighPoints)
	}
	return row
}

func timeChangeTitles(first string) []string {
	return []string{first, "Quantile", "Base", "New", "Difference", "Likely range", "Outcome"}
}

// timeChangeRows has ~ where no difference is proven, as benchstat has.
func timeChangeRows(t TimeChange) [][]string {
	var rows [][]string
	for _, q := range t.Quantiles {
		row := []string{t.Name, quantileName(q.Quantile), msCell(q.BaseMs), msCell(q.NewMs), "~", dash, orDash(q.Outcome)}
		if q.Different && q.Ms != nil {
			row[4] = signedMs(*q.Ms) + " ms"
		}
		if q.LowMs != nil && q.HighMs != nil {
			row[5] = signedMs(*q.LowMs) + " to " + signedMs(*q.HighMs) + " ms"
		}
		rows = append(rows, row)
	}
	return rows
}

func msCell(v *float64) string {
	if v == nil {
		return dash
	}
	return msText(*v)
}

func orDash(s string) string {
	if s == "" {
		return dash
	}
	return s
}

// tildeNote explains the sign.
const tildeNote = "~ means that no difference is proven; the likely range says how large one could still be."
