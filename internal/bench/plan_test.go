package bench

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/law"
)

func walkthrough() law.Snapshot {
	return law.Snapshot{
		Port: 9898,
		Split: law.Split{
			Found: true, Root: "podinfo", Effective: []law.Weight{{Service: "podinfo", Weight: 50}, {Service: "podinfo-east", Weight: 50}},
		},
		Root:   law.Service{Namespace: "test", Name: "podinfo", Found: true, ClusterIP: "10.0.0.7", Ports: []law.Port{{Port: 9898}}},
		Source: law.Pod{Namespace: "test", Name: "frontend-1"},
		Backends: []law.Backend{
			{Name: "podinfo", Weight: 50, IsRoot: true, Port: 9898, Endpoints: []law.Endpoint{{Pod: "podinfo-w1", Ready: true}, {Pod: "podinfo-w2", Ready: true}}},
			{Name: "podinfo-east", Weight: 50, Port: 9898, Mirror: &law.Mirror{Cluster: "east"}, RemotePods: []string{"podinfo-e1", "podinfo-e2"}},
		},
	}
}

func TestTargetURL(t *testing.T) {
	elsewhere := func(s *law.Snapshot) { s.Source.Namespace = "other" }
	through := func(s *law.Snapshot) {
		s.Through = &law.Through{Service: law.Service{Namespace: "test", Name: "frontend"}}
	}
	tests := []struct {
		given  string
		change func(*law.Snapshot)
		want   string // the URL, or a part of the error
		ok     bool
	}{
		{"", nil, "http://podinfo:9898/", true},
		{"", elsewhere, "http://podinfo.test:9898/", true},
		{"http://podinfo:9898/api/info?x=1", nil, "http://podinfo:9898/api/info?x=1", true},
		{"http://podinfo.test:9898", nil, "http://podinfo.test:9898", true},
		{"http://PODINFO.test.svc.cluster.local.:9898/", nil, "http://PODINFO.test.svc.cluster.local.:9898/", true},
		{"http://10.0.0.7:9898/", nil, "http://10.0.0.7:9898/", true},
		{"http://podinfo.other:9898/", nil, "is not the split's root Service", false},
		{"http://podinfo-east:9898/", nil, "is not the split's root Service", false},
		{"http://podinfo.test.evil.com:9898/", nil, "is not the split's root Service", false},
		{"http://podinfo/", nil, "its port is not 9898", false},
		{"http://podinfo:9999/", nil, "its port is not 9898", false},
		{"http://a b/", nil, "--url", false},
		{"http://frontend:8080/", through, "http://frontend:8080/", true},
		{"http://podinfo:9898/", through, "is not the Service frontend", false},
		{"", through, "name with --url", false},
		{"http://podinfo:9898/", elsewhere, "is not the split's root Service", false}, // there it is another Service
		{"http://podinfo.test:9898/", elsewhere, "http://podinfo.test:9898/", true},
		{"http://podinfo.test.svc.evil.example.com:9898/", nil, "is not the split's root Service", false},
		{
			"http://podinfo.test.svc.corp.local:9898/", func(s *law.Snapshot) { s.Split.Profile.Name = "podinfo.test.svc.corp.local" },
			"http://podinfo.test.svc.corp.local:9898/", true,
		},
	}
	for _, tt := range tests {
		s := walkthrough()
		if tt.change != nil {
			tt.change(&s)
		}
		got, err := targetURL(tt.given, s)
		if tt.ok && (err != nil || got != tt.want) || !tt.ok && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("targetURL(%q) = %q, %v; want %q", tt.given, got, err, tt.want)
		}
	}
}

func TestParseClassify(t *testing.T) {
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
	w := analyze.Weights{{Backend: "a", W: 1}, {Backend: "b", W: 1}}
	rule := func(s string) ClassifyRule {
		r, err := ParseClassify(s)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	got, err := userRules([]ClassifyRule{rule("b=regexp:x"), rule("a=regexp:y"), rule("a=regexp:z")}, w)
	if err != nil || len(got) != 3 || got[0].Backend != 1 || got[1].Backend != 0 || got[2].Backend != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := userRules([]ClassifyRule{rule("a=regexp:y")}, w); err == nil || !strings.Contains(err.Error(), `"b"`) {
		t.Errorf("a backend without a rule: %v", err)
	}
	if _, err := userRules([]ClassifyRule{rule("c=regexp:y")}, w); err == nil || !strings.Contains(err.Error(), `"c"`) {
		t.Errorf("a rule for nobody: %v", err)
	}
	if got, err := userRules(nil, w); err != nil || got != nil {
		t.Errorf("no rules: %v, %v", got, err)
	}
}

func TestDirectURL(t *testing.T) {
	s := walkthrough()
	for root, want := range map[string]string{
		"http://podinfo:9898/api/info":                "http://podinfo-east:9898/api/info",
		"http://podinfo.test.svc.cluster.local:9898/": "http://podinfo-east.test.svc.cluster.local:9898/",
		"http://10.0.0.7:9898/":                       "http://podinfo-east:9898/",
		"http://frontend:8080/":                       "http://podinfo-east:9898/", // through another Service
	} {
		if got := directURL(root, s.Backends[1], s); got != want {
			t.Errorf("directURL(%q) = %q, want %q", root, got, want)
		}
	}
}
