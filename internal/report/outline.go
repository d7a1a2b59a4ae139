package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/chart"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Outline is a document as people read it: one order of sections for every format. All of its text is raw, as it came;
// whoever renders it makes each piece harmless where it puts it.
type Outline struct {
	Word      string // the first of all: PASS, PLAN; empty where there is but a headline, or not even that
	Outcome   string // that the word stands for; empty where nothing was decided
	Subject   string // what was measured
	Title     string // heading of a comment and of a page
	Headline  string // the sentence after the word, without its capital and period
	Lead      string // what the headline means for users; of a page
	Simulated string // what was simulated; empty on a real cluster
	Marker    string // names the comment that the next run replaces
	Script    string // id of the element of a page that holds the document itself
	Facts     Fields // when, where and by what; of a page
	Sections  []Section
	Footer    string
}

// Sentence is the headline as a sentence of its own.
func (o Outline) Sentence() string { return capital(o.Headline) + "." }

// Level says which formats show a section or a column.
type Level int

// The levels, each for more room than the one before.
const (
	Brief   Level = iota // every format
	Comment              // Markdown and pages
	Page                 // pages
)

// Section is a part of a document under one heading.
type Section struct {
	ID, Title string
	Level     Level
	Folded    bool // in a comment, which goes without it where it would be too long
	Note      Note
	Blocks    []Block
}

// Note marks a section that a page puts into a box, before the others.
type Note string

// The kinds of notes.
const (
	NotePlain Note = "plain"
	NoteDo    Note = "do"
	NoteWarn  Note = "warn"
)

// Block is a Paragraph, List, Table, Fields, Figure, Verbatim or Details.
type Block interface{ empty() bool }

// Paragraph is prose.
type Paragraph string

// List is items below each other.
type List struct {
	Title   string // where it is not that of its section
	Items   []Item
	Ordered bool // by number, on a page
	OneLine bool // items are not wrapped: they are for grep
}

// Item is one item of a list.
type Item struct {
	State   string // ok, warning, failed or unknown; empty of what is no finding
	Text    string
	Command string // to be copied
	Fields  Fields // more about it
	Apply   string // YAML that mends it
}

// Table names its rows in their first cells.
type Table struct {
	Caption  string
	Columns  []Column
	Rows     [][]Cell
	Sortable bool
}

// Column is one column of a table.
type Column struct {
	Title string
	Left  bool // text; numbers are right-aligned
	Level Level
}

// Cell is one cell of a table.
type Cell struct {
	Text  string
	Sort  *float64 // what the column is sorted by, where that is not the text
	State string   // of a finding
	Key   int      // 1 + the place of the backend whose colour is shown; 0: none
}

// Fields are labels, each with its text.
type Fields []Field

// Field is one label with its text.
type Field struct {
	Label, Text, Command string
	Link                 string // to the page of the run that the text names, from where this one stands
}

// Figure is a drawing. A terminal shows what can be drawn with characters.
type Figure struct {
	ID, Title string
	Chart     chart.Chart
	Summary   string // what it shows, for who does not see it
	Caption   string
}

// Verbatim is lines to be copied.
type Verbatim []string

// Details are blocks that a page folds away.
type Details struct {
	Summary string
	Blocks  []Block
}

// States of a finding.
const (
	StateOK      = string(preflight.OK)
	StateWarning = string(preflight.Warning)
	StateFailed  = string(preflight.Failed)
)

func (p Paragraph) empty() bool { return p == "" }
func (l List) empty() bool      { return len(l.Items) == 0 }
func (t Table) empty() bool     { return len(t.Rows) == 0 }
func (f Fields) empty() bool    { return len(f) == 0 }
func (f *Figure) empty() bool   { return f == nil }
func (v Verbatim) empty() bool  { return len(v) == 0 }
func (d Details) empty() bool   { return len(written(d.Blocks)) == 0 }

// written are the blocks that hold anything.
func written(blocks []Block) []Block {
	out := slices.DeleteFunc(slices.Clone(blocks), Block.empty)
	for i, b := range out {
		if t, ok := b.(Table); ok {
			out[i] = t.whole()
		}
	}
	return out
}

// whole is the table with a cell for each column in every row: documents from elsewhere may have more or less.
func (t Table) whole() Table {
	rows := slices.Clone(t.Rows)
	for i, cells := range rows {
		for len(cells) < len(t.Columns) {
			cells = append(slices.Clip(cells), Cell{Text: dash})
		}
		rows[i] = cells[:len(t.Columns)]
	}
	t.Rows = rows
	return t
}

// outlined are the sections that hold anything.
func outlined(sections ...Section) []Section {
	var out []Section
	for _, s := range sections {
		if s.Blocks = written(s.Blocks); len(s.Blocks) > 0 {
			out = append(out, s)
		}
	}
	return out
}

