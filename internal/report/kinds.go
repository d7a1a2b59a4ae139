package report

import (
	"math"
	"strings"
)

// Kinds of documents: one envelope, whose verdict is about shares, latencies, a failover, or shares without end.
const (
	KindLatencyReport = "LatencyReport"
	KindDrillReport   = "DrillReport"
	KindWatchReport   = "WatchReport"
)

// KindWatch is the kind of a stored watch.
const KindWatch = "watch"

func kindOf(r Report) string {
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

// special reports whether the report is not about the shares of one run.
func special(r Report) bool { return r.Comparison != nil || r.Drill != nil || r.Watch != nil }

func specialHeadline(r Report) string {
	switch {
	case r.Comparison != nil:
		return comparisonHeadline(r)
	case r.Drill != nil:
		return drillHeadline(r)
	}
	return watchHeadline(r)
}

// specialSentences are what a special report says in prose, specialTables its tables with their titles first.
func specialSentences(r Report) []string {
	switch {
	case r.Comparison != nil:
		return comparisonSentences(r.Comparison)
	case r.Drill != nil:
		return drillSentences(r.Drill)
	}
	return watchSentences(r.Watch)
}

func specialTables(r Report) [][][]string {
	if r.Comparison != nil {
		return comparisonTables(r.Comparison)
	}
	return nil
}

// specialList is a list with its title.
func specialList(r Report) (title string, items []string) {
	switch {
	case r.Drill != nil:
		return "What happened", drillEvents(r.Drill)
	case r.Watch != nil:
		return "Gaps", watchGaps(r.Watch)
	}
	return "", nil
}

func exp(x float64) float64 { return math.Exp(x) }

// special writes the tables and lists of a special report.
func (p *page) special(r Report) error {
	for _, t := range specialTables(r) {
		text, err := leftTable(t[0], t[1:])
		if err != nil {
			return err
		}
		p.line("")
		p.b.WriteString(text)
	}
	if heading, items := specialList(r); len(items) > 0 {
		p.bullets(heading+":", items)
	}
	return nil
}

// specialMarkdown is the same as Markdown, of a report whose strings are escaped.
func specialMarkdown(r Report) string {
	var parts []string
	for _, t := range specialTables(r) {
		rule := make([]string, len(t[0]))
		for i := range rule {
			rule[i] = "--:"
		}
		rule[0] = ":--"
		var b strings.Builder
		for _, row := range append([][]string{t[0], rule}, t[1:]...) {
			b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		}
		parts = append(parts, strings.TrimRight(b.String(), "\n"))
	}
	if heading, items := specialList(r); len(items) > 0 {
		parts = append(parts, "**"+heading+"**", "- "+strings.Join(items, "\n- "))
	}
	return strings.Join(parts, "\n\n")
}

// specialTitle is what stands after the outcome in a heading.
func specialTitle(r Report) string {
	switch {
	case r.Comparison != nil:
		return subject(r)
	case r.Drill != nil:
		return subject(r) + ", failover drill"
	}
	return subject(r) + ", " + weightsLabel(r) + " weights, watched"
}
