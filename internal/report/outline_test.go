package report

import (
	"fmt"
	"strings"
	"testing"

	"github.com/splitbench/splitbench/internal/preflight"
)

// dump writes everything that an outline holds, for people to read.
func dump(o Outline) string {
	var b strings.Builder
	for _, f := range (Fields{
		{Label: "word", Text: o.Word},
		{Label: "outcome", Text: o.Outcome},
		{Label: "subject", Text: o.Subject},
		{Label: "title", Text: o.Title},
		{Label: "headline", Text: o.Headline},
		{Label: "lead", Text: o.Lead},
		{Label: "simulated", Text: o.Simulated},
		{Label: "marker", Text: o.Marker},
		{Label: "script", Text: o.Script},
		{Label: "footer", Text: o.Footer},
	}) {
		if f.Text != "" {
			fmt.Fprintf(&b, "%s: %s\n", f.Label, quoted(f.Text))
		}
	}
	dumpBlock(&b, o.Facts)
	for _, s := range o.Sections {
		fmt.Fprintf(&b, "\n== %s: %s [%s]", s.ID, quoted(s.Title), [...]string{"brief", "comment", "page"}[s.Level])
		if s.Folded {
			b.WriteString(" folded")
		}
		if s.Note != "" {
			b.WriteString(" note " + string(s.Note))
		}
		b.WriteString("\n")
		for _, block := range s.Blocks {
			dumpBlock(&b, block)
		}
	}
	return b.String()
}

// quoted keeps a text on its line.
func quoted(s string) string { return strings.Trim(fmt.Sprintf("%+q", s), `"`) }

func dumpBlock(b *strings.Builder, block Block) {
	switch block := block.(type) {
	case Paragraph:
		fmt.Fprintf(b, "%s\n", quoted(string(block)))
	case List:
		fmt.Fprintf(b, "list %s ordered=%t one line=%t\n", block.Title, block.Ordered, block.OneLine)
		for _, it := range block.Items {
			fmt.Fprintf(b, "- %s %s", it.State, quoted(it.Text))
			if it.Command != "" {
				b.WriteString(" $ " + quoted(it.Command))
			}
			b.WriteString("\n")
			dumpBlock(b, it.Fields)
			if it.Apply != "" {
				fmt.Fprintf(b, "  apply %s\n", quoted(it.Apply))
			}
		}
	case Table:
		dumpTable(b, block)
	case Fields:
		for _, f := range block {
			fmt.Fprintf(b, "  %s: %s %s\n", quoted(f.Label), quoted(f.Text), quoted(f.Command))
		}
	case *Figure:
		fmt.Fprintf(b, "figure %s %s %T\n  %s\n  %s\n", block.ID, block.Title, block.Chart, quoted(block.Summary), quoted(block.Caption))
	case Verbatim:
		for _, line := range block {
			fmt.Fprintf(b, "    %s\n", quoted(line))
		}
	case Details:
		fmt.Fprintf(b, "details %s\n", block.Summary)
		for _, inner := range block.Blocks {
			dumpBlock(b, inner)
		}
	}
}

func dumpTable(b *strings.Builder, t Table) {
	fmt.Fprintf(b, "table %s sortable=%t\n|", quoted(t.Caption), t.Sortable)
	for _, c := range t.Columns {
		fmt.Fprintf(b, " %s%s%s |", quoted(c.Title), map[bool]string{true: " <"}[c.Left], map[Level]string{Page: " page"}[c.Level])
	}
	for _, cells := range t.Rows {
		b.WriteString("\n|")
		for _, c := range cells {
			fmt.Fprintf(b, " %s |", quoted(c.Text))
		}
	}
	b.WriteString("\n")
}

// said is the brief sections of an outline as words with one space between them.
func said(o Outline) string {
	var brief []Section
	for _, s := range o.Sections {
		if s.Level == Brief {
			brief = append(brief, s)
		}
	}
	o.Sections = brief
	return strings.Join(strings.Fields(dump(o)), " ")
}

func TestGoldenOutlines(t *testing.T) {
	for name, r := range documents(t) {
		t.Run(name, func(t *testing.T) {
			golden(t, name+".outline", []byte(dump(r.Outline())))
		})
	}
}

// Tables are whole: each row has a cell for each column.
func TestTablesAreWhole(t *testing.T) {
	var check func(name string, blocks []Block)
	check = func(name string, blocks []Block) {
		for _, b := range blocks {
			switch b := b.(type) {
			case Details:
				check(name, b.Blocks)
			case Table:
				for _, cells := range b.Rows {
					if len(cells) != len(b.Columns) {
						t.Errorf("%s: %q has %d cells in %d columns", name, b.Caption, len(cells), len(b.Columns))
					}
				}
			}
		}
	}
	for name, r := range documents(t) {
		ids := map[string]bool{}
		for _, s := range r.Outline().Sections {
			check(name, s.Blocks)
			if s.ID == "" || s.Title == "" || ids[s.ID] {
				t.Errorf("%s: section %q has the id %q, which it has not for itself", name, s.Title, s.ID)
			}
			ids[s.ID] = true
		}
	}
}

func TestWhatEveryReportMustSay(t *testing.T) {
	all := documents(t)
	for name, want := range map[string][]string{
		"pass":                    {"would have noticed a shift of about 5 points", "99 times in 100"},
		"simulated":               {"simulated: both clusters"},
		"fail":                    {"does NOT follow the 50/50 weights", "podinfo-east got 35.1 %, expected 50 %", "fewer than 1 in a billion"},
		"fail-leak":               {"podinfo-east has weight 0 and answered 3 times"},
		"inconclusive":            {"30 requests cannot tell", "2,371 more", "--requests 2401", "cannot tell the 50/50 weights from a wrong split"},
		"invalid-off-mesh":        {"client pod is meshed", "linkerd-proxy", "kubectl rollout restart"},
		"invalid-changed":         {"changed during the run", "For information only: the counts alone would be a fail."},
		"interrupted":             {"SIGINT", "after 512 requests", "run it again"},
		"inconclusive-diagnostic": {"drawn per connection"},
		"counts-only":             {"26,000 requests in all (16,000 more)"},
		"nothing":                 {"no request was sent"},
	} {
		text := said(all[name].Outline())
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s does not say %q:\n%s", name, w, text)
			}
		}
	}
}

func TestMarkerNamesTheSplitNotTheRun(t *testing.T) {
	a, b := readDocument(t, "pass"), readDocument(t, "invalid-changed")
	b.Run.ID = "another"
	if marker(a) != marker(b) || marker(a) != "west/test/podinfo" {
		t.Errorf("markers %s and %s", marker(a), marker(b))
	}
}

func TestChecksSummary(t *testing.T) {
	for _, c := range []struct {
		checks []preflight.Result
		want   string
	}{
		{nil, "0 ok: nothing was checked"},
		{greenChecks(), "3 ok: the split can be measured"},
		{[]preflight.Result{{Status: preflight.Unknown, Severity: preflight.Fatal}}, "0 ok, 1 unknown: nothing forbids measuring, but not everything could be seen"},
		{[]preflight.Result{{Status: "never heard of"}}, "0 ok, 1 unknown: nothing forbids measuring, but not everything could be seen"},
		{[]preflight.Result{{Status: preflight.Failed, Severity: preflight.Fatal}}, "0 ok, 1 failed: the split cannot be measured: 1 fatal failure"},
	} {
		if got := checksSummary(c.checks); got != c.want {
			t.Errorf("checksSummary(%v) = %q, want %q", c.checks, got, c.want)
		}
	}
}