func (f *Fields) add(label, text string) {
	if text != "" {
		*f = append(*f, Field{Label: label, Text: text})
	}
}

func paragraphs(texts ...string) []Block {
	var out []Block
	for _, s := range texts {
		out = append(out, Paragraph(s))
	}
	return out
}

// bullets is a list of plain texts. The command at the end of a text is one to copy.
func bullets(texts []string) List {
	var l List
	for _, s := range texts {
		prose, command := splitCommand(s)
		l.Items = append(l.Items, Item{Text: prose, Command: command})
	}
	return l
}

// headings are the columns of a table whose first left ones are text.
func headings(left int, titles ...string) []Column {
	out := make([]Column, len(titles))
	for i, title := range titles {
		out[i] = Column{Title: title, Left: i < left}
	}
	return out
}

// row is cells of text.
func row(texts ...string) []Cell {
	out := make([]Cell, len(texts))
	for i, s := range texts {
		out[i].Text = s
	}
	return out
}

func numberCell(text string, v float64) Cell { return Cell{Text: text, Sort: &v} }

func countCell(n int64) Cell { return numberCell(count(n), float64(n)) }

// knownCell is a dash where the number is not known.
func knownCell(v *float64, show func(*float64) string) Cell { return Cell{Text: show(v), Sort: v} }

// splitCommand takes the command off the end of a text: it is shown on a line of its own, or it cannot be copied.
func splitCommand(text string) (prose, command string) {
	for _, program := range []string{"splitbench", "kubectl", "linkerd"} {
		if i := strings.LastIndex(text, ": "+program+" "); i >= 0 {
			return text[:i+1], text[i+2:]
		}
	}
	return text, ""
}

// Outline is the report as people read it.
func (r Report) Outline() Outline {
	d := r.document()
	o := Outline{
		Word: strings.ToUpper(r.Verdict.Outcome), Outcome: r.Verdict.Outcome, Subject: d.subject(), Title: d.title(),
		Headline: d.headline(), Lead: d.lead(), Marker: marker(r), Script: reportScript, Facts: facts(r), Footer: footer(r),
	}
	if r.Run != nil {
		o.Simulated = r.Run.Simulated
	}
	o.Sections = outlined(slices.Concat(
		d.sections(), costSections(r.GatewayCost), baselineSections(r.Baseline), conclusions(r), measuredSections(r),
		podSections(r), witnessSections(r.Witness), checkSections(r.Checks), []Section{
			{ID: "measured", Title: "How it was measured", Folded: true, Blocks: []Block{whatRan(r)}},
			repeatSection(r),
		}, splitSections(r.Split), []Section{
			{ID: "words", Title: "How to read this", Level: Page, Folded: true, Blocks: []Block{glossary()}},
			{
				ID: "statistics", Title: "Statistics", Level: Comment, Folded: true,
				Blocks: []Block{bullets(statistics(r))},
			},
		})...)
	return o
}

// marker names the split, not the run: the comment is updated by the next run.
func marker(r Report) string {
	s := r.document().subject()
	switch {
	case s == "":
		return "counts"
	case r.Source != nil && r.Source.Context != "":
		return r.Source.Context + "/" + s
	}
	return s
}

// conclusions are why the outcome is what it is, and what follows from it.
func conclusions(r Report) []Section {
	return []Section{
		{ID: "why", Title: "Why", Note: NotePlain, Blocks: []Block{bullets(whyNot(r))}},
		{ID: "moved", Title: "What moved", Blocks: []Block{bullets(segmentSentences(r))}},
		{ID: "do", Title: "What to do", Note: NoteDo, Blocks: []Block{bullets(r.Verdict.Remedies)}},
		{ID: "rests", Title: "What the verdict rests on", Level: Comment, Blocks: []Block{ruleTable(r)}},
		{ID: "warnings", Title: "Warnings", Note: NoteWarn, Blocks: []Block{bullets(warnings(r))}},
		{
			ID: "unattributed", Title: "Unattributed answers", Folded: true,
			Blocks: []Block{specimenLines(r.Unattributed.Specimens)},
		},
	}
}

// maxSpecimenText bounds an answer's body, in bytes.
const maxSpecimenText = 160

// specimenLines are answers that nobody could attribute, for a person to look at.
func specimenLines(specimens []Specimen) Verbatim {
	var lines Verbatim
	for _, s := range specimens {
		text := untrusted.Cut(s.Body, maxSpecimenText)
		if isGzip(s.Body) {
			text = "a gzipped body: tell backends apart by a header (--classify BACKEND=header:NAME=VALUE)"
		}
		lines = append(lines, fmt.Sprintf("request %d, status %d: %s", s.Seq, s.Status, text))
	}
	return lines
}

