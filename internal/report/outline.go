package report

import (
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/chart"
	"github.com/splitbench/splitbench/internal/preflight"
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
