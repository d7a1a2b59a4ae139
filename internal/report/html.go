package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
)

// reportScript is the id of the element that holds the report's JSON inside its page.
const reportScript = "splitbench-report"

// WriteHTML renders the report as one page that needs nothing else: no network, and no script but to sort tables. It holds
// the report's JSON, so that ReadHTML gets the report back, and it is written for every outcome, also where there is nothing to draw. Its errors are those of w.
func WriteHTML(w io.Writer, r Report) error {
	p, err := PageOf(r)
	if err != nil {
		return err
	}
	return WritePage(w, p)
}

// PageOf is the page of a report, for a server to send.
func PageOf(r Report) (Page, error) {
	body, err := htmlBody(r)
	if err != nil {
		return Page{}, err
	}
	sort, err := SortScript()
	if err != nil {
		return Page{}, err
	}
	shown := mapStrings(shown(r), forTerminal)
	name := verdictWord(shown) + ": " + title(shown) + " - splitbench"
	return Page{Title: name, Body: body, Scripts: []template.JS{sort}}, nil
}

// htmlBody is what stands between <body> and </body>.
func htmlBody(r Report) (template.HTML, error) {
	carried, err := carriedJSON(r)
	if err != nil {
		return "", err
	}
	t, err := template.ParseFS(htmlFiles, "html/report.tmpl", "html/comparison.tmpl")
	if err != nil {
		return "", fmt.Errorf("write report: %w", err)
	}
	v := viewOf(r)
	v.JSON = carried
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "report", v); err != nil {
		return "", fmt.Errorf("write report: %w", err)
	}
	return template.HTML(b.String()), nil //nolint:gosec // by html/template
}

// carriedJSON is the report as JSON that cannot end the element it stands in: <, > and & are written as escapes.
func carriedJSON(r Report) (template.JS, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("write report: %w", err)
	}
	return template.JS(escapeUnprintable(b)), nil //nolint:gosec // JSON, and escaped
}

// view is what the template shows: escaped text and finished numbers.
type view struct {
	Outcome, Title, Headline, Users, Simulated, Footer string

	Badge         template.HTML
	Facts         []pair
	Sections      []pair
	Why, Warnings []string
	Do            []hintView

	Special  *specialView  // nil for a report about shares
	Timeline *timelineView // nil but for a drill

	Shares     *Figure
	ShareTable *tableView
	Numbers    []string
	Rules      []string

	Time      *Figure
	TimeTable *tableView
	NoTime    string
	Marks     []string

	Latency      *Figure
	LatencyTable *tableView
	NoLatency    string
	LatencyNotes []string

	Cost    *costView
	Pods    *tableView
	ByPod   []string
	Witness *witnessView

	Baseline *changesView // nil where no earlier run was compared

	ErrorTable *tableView
	NoErrors   string
	Specimens  []string

	CheckTable *tableView

	Measured              []pair
	Command, Again        string
	Before, After, Writer string
	Glossary              []pair
	Statistics            []string
	JSON                  template.JS
}

// pair is a label and its text, as in a definition list.
type pair struct{ Label, Text string }

type hintView struct{ Prose, Command string }

func viewOf(raw Report) view {
	raw = shown(raw)
	v := view{Specimens: mapStrings(specimens(raw), forTerminal), Glossary: glossary()}
	if raw.Run != nil && len(raw.Run.Command) > 0 {
		v.Command = printable(shellJoin(raw.Run.Command), maxCommand)
		if !special(raw) {
			v.Again = "splitbench analyze report.html" // of other kinds the samples are needed
		}
	}
	if raw.Split != nil {
		v.Before, v.After = forYAML(raw.Split.YAMLBefore), forYAML(raw.Split.YAMLAfter)
	}
	r := mapStrings(raw, forTerminal)
	v.Outcome, v.Badge = outcomeClass(r), Badge(r.Verdict.Outcome)
	v.Title, v.Headline = title(r), capital(headline(r))
	if !special(r) {
		v.Users = usersSentence(r)
	}
	if r.Run != nil {
		v.Simulated = r.Run.Simulated
	}
	v.Facts, v.Footer = facts(r), footerText(r, plainCode)
	v.Why, v.Warnings, v.Do = whyNot(r), warnings(r), hintViews(r.Verdict.Remedies)
	v.Shares, v.ShareTable = sharesFigure(r), shareTable(r)
	v.Numbers, v.Rules = numbersSentences(r), rules(r, plainCode)
	v.Time, v.NoTime = timeFigure(r)
	v.TimeTable, v.Marks = timeTable(r), markSentences(r)
	v.Latency, v.NoLatency = latencyFigure(r)
	v.LatencyTable, v.LatencyNotes = latencyTable(r), latencyNotes(r)
	v.Timeline = timelineOf(r)
	v.Special, v.Cost = specialOf(r), costOf(r.GatewayCost)
	v.Pods, v.ByPod, v.Witness = podsTable(r), podSentences(r), witnessOf(r.Witness)
	if raw.Baseline != nil {
		b := changesViewOf(*raw.Baseline)
		v.Baseline = &b
	}
	v.ErrorTable, v.NoErrors = errorTable(r)
	v.CheckTable = checkTable(r.Checks)
	for _, f := range whatRan(r) {
		if f.label != "Next" && f.label != "Report" {
			v.Measured = append(v.Measured, pair{f.label, f.text})
		}
	}
	v.Writer = writerSentence(r.Split)
	v.Statistics = statistics(r, plainCode)
	v.Sections = sections(v)
	return v
}

