package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/untrusted"
)

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
		d.sections(), costSections(r.GatewayCost), baselineSections(r.Baseline), conclusions(r), podSections(r),
		witnessSections(r.Witness), []Section{
			checkSection(r.Checks),
			{ID: "measured", Title: "How it was measured", Folded: true, Blocks: []Block{whatRan(r)}},
			repeatSection(r),
		}, splitSections(r.Split), []Section{
			{ID: "words", Title: "How to read this", Level: Page, Blocks: []Block{glossary()}},
			statisticsSection(r),
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
		{ID: "rests", Title: "What the verdict rests on", Level: Comment, Blocks: []Block{bullets(rules(r))}},
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

func checkSection(checks []preflight.Result) Section {
	s := Section{
		ID: "checks", Title: "What was checked", Level: Comment, Folded: true, Blocks: []Block{checkTable(checks)},
	}
	if len(checks) == 0 {
		s.Level, s.Blocks = Page, paragraphs("Nothing was checked before the run.")
	}
	return s
}

func checkTable(checks []preflight.Result) Table {
	t := Table{
		Caption: checksSummary(checks) + ".", Sortable: true,
		Columns: headings(5, "State", "Check", "What was seen", "What to do", "Id"),
	}
	for _, c := range checks {
		todo := ""
		if c.Status != preflight.OK {
			todo = c.Hint
		}
		cells := row(string(c.Status), c.Name, c.Seen, todo, c.ID)
		cells[0].State = string(c.Status)
		t.Rows = append(t.Rows, cells)
	}
	return t
}

// repeatSection is the command that measures it again, and one that judges it again where no samples are needed for it.
func repeatSection(r Report) Section {
	s := Section{ID: "repeat", Title: "Repeat it", Level: Comment, Folded: true}
	if r.Run == nil || len(r.Run.Command) == 0 {
		return s
	}
	s.Blocks = []Block{Verbatim{shellJoin(r.Run.Command)}}
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
	var after Block = Paragraph("It was not read again.")
	if s.YAMLAfter != "" {
		after = yamlLines(s.YAMLAfter)
	}
	return []Section{
		{
			ID: "split", Title: "The split before the run", Level: Page,
			Blocks: []Block{Paragraph(writerSentence(s)), yamlLines(s.YAMLBefore)},
		},
		{ID: "split-after", Title: "The split after the run", Level: Page, Blocks: []Block{after}},
	}
}

func yamlLines(doc string) Verbatim {
	return strings.Split(strings.TrimRight(strings.ReplaceAll(doc, "\r\n", "\n"), "\n"), "\n")
}

// statisticsSection are the numbers behind the verdict.
func statisticsSection(r Report) Section {
	s := Section{
		ID: "statistics", Title: "Statistics", Level: Comment, Folded: true, Blocks: []Block{bullets(statistics(r))},
	}
	if s.Blocks[0].empty() {
		s.Level, s.Blocks = Page, paragraphs("Nothing was judged.")
	}
	return s
}
