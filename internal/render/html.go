package render

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/splitbench/splitbench/internal/chart"
	"github.com/splitbench/splitbench/internal/report"
)

// Pages are made of these files; nothing is loaded from elsewhere.
//
//go:embed html/*.tmpl
var templates embed.FS

//go:embed html/style.css
var ownStyle string

//go:embed html/page.js
var pageScript string

// HTML renders an outline as one page that needs nothing else: no network, and no script but one that sorts tables and
// copies commands. The page holds the document as JSON, from which report.ReadHTML gets a report back. Its errors are
// those of w.
func HTML(w io.Writer, o report.Outline, document any) error {
	p, err := PageOf(o, document)
	if err != nil {
		return err
	}
	return WritePage(w, p)
}

// PageOf is the page of an outline, for a server to send.
func PageOf(o report.Outline, document any) (Page, error) {
	var verdict bytes.Buffer
	data, err := embedded(document)
	if err = errors.Join(err, report.WriteJSON(&verdict, document)); err != nil {
		return Page{}, err
	}
	body, err := execute("outline.tmpl", struct {
		report.Outline
		Data           template.JS
		Sum, RecordSum string // of the data, and of what a run's folder has of them
	}{o, data, report.Digest([]byte(data)), report.Digest(verdict.Bytes())})
	if err != nil {
		return Page{}, err
	}
	title := printable(o.Word) + ": " + printable(o.Title) + " - splitbench"
	return Page{Title: title, Body: body, Scripts: []template.JS{PageScript()}}, nil
}

// embedded is a document as JSON that cannot end the element it stands in: <, > and & are written as escapes.
func embedded(document any) (template.JS, error) {
	b, err := json.Marshal(document)
	if err != nil {
		return "", fmt.Errorf("write page: %w", err)
	}
	return template.JS(report.EscapeUnprintable(b)), nil //nolint:gosec // JSON, and escaped
}

// execute fills in a template of ours. What it writes is escaped for where it stands, after it was made harmless to
// look at.
func execute(name string, data any) (template.HTML, error) {
	t, err := template.New(name).Funcs(template.FuncMap{
		"text": printable, "kind": kindOfBlock, "badge": Badge, "key": chart.Key, "number": number, "class": outcomeClass,
		"breaks":   breakable,
		"symbol":   func(state string) string { return symbol(state, false) },
		"first":    func(s []report.Section) []report.Section { return sorted(s, inBox) },
		"then":     func(s []report.Section) []report.Section { return sorted(s, inFlow) },
		"appendix": func(s []report.Section) []report.Section { return sorted(s, inAppendix) },
		"minus1":   func(n int) int { return n - 1 },
	}).ParseFS(templates, "html/"+name)
	if err != nil {
		return "", fmt.Errorf("write page: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return "", fmt.Errorf("write page: %w", err)
	}
	return template.HTML(b.String()), nil //nolint:gosec // by html/template
}

// place is where a page has a section: in a box above the others, among them, or folded below them.
type place int

const (
	inBox place = iota
	inFlow
	inAppendix
)

func placeOf(s report.Section) place {
	switch {
	case s.Folded:
		return inAppendix
	case s.Note != "" && s.Note != report.NoteWarn:
		return inBox
	}
	return inFlow
}

// sorted are the sections of one place.
func sorted(sections []report.Section, at place) []report.Section {
	return slices.DeleteFunc(slices.Clone(sections), func(s report.Section) bool { return placeOf(s) != at })
}

// breakable is harmless text whose long words may be broken where people would: after the marks between the parts of a
// name, of a host or of an id; and anywhere, where there are none.
func breakable(s string) template.HTML {
	const long = 18 // runes of a word that fits anywhere
	words := strings.SplitAfter(printable(s), " ")
	for i, word := range words {
		parts := []string{word}
		if utf8.RuneCountInString(word) > long {
			parts = wordParts.FindAllString(word, -1)
		}
		for k := range parts {
			parts[k] = template.HTMLEscapeString(parts[k])
		}
		words[i] = strings.Join(parts, "<wbr>")
	}
	return template.HTML(strings.Join(words, "")) //nolint:gosec // every part was escaped
}

var wordParts = regexp.MustCompile(`[^-/.:_=,]{1,24}[-/.:_=,]*|[-/.:_=,]+`)

func kindOfBlock(b report.Block) string {
	switch b.(type) {
	case report.Paragraph:
		return "paragraph"
	case report.List:
		return "list"
	case report.Table:
		return "table"
	case report.Fields:
		return "fields"
	case *report.Figure:
		return "figure"
	case report.Verbatim:
		return "verbatim"
	}
	return "details"
}

func number(v *float64) string { return strconv.FormatFloat(*v, 'g', -1, 64) }

// Page is one HTML page of ours: a report, or what `splitbench serve` shows. It is whole in itself: it refers to
// nothing outside, and its content security policy lets only its own scripts and its own style act, by their hashes.
type Page struct {
	Title   string        // plain text
	Body    template.HTML // made by a template of html/template
	Scripts []template.JS // in the order in which they run; see PageScript
	Forms   bool          // forms may be sent to where the page came from
}

// WritePage writes the page. Its errors are those of w.
func WritePage(w io.Writer, p Page) error {
	page, err := execute("page.tmpl", struct {
		Page
		Style template.CSS
	}{p, template.CSS(pageStyle())})
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, string(page))
	return err
}

