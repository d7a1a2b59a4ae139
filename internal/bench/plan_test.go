package bench

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/law"
)

func walkthrough() law.Snapshot {
	return law.Snapshot{
		Port: 9898,
		Split: law.Split{
			Found: true, Root: "podinfo", Effective: []law.Weight{
				{Service: "podinfo", Weight: 50},
				{Service: "podinfo-east", Weight: 50},
			},
		},
		Root: law.Service{
			Namespace: "test", Name: "podinfo", Found: true, ClusterIP: "10.0.0.7",
			Ports: []law.Port{{Port: 9898}},
		},
		Source: law.Pod{Namespace: "test", Name: "frontend-1"},
		Backends: []law.Backend{
			{Name: "podinfo", Weight: 50, IsRoot: true, Port: 9898, Endpoints: []law.Endpoint{
				{Pod: "podinfo-w1", Ready: true},
				{Pod: "podinfo-w2", Ready: true},
			}},
			{
				Name: "podinfo-east", Weight: 50, Port: 9898, Mirror: &law.Mirror{Cluster: "east"},
				RemotePods: []string{"podinfo-e1", "podinfo-e2"},
			},
		},
	}
}

func TestTargetURL(t *testing.T) {
	t.Parallel()
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

func TestDirectURL(t *testing.T) {
	t.Parallel()
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

func TestProbeOfRun(t *testing.T) {
	t.Parallel()
	cfg := Config{URL: "http://podinfo.test:9898/api/info?x=1", Load: Load{Header: map[string]string{"X-A": "b"}}}
	p := cfg.asking().Query.Probe
	if p.Path != "/api/info?x=1" || p.Host != "podinfo.test" || p.Method != "GET" || p.Header["X-A"] != "b" {
		t.Errorf("%+v", p)
	}
}

// Routes may choose by a header. The law is asked for the request that the run sends, with the headers of the user's.
func TestTheLawIsAskedForTheRequestThatIsSent(t *testing.T) {
	t.Parallel()
	cfg := Config{URL: "http://podinfo:9898/api?x=1", Load: Load{
		Header: map[string]string{"User-Agent": "splitbench/v0"},
		Template: attack.Plan{Header: map[string]string{
			"X-Canary": "always", "user-agent": "curl/8",
			"host": "shop.example:8080",
		}},
	}}
	want := law.Probe{
		Method: "GET", Path: "/api?x=1", Host: "shop.example",
		Header: map[string]string{"X-Canary": "always", "user-agent": "curl/8", "host": "shop.example:8080"},
	}
	if diff := cmp.Diff(want, cfg.asking().Query.Probe); diff != "" {
		t.Errorf("asked for another request than is sent (-sent +asked):\n%s", diff)
	}
	cfg = Config{Load: Load{Template: attack.Plan{Method: "HEAD"}}}
	if p := cfg.asking().Query.Probe; p.Method != "HEAD" {
		t.Errorf("of a HEAD the law is asked for %s", p.Method)
	}
	cfg = Config{Load: Load{Template: attack.Plan{Protocol: attack.ProtocolGRPC}}}
	if p := cfg.asking().Query.Probe; p.Method != "POST" || p.Path != "/grpc.health.v1.Health/Check" {
		t.Errorf("of a gRPC call the law is asked for %s %s", p.Method, p.Path)
	}
}
