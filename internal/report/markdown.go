package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/splitbench/splitbench/internal/preflight"
)

// MaxMarkdown bounds what WriteMarkdown writes, in bytes. It keeps a comment below GitHub's limit of 65,536 characters, with room for what a bot adds.
const MaxMarkdown = 60_000

// WriteMarkdown renders the report for a pull request: a marker by which a bot finds its own comment again, the
// verdict as heading, one sentence, the table, the rules and whether each held, and the details folded away. Its
// errors are those of w.
func WriteMarkdown(w io.Writer, r Report) error {
	r = shown(r)
	v := verbatim{marker: commentMarker(r)}
	for _, s := range specimens(r) {
		v.specimens = append(v.specimens, forPre(s, maxText))
	}
	if r.Run != nil && len(r.Run.Command) > 0 {
		v.command = []string{forPre(shellJoin(r.Run.Command), maxCommand)}
	}
	r = mapStrings(r, forMarkdown)
	doc := markdown(r, v, true)
	if len(doc) > MaxMarkdown {
		doc = markdown(r, v, false)
	}
	_, err := io.WriteString(w, doc)
	return err
}

// maxCommand bounds the command that repeats a run, in runes.
const maxCommand = 4000

// verbatim is what is escaped otherwise than the rest of the report.
type verbatim struct {
	marker             string
	specimens, command []string
}

// commentMarker names the split, not the run: the comment is updated by the next run.
func commentMarker(r Report) string {
	name := "counts"
	if s := subject(r); s != "" {
		name = s
		if r.Source != nil && r.Source.Context != "" {
			name = r.Source.Context + "/" + s
		}
	}
	return "<!-- splitbench:" + forHTMLComment(name) + " -->"
}

// block is a growing Markdown document: blocks apart by an empty line.
type block struct{ b bytes.Buffer }

func (m *block) add(text string) {
	if text != "" {
		m.b.WriteString(text)
		m.b.WriteString("\n\n")
	}
}

func (m *block) list(title string, items []string) {
	if len(items) > 0 {
		m.add(title)
		m.add("- " + strings.Join(items, "\n- "))
	}
}

func (m *block) details(summary, body string) {
	if body = strings.TrimSpace(body); body != "" {
		m.add("<details>\n<summary>" + summary + "</summary>")
		m.add(body)
		m.add("</details>")
	}
}

