package report

import (
	"strings"
	"testing"

	"github.com/splitbench/splitbench/analyze"
)

// A limit that is broken must be what every rendering begins with, beside what the shares are; and it makes nothing better.
func TestLimitsDecideBesideTheShares(t *testing.T) {
	const broken, open = "p90 of podinfo is at least 31 ms, above 20ms", "whether p99 of podinfo is below 1s cannot be told: it needs more answers"
	of := func(outcome, counts string, reason ...string) Report {
		r := Report{Verdict: Verdict{Outcome: outcome, StatisticalOutcome: counts, Reasons: reason, ReasonCodes: []string{analyze.CodeWithin}[:len(reason)]}}
		share := 0.5
		for _, name := range []string{"podinfo", "podinfo-east"} {
			r.Backends = append(r.Backends, Backend{Name: name, Weight: 50, ExpectedShare: 0.5, Observed: 1000, ObservedShare: &share})
		}
		return r
	}
	passed := of(Pass, "", "within")
	for _, x := range []struct {
		name     string
		r        Report
		want     string
		headline string // its beginning, and every part that it must hold
		parts    []string
	}{
		{"a limit that held", limited(passed, Pass, "below"), Pass, "traffic follows the 50/50 weights", nil},
		{"broken", limited(passed, Fail, broken), Fail, "traffic follows the 50/50 weights", []string{"; but " + broken}},
		{"cannot be told", limited(passed, Inconclusive, open), Inconclusive, "traffic follows the 50/50 weights", []string{"; but " + open}},
		{"both", limited(limited(passed, Inconclusive, open), Fail, broken), Fail, "traffic follows the 50/50 weights", []string{broken, open}},
		{"shares fail too", limited(of(Fail, "", "outside"), Fail, broken), Fail, "traffic does NOT follow", nil},
		{"shares open", limited(of(Inconclusive, "", "too few"), Fail, broken), Fail, "2,000 requests cannot tell", []string{broken}},
		{"a diagnostic took the pass away", limited(of(Inconclusive, Pass, "sticky"), Inconclusive, open), Inconclusive, "2,000 requests cannot tell", []string{open}},
		{"invalid", limited(of(Invalid, "", "no proxy"), Fail, broken), Invalid, "could not be measured: no proxy", nil},
	} {
		o := x.r.Outline()
		h := o.Headline
		if x.r.Verdict.Outcome != x.want || !strings.HasPrefix(h, x.headline) {
			t.Errorf("%s: %s, %q", x.name, x.r.Verdict.Outcome, h)
		}
		if len(x.r.Verdict.Reasons) != len(x.r.Verdict.ReasonCodes) {
			t.Errorf("%s: %d reasons, %d codes", x.name, len(x.r.Verdict.Reasons), len(x.r.Verdict.ReasonCodes))
		}
		for _, part := range x.parts {
			if !strings.Contains(h, part) {
				t.Errorf("%s: %q lacks %q", x.name, h, part)
			}
		}
		if o.Word != strings.ToUpper(x.want) {
			t.Errorf("%s: the first word is %q", x.name, o.Word)
		}
		if c := x.r.Suite().Cases[0]; (c.Result == CasePassed) != (x.want == Pass) || x.want != Pass && !strings.HasPrefix(c.Message, o.Word+": ") {
			t.Errorf("%s: case %+v", x.name, c)
		}
	}
	if passed.Verdict.Outcome != Pass || len(passed.Verdict.Reasons) != 1 {
		t.Errorf("the report itself was changed: %+v", passed.Verdict)
	}
}
