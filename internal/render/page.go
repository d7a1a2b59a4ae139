package render

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/splitbench/splitbench/internal/chart"
	"github.com/splitbench/splitbench/internal/report"
)

// Page is one HTML page of ours: a report, or what `splitbench serve` shows. It is whole in itself: it refers to
// nothing outside, and its content security policy lets only its own scripts and its own style act, by their hashes.
type Page struct {
	Title   string        // plain text
	Body    template.HTML // made by a template of html/template
	Scripts []template.JS // in the order in which they run; see PageScript
	Forms   bool          // forms may be sent to where the page came from
}

// WritePage writes the page. Its errors are those of w, or of a file that was embedded and cannot be read.
func WritePage(w io.Writer, p Page) error {
	style, err := pageStyle()
	if err != nil {
		return err
	}
	page, err := execute("page.tmpl", struct {
		Page
		Policy string
		Style  template.CSS
	}{p, p.policy(string(style)), style})
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, string(page))
	return err
}

// Policy is the page's content security policy, as it also stands in the page: for the header of a server.
func (p Page) Policy() (string, error) {
	style, err := pageStyle()
	return p.policy(string(style)), err
}

func (p Page) policy(style string) string {
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
		scripts, sourceHash(style), forms)
}

// sourceHash is how a content security policy names the one text that may act.
func sourceHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func pageStyle() (template.CSS, error) {
	own, err := htmlFiles.ReadFile("html/style.css")
	if err != nil {
		return "", fmt.Errorf("read style: %w", err)
	}
	return template.CSS(chart.Style + "\n" + string(own)), nil
}

// PageScript makes tables of class "sortable" sortable by mouse and keyboard, and gives what can be copied a button.
// Without it they are plain tables and text.
func PageScript() (template.JS, error) {
	b, err := htmlFiles.ReadFile("html/page.js")
	return template.JS(b), err
}

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
