package report

import (
	"cmp"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/splitbench/splitbench/internal/chart"
)

// KindRunComparison identifies the document of `results compare -o json`.
const KindRunComparison = "RunComparison"

// RunComparison is what stored runs say of one another: each later one against the first. Its schema is
// docs/schema/runcomparison.v1alpha1.json; the rules of Report hold here too.
type RunComparison struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Verdict    ComparisonVerdict `json:"verdict"`
	Base       ComparedRun       `json:"base"`
	Changes    []RunChange       `json:"changes"` // one for each later run
	Tool       string            `json:"tool,omitempty"`
}

// ComparisonVerdict is the conclusion over all runs and the rule it was made by.
type ComparisonVerdict struct {
	Outcome string   `json:"outcome"` // pass | fail | inconclusive | invalid
	Reasons []string `json:"reasons"`
	Alpha   float64  `json:"alpha"`
	// as given: how much slower a quantile may be, or how much more the gateway may cost
	Margin      string  `json:"margin"`
	SharePoints float64 `json:"shareMarginPoints"` // how far a share may move
	Questions   int     `json:"questions"`         // asked together; a fail pays for their number
}

// ComparedRun is one run of a comparison.
type ComparedRun struct {
	ID       string            `json:"id"`
	Kind     string            `json:"runKind"`
	Outcome  string            `json:"outcome"`
	Subject  string            `json:"subject"`
	Weights  string            `json:"weights,omitempty"`
	Started  time.Time         `json:"started"`
	Requests int64             `json:"requests"`
	Labels   map[string]string `json:"labels,omitempty"`
	Tool     string            `json:"tool"`
	Dir      string            `json:"-"` // of its folder, with slashes; "": beside what shows the comparison
}

// RunChange is one later run against the base.
type RunChange struct {
	Run         ComparedRun   `json:"run"`
	Outcome     string        `json:"outcome"`
	Reasons     []string      `json:"reasons"`
	SameWeights bool          `json:"sameWeights"` // false: the shares were meant to change and are not judged
	Shares      []ShareChange `json:"shares"`
	Latency     []TimeChange  `json:"latency"`
	GatewayCost []TimeChange  `json:"gatewayCost"`
	Warnings    []string      `json:"warnings"`
}

// ShareChange is one backend's share in both runs.
type ShareChange struct {
	Backend    string    `json:"backend"`
	BaseWeight *int64    `json:"baseWeight"` // null: the split had no such backend
	NewWeight  *int64    `json:"newWeight"`
	Base       *Interval `json:"base"`
	BaseShare  *float64  `json:"baseShare"`
	New        *Interval `json:"new"`
	NewShare   *float64  `json:"newShare"`
	Points     *float64  `json:"differencePoints"` // new - base
	LowPoints  *float64  `json:"lowPoints"`
	HighPoints *float64  `json:"highPoints"`
	Outcome    string    `json:"outcome"` // "" where it is not judged
	Sentence   string    `json:"sentence"`
}

// TimeChange is how latencies of one target, or the gateway's cost of one backend, changed.
type TimeChange struct {
	Name      string           `json:"name"`
	Outcome   string           `json:"outcome"`
	Quantiles []QuantileChange `json:"quantiles"`
	Sentence  string           `json:"sentence"`
	Why       string           `json:"why,omitempty"` // why nothing can be said
}

// QuantileChange is one quantile in both runs, in milliseconds. What the samples do not give is null.
type QuantileChange struct {
	Quantile   float64  `json:"quantile"`
	BaseMs     *float64 `json:"baseMs"`
	NewMs      *float64 `json:"newMs"`
	Difference          // new - base: above 0 is slower, or costs more
	Different  bool     `json:"different"` // true: a difference is proven
	Outcome    string   `json:"outcome"`   // "" where it is shown and not judged
}

// Compared takes what a comparison says of a run from its report.
func Compared(r Report) ComparedRun {
	s := Summarize(r)
	return ComparedRun{
		ID: s.ID, Kind: s.Kind, Outcome: s.Outcome, Subject: s.Subject, Weights: s.Weights, Started: s.Started,
		Requests: s.Requests, Labels: s.Labels, Tool: s.Tool,
	}
}

