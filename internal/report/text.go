package report

import (
	"bytes"
	"fmt"
	"io"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/preflight"
)

// TextOptions say what the terminal can show.
type TextOptions struct {
	Width int  // columns; 0: 80
	Color bool // ANSI colours; meaning is never by colour alone
	ASCII bool // only ASCII symbols
}

const (
	defaultWidth = 80
	minWidth     = 40
	// longReport is how many lines may follow the verdict before it is said again at the end.
	longReport = 20
)

// WriteText renders the report for a terminal: the verdict in words, the table, what chance has to do with it, what
// weakens it, what ran, and what to do next. Its errors are those of w.
func WriteText(w io.Writer, r Report, o TextOptions) error {
	r = mapStrings(shown(r), forTerminal)
	p := newPage(o)
	p.verdict(r)
	if r.Run != nil && r.Run.Simulated != "" {
		p.para("Simulated: ", r.Run.Simulated)
	}
	if n, _ := requestsOf(r); n > 0 {
		table, err := textTables(r, p.width)
		if err != nil {
			return err
		}
		p.line("")
		p.b.WriteString(table)
		p.bars(r, o.ASCII)
		p.list(nonEmpty(quantileNote(r)))
	}
	p.list(numbersSentences(r))
	if err := p.special(r); err != nil {
		return err
	}
	if err := p.cost(r.GatewayCost); err != nil {
		return err
	}
	if err := p.baseline(r.Baseline); err != nil {
		return err
	}
	p.bullets("Why:", whyNot(r))
	p.bullets("What moved:", segmentSentences(r))
	p.bullets("What to do:", r.Verdict.Remedies)
	p.bullets("Warnings:", warnings(r))
	p.bullets("Answers that name no backend:", specimens(r))
	p.fields(whatRan(r))
	if lines := bytes.Count(p.b.Bytes(), []byte("\n")); lines > longReport {
		p.line("")
		p.verdict(r)
	}
	_, err := w.Write(p.b.Bytes())
	return err
}

// verdict is the first line of all, and the last of a long report.
func (p *page) verdict(r Report) {
	text := headline(r)
	if subject(r) != "" {
		text = subject(r) + ": " + text
	}
	if r.Run != nil && r.Run.Simulated != "" {
		text = "(simulated) " + text
	}
	p.painted(verdictWord(r)+"  ", text, outcomeColor(r.Verdict.Outcome))
}

const (
	maxName         = 63  // runes of a backend's name: as long as a Service's name can be
	maxSpecimenText = 160 // runes of an answer's body
)

// shown cuts what is too long to be shown anywhere. It works on unescaped text: a cut escape would be another text.
func shown(r Report) Report {
	r = mapStrings(r, func(s string) string { return s })
	for i := range r.Backends {
		r.Backends[i].Name = cut(r.Backends[i].Name, maxName)
	}
	for i := range r.Verdict.Tolerance {
		r.Verdict.Tolerance[i].Backend = cut(r.Verdict.Tolerance[i].Backend, maxName)
	}
	for i := range r.Unattributed.Specimens {
		r.Unattributed.Specimens[i].Body = cut(r.Unattributed.Specimens[i].Body, maxSpecimenText)
	}
	return r
}

func cut(s string, limit int) string {
	if runes := []rune(s); len(runes) > limit {
		return string(runes[:limit]) + "..."
	}
	return s
}

