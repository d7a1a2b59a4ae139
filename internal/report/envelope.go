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
