package render

import (
	"bytes"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/report"
)

// twoSplits: one green, one with a root cause, what follows from it, a missing rule and a hostile name.
func twoSplits() []report.SplitChecks {
	return []report.SplitChecks{
		{Namespace: "test", Split: "ts/good", Checks: []preflight.Result{{ID: "SB007", Category: "backends", Name: "every backend Service exists", Severity: preflight.Fatal, Status: preflight.OK, Seen: "all there"}}},
		{Namespace: "test", Split: "ts/bad\x1b[2J", Checks: []preflight.Result{
			{ID: "SB007", Category: "backends", Name: "every backend Service exists", Severity: preflight.Fatal, Status: preflight.Failed, Seen: "there is no Service test/x", Hint: "create it: kubectl get services", CausedBy: "SB010"},
			{ID: "SB010", Category: "mirror", Name: "the mirrors are there", Severity: preflight.Fatal, Status: preflight.Failed, Seen: "there is no mirror ]]> of x", Hint: "export it: kubectl label service x a=b"},
			{ID: "SB035", Category: "access", Name: "may be read", Severity: preflight.Fatal, Status: preflight.Warning, Seen: "get nodes is not allowed", Apply: "kind: ClusterRole\nrules: \x1b[31m\n"},
			{ID: "SB008", Category: "backends", Name: "endpoints", Severity: preflight.Fatal, Status: preflight.Failed, Seen: "none ready", Waived: "--ignore-check"},
		}},
	}
}

func TestShortIsALineForEachRootCause(t *testing.T) {
	var b bytes.Buffer
	if err := Text(&b, report.FindingsOutline(twoSplits()), TextOptions{ASCII: true}); err != nil {
		t.Fatal(err)
	}
	want := `[XX] SB010 test ts/bad\x1b[2J: there is no mirror ]]> of x (1 more follow from it)
[!!] SB035 test ts/bad\x1b[2J: get nodes is not allowed
[XX] SB008 test ts/bad\x1b[2J: none ready
`
	if b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
	b.Reset()
	if err := Text(&b, report.FindingsOutline(twoSplits()[:1]), TextOptions{ASCII: true}); err != nil || b.String() != "[ok] every check is green\n" {
		t.Errorf("%v\n%s", err, b.String())
	}
}

func TestManySplitsAsText(t *testing.T) {
	var b bytes.Buffer
	if err := Text(&b, report.SplitsOutline(twoSplits()), TextOptions{ASCII: true, Width: 100}); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	root, follows := strings.Index(text, "the mirrors are there [SB010]"), strings.Index(text, "follows from SB010")
	if root < 0 || follows < root {
		t.Errorf("the root cause does not come first:\n%s", text)
	}
	for _, want := range []string{
		"test ts/good: 1 ok: the split can be measured", "2 splits, 1 of them cannot be measured", "waived: --ignore-check",
		"      kind: ClusterRole\n      rules: \\x1b[31m\n", "kubectl label service x a=b\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
	if strings.Contains(text, "\x1b") || strings.Contains(text, "kubectl get services") {
		t.Errorf("an escape, or the hint of a consequence, in:\n%s", text)
	}
}

func TestChecksAsJUnit(t *testing.T) {
	var suites []report.Suite
	for _, s := range twoSplits() {
		suites = append(suites, s.Suite())
	}
	var b bytes.Buffer
	if err := JUnit(&b, "splitbench check", suites...); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Suites []struct {
			Tests  int `xml:"tests,attr"`
			Errors int `xml:"errors,attr"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Suites) != 2 || doc.Suites[0].Errors != 0 || doc.Suites[1].Tests != 4 || doc.Suites[1].Errors != 2 {
		t.Errorf("%+v", doc)
	}
}

func TestGoldenChecks(t *testing.T) {
	all := reports(t)
	checks := append(append(all["invalid-off-mesh"].Checks, all["pass"].Checks[2]), all["hostile"].Checks...)
	for name, o := range map[string]TextOptions{"checks.txt": {}, "checks-ascii.txt": {ASCII: true}, "checks-color.txt": {Color: true}} {
		golden(t, name, []byte(asText(t, report.ChecksOutline(checks), o)))
	}
	golden(t, "explain.txt", []byte(asText(t, report.ExplanationOutline(preflight.Checks()[0]), TextOptions{})))
	if text := asText(t, report.CheckIndexOutline(preflight.Checks()), TextOptions{}); !strings.Contains(text, preflight.Checks()[0].ID+"  ") {
		t.Errorf("the index is\n%s", text)
	}
}
