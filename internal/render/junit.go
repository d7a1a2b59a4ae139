package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/jstemmer/go-junit-report/v2/junit"

	"github.com/splitbench/splitbench/internal/report"
)

// JUnit writes suites of cases as JUnit's XML. Its errors are those of w.
func JUnit(w io.Writer, name string, suites ...report.Suite) error {
	all := junit.Testsuites{Name: name}
	total := 0.0
	for i, s := range suites {
		total += s.Seconds
		out := suiteOf(s)
		out.ID = i
		all.AddSuite(out)
	}
	all.Time = junitSeconds(total)
	if _, err := io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"); err != nil {
		return err
	}
	return all.WriteXML(w)
}

func suiteOf(s report.Suite) junit.Testsuite {
	out := junit.Testsuite{
		Name: forXML(s.Name), Time: junitSeconds(s.Seconds), Package: "splitbench", Hostname: forXML(s.Host),
		SystemOut: output(s.Sentences), SystemErr: output(s.Warnings),
	}
	if !s.Started.IsZero() {
		out.SetTimestamp(s.Started.UTC())
	}
	for _, p := range s.Properties {
		out.AddProperty(forXML(p.Label), forXML(p.Text))
	}
	for _, c := range s.Cases {
		out.AddTestcase(caseOf(c))
	}
	return out
}

func output(lines []string) *junit.Output {
	if len(lines) == 0 {
		return nil
	}
	return &junit.Output{Data: forLines(lines) + "\n"}
}

func forLines(lines []string) string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = forXML(line)
	}
	return strings.Join(out, "\n")
}

func caseOf(c report.Case) junit.Testcase {
	out := junit.Testcase{Name: forXML(c.Name), Classname: forXML(c.Class), Time: junitSeconds(c.Seconds)}
	result := &junit.Result{Message: forXML(c.Message), Type: forXML(c.State), Data: forLines(c.Lines)}
	switch c.Result {
	case report.CaseFailed:
		out.Failure = result
	case report.CaseBroken:
		out.Error = result
	case report.CaseSkipped:
		out.Skipped = result
	}
	return out
}

func junitSeconds(s float64) string { return fmt.Sprintf("%.3f", s) }
