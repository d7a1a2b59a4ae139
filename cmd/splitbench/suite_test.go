package main

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"time"
	"unicode"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/splitbench/splitbench/internal/report"
)

func TestTheExampleSuiteCanBeRead(t *testing.T) {
	b, err := os.ReadFile("../../examples/splitbench.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := parseSuite(b)
	if err != nil {
		t.Fatal(err)
	}
	one := s.Splits[0].over(s.Defaults)
	limits, err := one.limits()
	if err != nil || len(limits) != 3 || limits[0] != (report.Limit{Backend: "podinfo", Quantile: 0.5, Most: 20 * time.Millisecond}) {
		t.Errorf("limits %+v, %v", limits, err)
	}
	if one.Namespace != "test" || one.Rate != "100" || one.Tolerance != "5pt" || one.Labels["suite"] != "nightly" || s.Splits[1].Requests != "5000" {
		t.Errorf("%+v", one)
	}
}

// What is printed fits the published schema, for every outcome of splits and limits; and the schema can say no: to any
// key that is missing, to one more, and to other values.
func TestSuitesFitTheSchema(t *testing.T) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	schema, err := c.Compile("../../docs/schema/suitereport.v1alpha1.json")
	if err != nil {
		t.Fatal(err)
	}
	num := func(v float64) *float64 { return &v }
	s := report.NewSuiteReport(0.01, 4)
	limits := []report.Limit{
		{Backend: "a", Quantile: 0.5, Most: 5 * time.Millisecond},
		{Backend: "*", Quantile: 0.5, Most: 2 * time.Millisecond},
		{Backend: "a", Quantile: 0.99, Most: time.Second},
	}
	for _, o := range []string{report.Pass, report.Fail, report.Inconclusive, report.Invalid} {
		r := report.Report{
			Verdict: report.Verdict{Outcome: o, Reasons: []string{}},
			GatewayCost: &report.GatewayCost{Backends: []report.BackendTimes{
				{Backend: "a", Quantiles: []report.QuantileTime{{Quantile: 0.5, LowMs: num(3), HighMs: num(5)}, {Quantile: 0.99, LowMs: num(8), Why: "needs about 6,520 answers"}}},
			}},
		}
		s.Add(o, "ts/podinfo", r, limits)
	}
	var out bytes.Buffer
	if err := suiteDocument(s)["json"](&out); err != nil {
		t.Fatal(err)
	}
	read := func() map[string]any {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(out.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		return v.(map[string]any)
	}
	if err := schema.Validate(read()); err != nil {
		t.Fatal(err)
	}
	whole := func(d map[string]any) map[string]any { return d }
	split := func(d map[string]any) map[string]any { return d["splits"].([]any)[0].(map[string]any) }
	limited := func(d map[string]any) map[string]any { return split(d)["limits"].([]any)[0].(map[string]any) }
	for _, part := range []func(map[string]any) map[string]any{whole, split, limited} {
		for key := range part(read()) {
			d := read()
			delete(part(d), key)
			if schema.Validate(d) == nil {
				t.Errorf("the schema says yes without %q", key)
			}
			d = read()
			part(d)[key] = nil
			if schema.Validate(d) == nil {
				t.Errorf("the schema says yes to %q as null", key)
			}
		}
		d := read()
		part(d)["extra"] = json.Number("1")
		if schema.Validate(d) == nil {
			t.Errorf("the schema says yes to another key beside %v", part(d))
		}
	}
	for key, value := range map[string]any{"apiVersion": "splitbench.io/v2", "kind": "SplitReport", "outcome": "passed", "alpha": json.Number("1"), "splits": []any{}} {
		d := read()
		d[key] = value
		if schema.Validate(d) == nil {
			t.Errorf("the schema says yes to %s %v", key, value)
		}
	}
}

func FuzzParseSuite(f *testing.F) {
	b, err := os.ReadFile("../../examples/splitbench.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseSuite(b)
		if err == nil && (len(s.Splits) == 0 || len(s.Splits) > maxSplits) {
			t.Errorf("%d splits were let through", len(s.Splits))
		}
	})
}

// Names and reasons of a suite come from clusters, files and answers: what would act on a terminal (C1 controls,
// direction marks, line separators) leaves the program as an escape, in every document that it prints, and means the
// same.
func TestDocumentsAreHarmlessOnATerminal(t *testing.T) {
	const hostile = "a\u009b31m\u202etxt\u2028\u0085\U000e0001<&>"
	var suite, runs bytes.Buffer
	s := report.SuiteReport{Outcome: report.Invalid, Splits: []report.SuiteResult{{
		Name: hostile, Split: hostile, Reasons: []string{hostile}, Limits: []report.LimitOutcome{{Backend: hostile}},
	}}}
	if err := suiteDocument(s)["json"](&suite); err != nil {
		t.Fatal(err)
	}
	if err := runList([]runLine{{ID: hostile}})["json"](&runs); err != nil {
		t.Fatal(err)
	}
	for name, doc := range map[string][]byte{"suite": suite.Bytes(), "runs": runs.Bytes()} {
		for _, r := range string(doc) {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Errorf("%s: %U is printed as it is", name, r)
			}
		}
	}
	var back report.SuiteReport
	if err := json.Unmarshal(suite.Bytes(), &back); err != nil || back.Splits[0].Name != hostile || back.Splits[0].Reasons[0] != hostile {
		t.Errorf("%+v, %v", back, err)
	}
}
