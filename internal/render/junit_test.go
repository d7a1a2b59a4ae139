package render

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"unicode"

	"github.com/jstemmer/go-junit-report/v2/junit"

	"github.com/splitbench/splitbench/internal/report"
)

func asJUnit(t *testing.T, suites ...report.Suite) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := JUnit(&b, "splitbench", suites...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A parser of JUnit reads it, and the outcome can be told from its counts alone, as CI systems do.
func TestJUnitSaysTheOutcome(t *testing.T) {
	for name, r := range reports(t) {
		doc := asJUnit(t, r.Suite())
		var got junit.Testsuites
		dec := xml.NewDecoder(bytes.NewReader(doc))
		if err := dec.Decode(&got); err != nil {
			t.Errorf("%s: %v\n%s", name, err, doc)
			continue
		}
		if _, err := dec.Token(); err != io.EOF {
			if _, err = dec.Token(); err != io.EOF {
				t.Errorf("%s: there is more after the document: %v", name, err)
			}
		}
		failures, errs := 0, 0
		switch r.Verdict.Outcome {
		case report.Fail:
			failures = 1
		case report.Inconclusive, report.Invalid:
			errs = 1
			for _, c := range r.Checks {
				if c.Failure() {
					errs++
				}
			}
		}
		if got.Failures != failures || got.Errors != errs || got.Tests != 1+len(r.Checks) {
			t.Errorf("%s: %d tests, %d failures, %d errors, want %d, %d and %d", name, got.Tests, got.Failures, got.Errors, 1+len(r.Checks), failures, errs)
		}
		for _, c := range string(doc) {
			if c != '\n' && c != '\t' && !unicode.IsPrint(c) {
				t.Errorf("%s: it holds %U", name, c)
			}
		}
		properties := map[string]string{}
		for _, p := range *got.Suites[0].Properties {
			properties[p.Name] = p.Value
		}
		if properties["outcome"] != r.Verdict.Outcome {
			t.Errorf("%s: property outcome is %q", name, properties["outcome"])
		}
		if name == "fail" || name == "hostile" || name == "invalid-off-mesh" {
			golden(t, name+".xml", doc)
		}
	}
}

// What was measured and not judged breaks no build, and its case is not about shares.
func TestJUnitOfWhatWasOnlyMeasured(t *testing.T) {
	r := reports(t)["latency"]
	r.Verdict.Outcome = report.Measured
	var got junit.Testsuites
	if err := xml.Unmarshal(asJUnit(t, r.Suite()), &got); err != nil {
		t.Fatal(err)
	}
	if name := got.Suites[0].Testcases[0].Name; got.Errors != 0 || got.Failures != 0 || name != "response times are within their margin" {
		t.Errorf("%d errors, %d failures, %q", got.Errors, got.Failures, name)
	}
}

func TestJUnitOfSeveralReports(t *testing.T) {
	all := reports(t)
	var got junit.Testsuites
	if err := xml.Unmarshal(asJUnit(t, all["pass"].Suite(), all["fail"].Suite(), all["inconclusive"].Suite()), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Suites) != 3 || got.Failures != 1 || got.Errors != 1 || got.Suites[1].ID != 1 {
		t.Errorf("%d suites, %d failures, %d errors", len(got.Suites), got.Failures, got.Errors)
	}
}

// Nothing that a cluster says ends an element or a CDATA section.
func TestJUnitKeepsForeignTextInside(t *testing.T) {
	r := reports(t)["hostile"]
	r.Warnings = append(r.Warnings, "]]><failure/><!--", "]]]]>>")
	doc := asJUnit(t, r.Suite())
	dec := xml.NewDecoder(bytes.NewReader(doc))
	text := ""
	for {
		token, err := dec.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.CharData:
			text += string(token)
		case xml.Comment:
			t.Errorf("comment %q", token)
		}
	}
	if !strings.Contains(text, "<script>alert(1)</script>") || strings.Count(string(doc), "<failure ") != 1 {
		t.Error("the hostile text is not text any more")
	}
}