// isGzip tells a gzip body by its first bytes (RFC 1952, 2.3.1), also where JSON has made the second one harmless.
func isGzip(body string) bool {
	return strings.HasPrefix(body, "\x1f\x8b\x08") || strings.HasPrefix(body, "\x1f\ufffd\x08")
}

// checkSections are the checks before the run; those that are fine are one line.
func checkSections(checks []preflight.Result) []Section {
	if len(checks) == 0 {
		return nil
	}
	found := Table{
		Caption: "Checks that found something.", Columns: headings(5, "State", "Check", "What was seen", "What to do", "Id"),
	}
	fine := Table{Caption: "Checks that are fine.", Columns: headings(4, "State", "Check", "What was seen", "Id")}
	for _, c := range checks {
		state := Cell{Text: string(c.Status), State: string(c.Status)}
		if c.Status == preflight.OK {
			fine.Rows = append(fine.Rows, append([]Cell{state}, row(c.Name, c.Seen, c.ID)...))
		} else {
			found.Rows = append(found.Rows, append([]Cell{state}, row(c.Name, c.Seen, c.Hint, c.ID)...))
		}
	}
	return []Section{{
		ID: "checks", Title: "What was checked: " + checksSummary(checks), Level: Comment, Folded: true, Blocks: []Block{
			found, Details{Summary: plural(int64(len(fine.Rows)), "check") + " found nothing", Blocks: []Block{fine}},
		},
	}}
}

// repeatSection is the command that measures it again, and one that judges it again where no samples are needed for it.
func repeatSection(r Report) Section {
	s := Section{ID: "repeat", Title: "Repeat it", Level: Comment, Folded: true}
	if r.Run == nil || len(r.Run.Command) == 0 {
		return s
	}
	s.Blocks = []Block{Verbatim{untrusted.Shell(r.Run.Command...)}}
	if KindOf(r) == Kind {
		s.Blocks = append(s.Blocks, Paragraph("Judge it again, from its page:"), Verbatim{"splitbench analyze report.html"})
	}
	return s
}

// splitSections are the object under test before the run and after it.
func splitSections(s *Split) []Section {
	if s == nil || s.YAMLBefore == "" {
		return nil
	}
	blocks := []Block{Paragraph(writerSentence(s)), yamlLines(s.YAMLBefore)}
	switch s.YAMLAfter {
	case "":
		blocks = append(blocks, Paragraph("After the run it was not read again."))
	case s.YAMLBefore:
		blocks = append(blocks, Paragraph("After the run it was the same."))
	default:
		blocks = append(blocks, Paragraph("After the run:"), yamlLines(s.YAMLAfter))
	}
	return []Section{{ID: "split", Title: "The split as it was read", Level: Page, Folded: true, Blocks: blocks}}
}

func yamlLines(doc string) Verbatim {
	return strings.Split(strings.TrimRight(strings.ReplaceAll(doc, "\r\n", "\n"), "\n"), "\n")
}

// Kinds of documents: one envelope, whose verdict is about shares, latencies, a failover, or shares without end.
const (
	KindLatencyReport = "LatencyReport"
	KindDrillReport   = "DrillReport"
	KindWatchReport   = "WatchReport"
)

// KindWatch is the kind of a stored watch.
const KindWatch = "watch"

// KindOf is the kind of document that a report is by what it holds.
func KindOf(r Report) string {
	switch {
	case r.Comparison != nil:
		return KindLatencyReport
	case r.Drill != nil:
		return KindDrillReport
	case r.Watch != nil:
		return KindWatchReport
	}
	return Kind
}

// runKind is the kind of a stored run that a report is of.
func runKind(r Report) string {
	switch r.Kind {
	case KindLatencyReport:
		return KindLatency
	case KindDrillReport:
		return KindDrill
	case KindWatchReport:
		return KindWatch
	}
	return KindSplit
}

// document is what a kind of report says that the others do not: each kind is one file.
type document interface {
	subject() string     // what was measured
	title() string       // of a comment or a page
	headline() string    // the sentence after the outcome
	lead() string        // what that means for users
	question() string    // that the outcome answers
	requests() int64     // that were sent and counted
	matter() string      // whether requests without a known backend matter; empty where they are what it is about
	sentences() []string // what is said of the result in prose
	sections() []Section // the result
}

// document is the report as what it is about.
func (r Report) document() document {
	split := splitReport{r}
	switch KindOf(r) {
	case KindLatencyReport:
		return latencyReport{split}
	case KindDrillReport:
		return drillReport{split}
	case KindWatchReport:
		return watchReport{split}
	}
	return split
}

// notMeasured is the headline of what is not valid.
func notMeasured(reasons []string) string {
	return because("could not be measured", reasons)
}

// because gives the first reason of what could not be done.
func because(what string, reasons []string) string {
	if len(reasons) == 0 {
		return what
	}
	return what + ": " + strings.TrimSuffix(reasons[0], ".")
}
