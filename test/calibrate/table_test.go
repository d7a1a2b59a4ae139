package calibrate

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/splitbench/splitbench/analyze"
)

// renderTable is the calibration table of splits.
func renderTable(rows []row) string {
	return renderGroups(rows, (*row).line, func(*row) string {
		return "| scenario | k | N | truth | repetitions | pass % | fail % | inconclusive % | called out % | claimed" +
			" | holds | chi-square p < alpha % |\n|---|--:|--:|---|--:|--:|--:|--:|--:|---|---|--:|\n"
	})
}

// renderGroups writes a part per group, each under the head that its first row asks for.
func renderGroups(rows []row, line, head func(*row) string) string {
	var b strings.Builder
	group := ""
	for i := range rows {
		r := &rows[i]
		if r.group != group {
			group = r.group
			fmt.Fprintf(&b, "\n### %s\n\n%s", group, head(r))
		}
		fmt.Fprintln(&b, line(r))
	}
	b.WriteString(summary(rows))
	return b.String()
}

func summary(rows []row) string {
	claims := 0
	for i := range rows {
		claims += len(rows[i].claims)
	}
	return fmt.Sprintf("\n%d scenarios, %d claims, %d of them not ok.\n", len(rows), claims, len(failures(rows)))
}

// line is one row: rates with the ends of their error bars.
func (r *row) line() string {
	called := "-"
	if slices.Contains([]string{groupPinned, groupRoundRobin, groupChange}, r.group) ||
		strings.Contains(r.name, "diagnosed") || r.group == groupNone && len(r.weights) == 2 {
		called = r.rate(calls)
	}
	claimed, holds := r.claimed()
	cells := []string{
		r.name, strconv.Itoa(len(r.weights)), grouped(r.n), r.says, grouped(r.counted.reps),
		r.rate(passes), r.rate(fails), r.rate(undecided), called, claimed, holds, r.rate(rejects),
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

// claimed are the claims of a row in words, and whether they hold.
func (r *row) claimed() (claims, holds string) {
	if len(r.claims) == 0 {
		return "nothing", "-"
	}
	var texts []string
	holds = "ok"
	for _, c := range r.claims {
		texts = append(texts, c.String())
		if !r.holds(c) {
			holds = "NOT ok"
		}
	}
	return strings.Join(texts, ", "), holds
}

// share is how often an event was seen, 0 to 1.
func (r *row) share(e event) float64 { return float64(r.counted.seen[e]) / float64(r.counted.reps) }

func (r *row) rate(e event) string {
	bar := r.bar(e)
	return fmt.Sprintf("%s (%s-%s)", percent(r.share(e)), percent(bar.Low), percent(bar.High))
}

// percent writes a share as a percentage of two decimals, without a sign.
func percent(share float64) string { return strconv.FormatFloat(100*share, 'f', 2, 64) }

func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// failures are the claims that do not hold, one sentence each.
func failures(rows []row) []string {
	var out []string
	for i := range rows {
		r := &rows[i]
		for _, c := range r.claims {
			if !r.holds(c) {
				out = append(out, fmt.Sprintf("%s: %s, observed %s", r.name, c, r.rate(c.event)))
			}
		}
	}
	return out
}

// renderRequests is the table of planned sizes of common splits.
func renderRequests() (string, error) {
	splits := []struct {
		name string
		w    analyze.Weights
	}{
		{"50/50", weights(50, 50)},
		{"80/20", weights(80, 20)},
		{"90/10", weights(90, 10)},
		{"95/5", weights(95, 5)},
		{"99/1", weights(99, 1)},
		{"999/1", weights(999, 1)},
		{"50/30/20", weights(50, 30, 20)},
		{"90/9/1", weights(90, 9, 1)},
		{"40/30/20/10", weights(40, 30, 20, 10)},
		{"8 equal", equal(8)},
		{"16 equal", equal(16)},
	}
	columns := []struct {
		head, tolerance string
		alpha, power    float64
	}{
		{"default", "5pt,50%", 0.01, 0.99},
		{"default, power 90 %", "5pt,50%", 0.01, 0.9},
		{"2pt", "2pt,50%", 0.01, 0.99},
		{"1pt", "1pt,50%", 0.01, 0.99},
		{"20%", "20%", 0.01, 0.99},
	}
	var b strings.Builder
	b.WriteString("\n| split |")
	for _, c := range columns {
		b.WriteString(" " + c.head + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(columns)) + "\n")
	for _, s := range splits {
		b.WriteString("| " + s.name + " |")
		for _, c := range columns {
			t, err := analyze.ParseTolerance(c.tolerance)
			if err != nil {
				return "", err
			}
			o := analyze.DefaultOptions()
			o.Tolerance, o.Alpha, o.Power = t, c.alpha, c.power
			n, err := analyze.RequiredRequests(s.w, o)
			if err != nil {
				return "", fmt.Errorf("split %s, tolerance %s: %w", s.name, c.tolerance, err)
			}
			b.WriteString(" " + grouped(n) + " |")
		}
		b.WriteString("\n")
	}
	return b.String(), nil
}

func markers(name string) (begin, end string) {
	return "<!-- " + name + ": begin, written by make calibrate -->\n", "<!-- " + name + ": end -->\n"
}

// between returns what stands between the markers of a name.
func between(text, name string) (string, error) {
	begin, end := markers(name)
	_, rest, ok := strings.Cut(text, begin)
	inner, _, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return "", fmt.Errorf("no markers %q and %q", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return inner, nil
}

// rewrite replaces what stands between the markers of a name.
func rewrite(file, name, part string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	old, err := between(string(text), name)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	begin, end := markers(name)
	return os.WriteFile(file, []byte(strings.Replace(string(text), begin+old+end, begin+part+"\n"+end, 1)), 0o600)
}