// specimens are answers that nobody could attribute, for a person to look at.
func specimens(r Report) []string {
	var s []string
	for _, sp := range r.Unattributed.Specimens {
		s = append(s, fmt.Sprintf("request %d, status %d: %s", sp.Seq, sp.Status, sp.Body))
	}
	return s
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// field is one line of what ran.
type field struct{ label, text string }

// whatRan says from where to where, how much and how fast, and how to find it again.
func whatRan(r Report) []field {
	var f []field
	add := func(label, text string) {
		if text != "" {
			f = append(f, field{label, text})
		}
	}
	add("Split", splitSentence(r.Split))
	add("From", sourceSentence(r.Source))
	for _, line := range podLines(r) {
		add("Pod", line)
	}
	if r.Run != nil {
		add("To", r.Run.URL)
	}
	add("Load", loadSentence(r.Load))
	add("Test", testSentence(r))
	add("Witness", witnessSentence(r.Witness))
	if r.Run != nil {
		add("Run", r.Run.ID)
		if r.Run.Dir != "" {
			add("Report", r.Run.Dir+"/report.html")
		}
		if r.Run.ID != "" {
			add("Next", "splitbench report "+r.Run.ID+" -o markdown")
		}
	}
	return f
}

func splitSentence(s *Split) string {
	if s == nil {
		return ""
	}
	text := fmt.Sprintf("%s %s/%s", s.Kind, s.Namespace, s.Name)
	switch {
	case s.Unchanged && s.GenerationAfter > 0: // it was changed and changed back, or something else of it was
		text += fmt.Sprintf(", generation %d, afterwards %d with the same weights", s.Generation, s.GenerationAfter)
	case s.Generation > 0 && s.Unchanged:
		text += fmt.Sprintf(", generation %d (unchanged during the run)", s.Generation)
	case s.Unchanged:
		text += " (unchanged during the run)"
	case s.Why != "":
		text += " (" + s.Why + ")"
	}
	if s.WeightsFrom != "" {
		text += ", weights from " + s.WeightsFrom
	}
	if l := s.Law; l != nil {
		if l.Rule != "" {
			text += " (" + l.Rule + ")"
		}
		text += ", " + law.NullModel(l.NullModel).Text()
	}
	return text
}

func sourceSentence(s *Source) string {
	if s == nil || s.Pod == "" {
		return ""
	}
	text := fmt.Sprintf("pod %s/%s", s.Namespace, s.Pod)
	if s.Container != "" {
		text += " (" + s.Container + ")"
	}
	if s.Meshed {
		text += ", meshed"
	} else {
		text += ", NOT meshed"
	}
	if s.ProxyImage != "" {
		text += ", proxy " + s.ProxyImage
	}
	if s.Context != "" {
		text += ", context " + s.Context
	}
	if s.Through != "" {
		text += "; the pods of " + s.Through + " draw the backend in its place"
	}
	return text
}

func loadSentence(l *Load) string {
	if l == nil {
		return ""
	}
	text := fmt.Sprintf("%s at %s", plural(l.Requests, "request"), rate(l.RatePerSecond))
	if l.DurationSeconds > 0 {
		text += " for " + seconds(l.DurationSeconds)
	}
	if l.WarmUpRequests > 0 {
		text += fmt.Sprintf(" after %s of warm-up", count(l.WarmUpRequests))
	}
	if l.Connections > 0 {
		text += ", " + plural(l.Connections, "connection")
	}
	if l.SendLag.P99Us != nil {
		text += fmt.Sprintf("; 99 of 100 sent within %s of the plan", us(l.SendLag.P99Us))
	}
	return text
}

func testSentence(r Report) string {
	if r.Verdict.Alpha == 0 {
		return ""
	}
	if r.Verdict.Gate == "chisquare" {
		return fmt.Sprintf("chi-square, wrong fails at most %s of runs", percent(r.Verdict.Alpha))
	}
	text := ""
	for i, t := range r.Verdict.Tolerance {
		if i > 0 && t.Points != r.Verdict.Tolerance[0].Points {
			text = "each share within its own tolerance"
			break
		}
		text = fmt.Sprintf("each share within %s of its weight", points(t.Points))
	}
	if text == "" {
		return ""
	}
	return text + fmt.Sprintf(", wrong verdicts at most %s of runs", percent(r.Verdict.Alpha))
}

// color is an ANSI select-graphic-rendition parameter.
type color string

const (
	green  color = "32"
	red    color = "31"
	yellow color = "33"
	purple color = "35"
)

func outcomeColor(outcome string) color {
	switch outcome {
	case Pass:
		return green
	case Fail:
		return red
	case Inconclusive:
		return yellow
	}
	return purple
}

func statusColor(s preflight.Status) color {
	switch s {
	case preflight.OK:
		return green
	case preflight.Failed:
		return red
	case preflight.Warning:
		return yellow
	}
	return purple
}