// ConcludeChange fills in the outcome and reasons of one later run: of all that was judged, the worst. invalid are
// reasons why there is nothing to judge.
func ConcludeChange(c RunChange, invalid []string) RunChange {
	c.Outcome, c.Reasons, c.Warnings = Pass, []string{}, list(c.Warnings)
	judged := 0
	take := func(outcome, sentence string) {
		if outcome == "" {
			return
		}
		judged++
		if outcome != Pass {
			c.Reasons = append(c.Reasons, sentence)
		}
		c.Outcome = WorseOutcome(c.Outcome, outcome)
	}
	for _, s := range c.Shares {
		take(s.Outcome, s.Sentence)
	}
	for _, t := range slices.Concat(c.Latency, c.GatewayCost) {
		take(t.Outcome, t.Sentence)
	}
	if judged == 0 {
		c.Outcome, c.Reasons = Inconclusive, []string{"nothing of these runs can be compared against a margin"}
	}
	if len(invalid) > 0 {
		c.Outcome, c.Reasons = Invalid, invalid
	}
	return c
}

// runsHeadline is the sentence after the verdict's word.
func runsHeadline(c RunComparison) string {
	said := plural(int64(len(c.Changes)), "run") + " against " + c.Base.ID + ": "
	switch c.Verdict.Outcome {
	case Pass:
		return said + "nothing got worse than the margins allow"
	case Fail:
		return said + because("worse than the margins allow", c.Verdict.Reasons)
	case Inconclusive:
		return said + "whether anything got worse than the margins allow cannot be told"
	}
	return said + because("cannot be compared", c.Verdict.Reasons)
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
		text += ", " + strings.Join(Labels(r.Labels), " ")
	}
	return text
}

// shareChangeTable is empty where no shares were compared.
func shareChangeTable(changes []ShareChange) Table {
	t := changeTable("Shares.", "Backend", "Weights", "Base share", "New share", "Points")
	weight := func(w int64) string { return strconv.FormatInt(w, 10) }
	for _, s := range changes {
		weights := known(s.BaseWeight, weight)
		if w := known(s.NewWeight, weight); w != weights {
			weights += " to " + w
		}
		points, likely := "~", dash
		if s.Points != nil && s.LowPoints != nil && s.HighPoints != nil {
			if *s.LowPoints > 0 || *s.HighPoints < 0 {
				points = signed(*s.Points)
			}
			likely = signed(*s.LowPoints) + " to " + signed(*s.HighPoints)
		}
		t.Rows = append(t.Rows, row(s.Backend, weights, known(s.BaseShare, shareColumn), known(s.NewShare, shareColumn),
			points, likely, cmp.Or(s.Outcome, dash)))
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
			t.Rows = append(t.Rows, row(c.Name, quantileName(q.Quantile), known(q.BaseMs, msText), known(q.NewMs, msText),
				difference, likely, cmp.Or(q.Outcome, dash)))
		}
	}
	return t
}

func changeTable(caption string, titles ...string) Table {
	t := Table{Caption: caption, Columns: headings(2, append(titles, "Likely range", "Outcome")...), Sortable: true}
	t.Columns[len(t.Columns)-1].Left = true
	return t
}

// reportOf is where the report of another run stands, seen from beside the runs or from within the folder of one.
func reportOf(from, id string) string { return from + url.PathEscape(id) + "/report.html" }

// page is where the report of the run stands, seen from where the comparison is shown.
func (c ComparedRun) page() string {
	if c.Dir == "" {
		return reportOf("./", c.ID)
	}
	return (&url.URL{Path: c.Dir + "/report.html"}).String()
}

