package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/jstemmer/go-junit-report/v2/junit"

	"github.com/splitbench/splitbench/internal/preflight"
)

// WriteJUnit writes reports as JUnit XML, one suite for each: the verdict, what it rests on, and the checks are its cases.
// A fail is a failure. What could not be decided (inconclusive) or measured (invalid) is an error: a skipped case would look
// green. Numbers are properties of the suite. Its errors are those of w.
func WriteJUnit(w io.Writer, reports ...Report) error {
	all := junit.Testsuites{Name: "splitbench"}
	total := 0.0
	for i, r := range reports {
		s := suiteOf(mapStrings(shown(r), forXML))
		s.ID = i
		if r.Load != nil {
			total += r.Load.DurationSeconds
		}
		all.AddSuite(s)
	}
	all.Time = junitSeconds(total)
	if _, err := io.WriteString(w, xmlHeader); err != nil {
		return err
	}
	return all.WriteXML(w)
}

const xmlHeader = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// forXML makes foreign text harmless where XML is shown, and holds nothing that ends a CDATA section.
func forXML(s string) string { return strings.ReplaceAll(forTerminal(s), "]]>", "]] >") }

func suiteOf(r Report) junit.Testsuite {
	name := subject(r)
	if name == "" {
		name = weightsLabel(r) + " weights"
	}
	s := junit.Testsuite{Name: "splitbench " + name, Time: junitSeconds(0), Package: "splitbench"}
	if r.Load != nil {
		s.Time = junitSeconds(r.Load.DurationSeconds)
	}
	if r.Run != nil && !r.Run.Started.IsZero() {
		s.SetTimestamp(r.Run.Started.UTC())
	}
	if r.Source != nil {
		s.Hostname = r.Source.Pod
	}
	addProperties(&s, r)
	class := "splitbench." + strings.ReplaceAll(name, "/", ".")
	s.AddTestcase(verdictCase(r, class, s.Time))
	for _, c := range r.Checks {
		s.AddTestcase(checkCase(c, class))
	}
	s.SystemOut = &junit.Output{Data: capital(headline(r)) + ".\n" + strings.Join(numbersSentences(r), "\n") + "\n"}
	if w := warnings(r); len(w) > 0 {
		s.SystemErr = &junit.Output{Data: strings.Join(w, "\n") + "\n"}
	}
	return s
}

// caseName is what the outcome is about.
func caseName(r Report) string {
	switch {
	case r.Comparison != nil && r.Comparison.Sweep != nil:
		return "response times keep to their limit"
	case r.Comparison != nil:
		return "response times are within their margin"
	case r.Drill != nil:
		return "the failover keeps within its limits"
	}
	return "traffic follows the " + weightsLabel(r) + " weights"
}

func verdictCase(r Report, class, time string) junit.Testcase {
	c := junit.Testcase{Name: caseName(r), Classname: class, Time: time}
	if r.Verdict.Outcome == Pass || r.Verdict.Outcome == Measured { // nothing was asked that could fail
		return c
	}
	lines := append([]string{capital(headline(r)) + "."}, whyNot(r)...)
	lines = append(lines, numbersSentences(r)...)
	for _, todo := range r.Verdict.Remedies {
		lines = append(lines, "To do: "+todo)
	}
	result := &junit.Result{Message: verdictWord(r) + ": " + headline(r), Type: r.Verdict.Outcome, Data: strings.Join(lines, "\n")}
	if r.Verdict.Outcome == Fail {
		c.Failure = result
	} else {
		c.Error = result
	}
	return c
}

// checkCase is a skipped case for what is neither green nor red: it stands out among green ones and breaks nothing.
func checkCase(check preflight.Result, class string) junit.Testcase {
	c := junit.Testcase{Name: strings.TrimSpace(check.ID + " " + check.Name), Classname: class + ".check", Time: junitSeconds(0)}
	if check.Status == preflight.OK {
		return c
	}
	result := &junit.Result{Message: string(check.Status) + ": " + check.Seen, Type: string(check.Status), Data: check.Hint}
	if check.CausedBy != "" {
		result.Data = "follows from " + check.CausedBy
	}
	if check.Failure() {
		c.Error = result
	} else {
		c.Skipped = result
	}
	return c
}

// addProperties adds every number that a dashboard of test results could plot.
func addProperties(s *junit.Testsuite, r Report) {
	s.AddProperty("outcome", r.Verdict.Outcome)
	s.AddProperty("gate", r.Verdict.Gate)
	n, all := requestsOf(r)
	s.AddProperty("requests", strconv.FormatInt(all, 10))
	s.AddProperty("requestsAttributed", strconv.FormatInt(n, 10))
	if r.Run != nil {
		s.AddProperty("run", r.Run.ID)
		s.AddProperty("tool", r.Run.Tool)
		for _, l := range labels(r.Run.Labels) {
			k, v, _ := strings.Cut(l, "=")
			s.AddProperty("label."+k, v)
		}
	}
	float := func(name string, v *float64) {
		if v != nil {
			s.AddProperty(name, strconv.FormatFloat(*v, 'g', -1, 64))
		}
	}
	for _, b := range r.Backends {
		of := "backend." + b.Name + "."
		s.AddProperty(of+"weight", strconv.FormatInt(b.Weight, 10))
		s.AddProperty(of+"observed", strconv.FormatInt(b.Observed, 10))
		float(of+"expectedShare", &b.ExpectedShare)
		float(of+"observedShare", b.ObservedShare)
		if b.Interval != nil {
			float(of+"interval.low", b.Interval.Low)
			float(of+"interval.high", b.Interval.High)
		}
		s.AddProperty(of+"errors", strconv.FormatInt(b.Errors, 10))
		if b.Latency != nil {
			float(of+"responseTime.p50Ms", b.Latency.ResponseTime.P50Ms)
			float(of+"responseTime.p99Ms", b.Latency.ResponseTime.P99Ms)
		}
	}
	if g := r.GoodnessOfFit; g != nil {
		float("pearson.statistic", g.Pearson.Statistic)
		if g.Pearson.Exact != nil {
			float("pearson.p", &g.Pearson.Exact.P)
		}
	}
}

func junitSeconds(s float64) string { return fmt.Sprintf("%.3f", s) }
