package judge

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/record"
)

func TestParseClassify(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]attack.Rule{
		"podinfo=json:/message=greetings from west": {Kind: attack.RuleJSON, Key: "/message", Values: []string{"greetings from west"}},
		"a=header:X-Cluster=a=b":                    {Kind: attack.RuleHeader, Key: "X-Cluster", Values: []string{"a=b"}},
		"a=regexp:x=(y|z):":                         {Kind: attack.RuleRegexp, Key: "x=(y|z):"},
	} {
		got, err := ParseClassify(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if d := cmp.Diff(want, got.Rule); d != "" {
			t.Errorf("%q: %s", in, d)
		}
	}
	for _, in := range []string{"", "podinfo", "podinfo=", "podinfo=json", "=json:/a=b", "a=json:/a", "a=json:=b", "a=xml:/a=b", "a=regexp:(", "a=regexp:", "a=json:nopointer=b"} {
		if _, err := ParseClassify(in); err == nil || !strings.Contains(err.Error(), "--classify") {
			t.Errorf("%q: got %v", in, err)
		}
	}
}

func TestUserRulesMustCoverEveryBackend(t *testing.T) {
	t.Parallel()
	w := analyze.Weights{{Backend: "a", W: 1}, {Backend: "b", W: 1}}
	rule := func(s string) ClassifyRule {
		r, err := ParseClassify(s)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	got, err := UserRules([]ClassifyRule{rule("b=regexp:x"), rule("a=regexp:y"), rule("a=regexp:z")}, w, nil)
	if err != nil || len(got) != 3 || got[0].Backend != 1 || got[1].Backend != 0 || got[2].Backend != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := UserRules([]ClassifyRule{rule("a=regexp:y")}, w, nil); err == nil || !strings.Contains(err.Error(), `"b"`) {
		t.Errorf("a backend without a rule: %v", err)
	}
	if _, err := UserRules([]ClassifyRule{rule("c=regexp:y")}, w, nil); err == nil || !strings.Contains(err.Error(), `"c"`) {
		t.Errorf("a rule for nobody: %v", err)
	}
	if _, err := UserRules([]ClassifyRule{rule("a=regexp:y")}, w, record.ProxyAnswers{500: 1}); err != nil {
		t.Errorf("a backend that is told by its status: %v", err)
	}
	if got, err := UserRules(nil, w, nil); err != nil || got != nil {
		t.Errorf("no rules: %v, %v", got, err)
	}
}