// Policy is the page's content security policy, as it also stands in the page: for the header of a server.
func (p Page) Policy() string {
	scripts := "'none'"
	if len(p.Scripts) > 0 {
		hashes := make([]string, len(p.Scripts))
		for i, s := range p.Scripts {
			hashes[i] = sourceHash(string(s))
		}
		scripts = strings.Join(hashes, " ")
	}
	forms := "'none'"
	if p.Forms {
		forms = "'self'"
	}
	return fmt.Sprintf("default-src 'none'; script-src %s; style-src %s; img-src data:; base-uri 'none'; form-action %s",
		scripts, sourceHash(pageStyle()), forms)
}

// sourceHash is how a content security policy names the one text that may act.
func sourceHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func pageStyle() string { return chart.Style + "\n" + ownStyle }

// PageScript makes tables of class "sortable" sortable by mouse and keyboard, and gives what can be copied a button.
// Without it they are plain tables and text.
func PageScript() template.JS { return template.JS(pageScript) }

// outcomeSigns tell outcomes apart without colour and without a font: paths in a box of 16 by 16.
//
//nolint:gochecknoglobals // a table that never changes
var outcomeSigns = map[string]string{
	report.Pass: "M3 8.5 6.5 12 13 4.5", report.Fail: "M4 4 12 12M12 4 4 12",
	report.Inconclusive: "M5 5.5C5 2.5 11 2.5 11 5.5 11 7.5 8 7.5 8 10M8 13V13.2",
	report.Invalid:      "M8 3V9.5M8 13V13.2", report.Measured: "M3 13V9M8 13V4M13 13V7",
}

// outcomeClass is one of five words, whatever a file says.
func outcomeClass(outcome string) string {
	if _, ok := outcomeSigns[outcome]; ok {
		return outcome
	}
	return report.Invalid
}

// Badge is an outcome as a word with a sign and a colour.
func Badge(outcome string) template.HTML {
	outcome = outcomeClass(outcome)
	return template.HTML(fmt.Sprintf( //nolint:gosec // five known words and paths
		`<span class="badge %s"><svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">`+
			`<path d="%s" fill="none" stroke="currentColor" `+
			`stroke-width="2.4" stroke-linecap="round" stroke-linejoin="round"/></svg>%s</span>`,
		outcome, outcomeSigns[outcome], strings.ToUpper(outcome)))
}
