package report

import (
	"cmp"
	"fmt"
	"math"
	"strings"
)

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
	return fmt.Sprintf("A pass means that every share moved by less than %s and no latency, nor the gateway's cost, "+
		"grew by more than %s; a fail that one did. Either is wrong at most %s of the time, whatever the number of "+
		"questions (%d); slow moments that a run met fewer than about 20 times make latencies less sure.",
		points(v.SharePoints), v.Margin, percent(v.Alpha), v.Questions)
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

// shareChangeTable is empty where no shares were compared.
func shareChangeTable(changes []ShareChange) Table {
	t := changeTable("Shares.", "Backend", "Weights", "Base share", "New share", "Points")
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
	for _, s := range changes {
		weights := weight(s.BaseWeight)
		if w := weight(s.NewWeight); w != weights {
			weights += " to " + w
		}
		points, likely := "~", dash
		if s.Points != nil && s.LowPoints != nil && s.HighPoints != nil {
			if *s.LowPoints > 0 || *s.HighPoints < 0 {
				points = signed(*s.Points)
			}
			likely = signed(*s.LowPoints) + " to " + signed(*s.HighPoints)
		}
		t.Rows = append(t.Rows, row(s.Backend, weights, share(s.BaseShare), share(s.NewShare), points, likely,
			cmp.Or(s.Outcome, dash)))
	}
	return t
}

// timeChangeTable has ~ where no difference is proven, as benchstat has.
func timeChangeTable(caption, first string, changes []TimeChange) Table {
	t := changeTable(caption, first, "Quantile", "Base", "New", "Difference")
	for _, c := range changes {
		for _, q := range c.Quantiles {
			difference, likely := "~", dash
			if q.Different && q.Ms != nil {
				difference = signedMs(*q.Ms) + " ms"
			}
			if q.LowMs != nil && q.HighMs != nil {
				likely = signedMs(*q.LowMs) + " to " + signedMs(*q.HighMs) + " ms"
			}
			t.Rows = append(t.Rows, row(c.Name, quantileName(q.Quantile), msCell(q.BaseMs), msCell(q.NewMs), difference, likely,
				cmp.Or(q.Outcome, dash)))
		}
	}
	return t
}

func changeTable(caption string, titles ...string) Table {
	t := Table{Caption: caption, Columns: headings(2, append(titles, "Likely range", "Outcome")...), Sortable: true}
	t.Columns[len(t.Columns)-1].Left = true
	return t
}

func msCell(v *float64) string {
	if v == nil {
		return dash
	}
	return msText(*v)
}

// tildeNote explains the sign.
const tildeNote = "~ means that no difference is proven; the likely range says how large one could still be."

// comparisonScript is the id of the element that holds a comparison's JSON inside its page.
const comparisonScript = "splitbench-comparison"

// Outline is the comparison as people read it.
func (c RunComparison) Outline() Outline {
	o := Outline{
		Word: strings.ToUpper(c.Verdict.Outcome), Outcome: c.Verdict.Outcome, Title: "comparison of runs",
		Headline: runsHeadline(c),
		Marker:   "compare:" + c.Base.Subject, Script: comparisonScript,
		Sections: []Section{{ID: "base", Title: "Base", Blocks: []Block{
			Fields{{Label: "Base", Text: comparedRunText(c.Base)}},
		}}},
	}
	for i, x := range c.Changes {
		blocks := []Block{Fields{{Label: "New", Text: comparedRunText(x.Run) + ": " + x.Outcome}}}
		o.Sections = append(o.Sections, Section{ID: fmt.Sprintf("new-%d", i+1), Title: x.Run.ID,
			Blocks: append(blocks, x.blocks()...)})
	}
	rule := Section{ID: "rule", Title: "How to read this", Blocks: paragraphs(tildeNote, runsRule(c.Verdict))}
	o.Sections = outlined(append(o.Sections, rule)...)
	return o
}

// blocks are what changed, and why that is good or bad.
func (x RunChange) blocks() []Block {
	return []Block{
		shareChangeTable(x.Shares),
		timeChangeTable("Response times.", "Latency of", x.Latency),
		timeChangeTable("How much longer answers through the gateway take than those of the client's own cluster.",
			"Gateway cost of", x.GatewayCost),
		titled("Why", bullets(x.Reasons)),
		titled("Warnings", bullets(x.Warnings)),
	}
}

// baselineSections are the comparison inside a run's own report: of one change, which needs no name.
func baselineSections(c *RunComparison) []Section {
	if c == nil {
		return nil
	}
	blocks := []Block{
		Paragraph(capital(runsHeadline(*c)) + "."),
		Fields{{Label: "Against", Text: comparedRunText(c.Base) + ": " + c.Verdict.Outcome}},
	}
	for _, x := range c.Changes {
		blocks = append(blocks, x.blocks()...)
	}
	blocks = append(blocks, paragraphs(tildeNote, runsRule(c.Verdict))...)
	return []Section{{ID: "baseline", Title: "Against an earlier run", Folded: true, Blocks: blocks}}
}