// outcomeClass is one of five words, whatever a file says.
func outcomeClass(r Report) string {
	switch r.Verdict.Outcome {
	case Pass, Fail, Inconclusive, Measured:
		return r.Verdict.Outcome
	}
	return Invalid
}

func plainCode(s string) string { return s }

// title is what was judged.
func title(r Report) string {
	if special(r) {
		return specialTitle(r)
	}
	t := weightsLabel(r) + " weights"
	if s := subject(r); s != "" {
		t = s + ", " + t
	}
	return t
}

func hintViews(remedies []string) []hintView {
	out := make([]hintView, len(remedies))
	for i, h := range remedies {
		out[i].Prose, out[i].Command = splitCommand(h)
	}
	return out
}

// facts are when, where and by what, for the head of the page.
func facts(r Report) []pair {
	var f []pair
	add := func(label, text string) {
		if text != "" {
			f = append(f, pair{label, text})
		}
	}
	if r.Run != nil && !r.Run.Started.IsZero() {
		add("When", r.Run.Started.UTC().Format("2 January 2006, 15:04 UTC"))
	}
	if r.Source != nil {
		add("Cluster", r.Source.Context)
		if r.Source.Pod != "" {
			add("From pod", r.Source.Namespace+"/"+r.Source.Pod)
		}
	}
	if n, _ := requestsOf(r); n > 0 {
		add("Measured", size(r))
	}
	if r.Run != nil {
		add("Run", r.Run.ID)
		for _, l := range labels(r.Run.Labels) {
			add("Label", l)
		}
	}
	return f
}

func sections(v view) []pair {
	var s []pair
	add := func(is bool, id, text string) {
		if is {
			s = append(s, pair{id, text})
		}
	}
	add(v.Special != nil, "result", "Result")
	add(v.Timeline != nil, "timeline", "Timeline")
	add(v.ShowShares(), "shares", "Shares")
	add(v.ShowShares() && v.Timeline == nil, "time", "Over time")
	add(v.ShowShares(), "latency", "Latency")
	add(v.Baseline != nil, "baseline", "Against an earlier run")
	add(v.ShowShares(), "errors", "Errors")
	add(v.Pods != nil, "pods", "Source pods")
	add(v.Witness != nil, "witness", "Second witness")
	add(true, "checks", "Checks")
	add(true, "repeat", "Repeat it")
	add(v.Before != "", "split", "The split")
	add(true, "words", "How to read this")
	add(true, "statistics", "Statistics")
	return s
}

// ShowShares reports whether there is anything about shares to be shown: always, but in special reports without any.
func (v view) ShowShares() bool { return v.Special == nil || v.ShareTable != nil }

// forYAML keeps the lines of a document and makes each of them harmless to look at.
func forYAML(doc string) string {
	if doc == "" {
		return ""
	}
	var b strings.Builder
	for line := range strings.Lines(doc) {
		b.WriteString(printable(strings.TrimRight(line, "\r\n"), maxCommand))
		b.WriteByte('\n')
	}
	return b.String()
}

func writerSentence(s *Split) string {
	if s == nil || s.LastWriter == "" {
		return ""
	}
	text := "Last written by " + s.LastWriter
	if !s.LastWritten.IsZero() {
		text += " on " + s.LastWritten.UTC().Format(time.DateTime) + " UTC"
	}
	return text + "."
}