// shareChangeFigure is each backend's share before and after; nil where no backend has both.
func shareChangeFigure(changes []ShareChange, n int) *Figure {
	bars := chart.Bars{
		X: chart.Axis{Most: 1, Text: percentTight}, Values: "share", Ranges: "likely range", Targets: "share before",
	}
	for i, s := range changes[:min(len(changes), maxLines/2)] {
		if s.BaseShare == nil || s.NewShare == nil {
			continue
		}
		add := func(when string, share *float64, within *Interval) {
			bar := chart.Bar{Name: s.Backend + ", " + when, Series: i, Value: share, Target: *s.BaseShare, Text: percent(*share)}
			if low, high, ok := within.Ends(); ok {
				bar.Range = &chart.Range{Low: low, High: high}
				bar.Text += fmt.Sprintf(", likely %s to %s", percent(low), percent(high))
			}
			bars.Rows = append(bars.Rows, bar)
		}
		add("before", s.BaseShare, s.Base)
		add("after", s.NewShare, s.New)
	}
	if len(bars.Rows) == 0 {
		return nil
	}
	return barsFigure(fmt.Sprintf("shares-%d", n+1), "Shares before and after.",
		"Each backend's share in the base run and in "+
			"the new one.", bars)
}

// timeChangeFigure is differences of times with their ranges; nil where none has one.
func timeChangeFigure(id, about string, changes []TimeChange) *Figure {
	f := differenceFigure(id, about)
	for i, c := range changes {
		for _, q := range c.Quantiles {
			f.add(quantileName(q.Quantile)+" of "+c.Name, i, q.Difference, q.Outcome, nil)
		}
	}
	return f.figure(about + " New less base: above 0 is slower, or costs more.")
}

// tildeNote explains the sign.
const tildeNote = "~ means that no difference is proven; the likely range says how large one could still be."

// comparisonScript is the id of the element that holds a comparison's JSON inside its page.
const comparisonScript = "splitbench-comparison"

// Outline is the comparison as people read it.
func (c RunComparison) Outline() Outline {
	o := Outline{
		Word: strings.ToUpper(c.Verdict.Outcome), Outcome: c.Verdict.Outcome, Title: "comparison of runs of " +
			c.Base.Subject,
		Headline: runsHeadline(c), Marker: "compare:" + c.Base.Subject, Script: comparisonScript,
		Sections: []Section{{ID: "base", Title: "Base", Blocks: []Block{
			Fields{{Label: "Base", Text: comparedRunText(c.Base), Link: c.Base.page()}},
		}}},
	}
	if todo := c.Verdict.remedy(); todo != "" {
		o.Sections = append(o.Sections, Section{
			ID: "do", Title: "What to do", Note: NoteDo, Blocks: []Block{bullets([]string{todo})},
		})
	}
	for i, x := range c.Changes {
		text := comparedRunText(x.Run) + ": " + x.Outcome
		blocks := []Block{Fields{{Label: "New", Text: text, Link: x.Run.page()}}}
		o.Sections = append(o.Sections, Section{
			ID: fmt.Sprintf("new-%d", i+1), Title: x.Run.ID, Blocks: append(blocks, x.blocks(i)...),
		})
	}
	rule := Section{ID: "rule", Title: "How to read this", Blocks: paragraphs(tildeNote, runsRule(c.Verdict))}
	o.Sections = outlined(append(o.Sections, rule)...)
	return o
}

// remedy is what to do, "" for a pass.
func (v ComparisonVerdict) remedy() string {
	return map[string]string{Fail: RemedyChanged, Inconclusive: RemedyMoreOfBoth, Invalid: RemedyWhole}[v.Outcome]
}

// blocks are what changed, and why that is good or bad.
func (x RunChange) blocks(n int) []Block {
	return []Block{
		shareChangeFigure(x.Shares, n), shareChangeTable(x.Shares),
		timeChangeFigure(fmt.Sprintf("latency-%d", n+1), "How response times changed.", x.Latency),
		timeChangeTable("Response times.", "Latency of", x.Latency),
		timeChangeFigure(fmt.Sprintf("cost-%d", n+1), "How the gateway's cost changed.", x.GatewayCost),
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
		Fields{{
			Label: "Against", Text: comparedRunText(c.Base) + ": " + c.Verdict.Outcome,
			Link: reportOf("../", c.Base.ID),
		}},
	}
	for i, x := range c.Changes {
		blocks = append(blocks, x.blocks(i)...)
	}
	blocks = append(blocks, paragraphs(tildeNote, runsRule(c.Verdict))...)
	return []Section{{ID: "baseline", Title: "Against an earlier run", Folded: true, Blocks: blocks}}
}