func markdown(r Report, v verbatim, details bool) string {
	var m block
	m.add(v.marker)
	title := weightsLabel(r) + " weights"
	if s := subject(r); s != "" {
		title = s + ", " + title
	}
	if special(r) {
		title = specialTitle(r)
	}
	m.add("## " + verdictWord(r) + ": " + title)
	if r.Run != nil && r.Run.Simulated != "" {
		m.add("**Simulated:** " + r.Run.Simulated)
	}
	m.add("**" + capital(headline(r)) + ".**")
	if n, _ := requestsOf(r); n > 0 {
		m.add(markdownTable(r))
		m.add(quantileNote(r))
	}
	m.add(strings.Join(numbersSentences(r), " "))
	m.add(specialMarkdown(r))
	m.add(strings.Join(costSentences(r.GatewayCost), " "))
	m.list("**Why**", whyNot(r))
	m.list("**What moved**", segmentSentences(r))
	m.list("**What to do**", hints(r.Verdict.Remedies))
	m.list("**What the verdict rests on**", rules(r, code))
	m.list("**Warnings**", warnings(r))
	if details {
		m.details("How it was measured", fieldList(whatRan(r)))
		m.details("Gateway cost", markdownCost(r.GatewayCost))
		m.details("By source pod", podTable(r))
		m.details("How the generator came to the pod", stepLines(r))
		m.details("Against an earlier run", baselineMarkdown(r.Baseline))
		m.details("Checks before the run", checkList(r.Checks))
		m.details("Answers that name no backend", preOrNothing(v.specimens))
		m.details("Repeat it", preOrNothing(v.command))
		m.details("Statistics", bulleted(statistics(r, code)))
	} else {
		m.add("The details were left out: they would not fit in a comment. They are in the run's folder.")
	}
	m.add(footer(r))
	return strings.TrimRight(m.b.String(), "\n") + "\n"
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func markdownTable(r Report) string {
	columns := append(append(shareColumns(), timeColumns(r)...), errorColumns(r)...)
	columns[0].cell = func(b Backend) string { return code(b.Name) }
	titles, rows := cells(r, columns)
	rule := make([]string, len(columns))
	for i, c := range columns {
		rule[i] = "--:"
		if c.left {
			rule[i] = ":--"
		}
	}
	var b strings.Builder
	for _, row := range append([][]string{titles, rule}, rows...) {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

// rules are what the verdict rests on, each with whether it held.
func rules(r Report, name func(string) string) []string {
	var s []string
	if b, ok := worst(r); ok && r.Verdict.Alpha > 0 && testSentence(r) != "" {
		s = append(s, fmt.Sprintf("%s: furthest off is %s, %s from its share", testSentence(r), name(b.Name),
			points(100*abs(*b.ObservedShare-b.ExpectedShare))))
	}
	if r.Split != nil {
		held := "yes"
		if !r.Split.Unchanged {
			held = "no, " + r.Split.Why
		}
		s = append(s, "the split stayed the same during the run: "+held)
	}
	if _, all := requestsOf(r); all > 0 {
		s = append(s, fmt.Sprintf("requests with a known backend: %s of %s", count(all-r.Unattributed.Requests), count(all)))
	}
	if r.Load != nil {
		s = append(s, "requests were sent on time: "+yesNo(r.Load.OnTime))
	}
	if len(r.Checks) > 0 {
		s = append(s, "checks before the run: "+checksSummary(r.Checks))
	}
	return s
}

func abs(x float64) float64 {
	if x < 0 {
		return -x
	}
	return x
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func fieldList(fields []field) string {
	var s []string
	for _, f := range fields {
		if f.label != "Next" {
			s = append(s, "- "+f.label+": "+f.text)
		}
	}
	return strings.Join(s, "\n")
}

func checkList(checks []preflight.Result) string {
	var s []string
	for _, c := range checks {
		text := fmt.Sprintf("- %s: %s", c.Status, c.Name)
		if c.Seen != "" {
			text += " (" + c.Seen + ")"
		}
		if c.Hint != "" && c.Status != preflight.OK {
			text += ". To do: " + hints([]string{c.Hint})[0]
		}
		s = append(s, text)
	}
	return strings.Join(s, "\n")
}

func preOrNothing(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return pre(lines...)
}

// hints shows the command at the end of each as one.
func hints(remedies []string) []string {
	out := make([]string, len(remedies))
	for i, h := range remedies {
		prose, command := splitCommand(h)
		if out[i] = prose; command != "" {
			out[i] += " " + code(command)
		}
	}
	return out
}

func needsQuotes(r rune) bool {
	if r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
		return false
	}
	return !strings.ContainsRune("-_=./:,@%+~", r)
}

// shellJoin writes a command so that a POSIX shell reads the same words. It is for people to copy; nothing of ours
// runs it.
func shellJoin(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		plain := a != "" && strings.IndexFunc(a, needsQuotes) < 0
		if quoted[i] = a; !plain || strings.HasPrefix(a, "~") {
			quoted[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}

// statistics are the numbers behind the verdict, one line each. name shows the name of a backend.
func statistics(r Report, name func(string) string) []string {
	var s []string
	v := r.Verdict
	if v.Alpha > 0 {
		s = append(s, fmt.Sprintf("gate %s, alpha %g, power %g", v.Gate, v.Alpha, v.Power))
	}
	if v.Match != nil && v.Differs != nil {
		s = append(s, fmt.Sprintf("tolerance: %s that the shares are within it, %s that one is not (small means shown)",
			pText(v.Match), pText(v.Differs)))
	}
	if g := r.GoodnessOfFit; g != nil {
		s = append(s, statisticText("chi-square (Pearson)", g.Pearson), statisticText("G", g.G))
		effect := fmt.Sprintf("effect: total variation %s, largest gap %s",
			statisticValue(g.TotalVariation), points(g.MaxDeviationPoints))
		if g.CohensW != nil {
			effect += fmt.Sprintf(", Cohen's w %s", statisticValue(*g.CohensW))
		}
		s = append(s, effect)
	}
	for _, b := range r.Backends {
		if b.AdjustedP != nil && b.StandardizedResidual != nil {
			s = append(s, fmt.Sprintf("%s: standardized residual %s, %s (Holm)", name(b.Name),
				statisticValue(*b.StandardizedResidual), pText(b.AdjustedP)))
		}
	}
	for _, d := range r.Diagnostics {
		s = append(s, fmt.Sprintf("%s: %s (%s)", d.Name, d.Text, d.Effect))
	}
	return s
}

func statisticText(name string, s Statistic) string {
	if s.Statistic == nil {
		return fmt.Sprintf("%s: none, %s", name, s.Why)
	}
	text := fmt.Sprintf("%s %s, df %d", name, statisticValue(*s.Statistic), s.DF)
	if s.Exact != nil {
		text += fmt.Sprintf(", %s (%s)", pText(s.Exact), s.Exact.Method)
	}
	if s.Asymptotic != nil {
		text += fmt.Sprintf(", %s (asymptotic)", pText(s.Asymptotic))
	}
	return text
}

// pText is for details only. Where p underflows its logarithm still says how small it is.
func pText(p *Probability) string {
	switch {
	case p.P > 0:
		return "p " + statisticValue(p.P)
	case p.LnP != nil:
		return "ln p " + statisticValue(*p.LnP)
	}
	return "p 0"
}

func bulleted(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return "- " + strings.Join(lines, "\n- ")
}

func footer(r Report) string {
	if s := footerText(r, code); s != "" {
		return "<sub>" + s + "</sub>"
	}
	return ""
}

// footerText names tool, run and time. name shows the id of the run.
func footerText(r Report, name func(string) string) string {
	if r.Run == nil {
		return ""
	}
	s := "splitbench"
	if r.Run.Tool != "" {
		s += " " + r.Run.Tool
	}
	if r.Run.ID != "" {
		s += ", run " + name(r.Run.ID)
	}
	if !r.Run.Started.IsZero() {
		s += ", " + r.Run.Started.UTC().Format("2006-01-02 15:04 UTC")
	}
	return s
}
