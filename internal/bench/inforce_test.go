package bench

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/report"
)

const (
	profilePath = "/apis/linkerd.io/v1alpha2/namespaces/test/serviceprofiles/podinfo.test.svc.cluster.local"
	mergePatch  = "application/merge-patch+json"
	overrides   = `{"spec":{"dstOverrides":[{"authority":"podinfo.test.svc.cluster.local","weight":"90"},` +
		`{"authority":"podinfo-east.test.svc.cluster.local","weight":"10"}]}}`
)

// Counts are held against what the split declares, whichever check was waived; what proxies obey is set beside it. 3,000
// requests that are drawn 90/10, or all to one side, are 40 points and more from 50/50.
func TestNoPassByWeightsThatAreNotTheSplits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		before  func(*testing.T, *demo.Clusters, Config)
		split   string
		ignore  []string
		inForce string // what proxies obey, in the report's sentence
		outcome string // of the counts against that
	}{
		{
			name: "a profile edited by hand", ignore: []string{"SB004"}, outcome: report.Pass,
			before: func(t *testing.T, _ *demo.Clusters, cfg Config) {
				request(t, cfg.REST, http.MethodPatch, profilePath, mergePatch, overrides)
			},
			inForce: "ServiceProfile test/podinfo.test.svc.cluster.local says podinfo=90, podinfo-east=10",
		},
		{
			name: "a profile that is empty", ignore: []string{"SB004", "SB014"}, outcome: report.Pass,
			before: func(t *testing.T, _ *demo.Clusters, cfg Config) {
				request(t, cfg.REST, http.MethodPatch, profilePath, mergePatch, `{"spec":{"dstOverrides":null}}`)
			},
			inForce: "podinfo=1, podinfo-east=0",
		},
		{
			name: "no profile, because no adaptor writes it", ignore: []string{"SB003", "SB004"}, outcome: report.Pass,
			before: func(t *testing.T, _ *demo.Clusters, cfg Config) {
				request(t, cfg.REST, http.MethodDelete, profilePath, "", "")
			},
			inForce: "podinfo=1, podinfo-east=0",
		},
		{
			name: "a route that a profile comes before", ignore: []string{"SB004", "SB005", "SB021"}, split: "httproute/podinfo",
			before: func(t *testing.T, w *demo.Clusters, cfg Config) {
				mustDo(t, w.SetWeights(90, 10))
				request(t, cfg.REST, http.MethodPost, "/apis/gateway.networking.k8s.io/v1/namespaces/test/httproutes", "application/json",
					`{"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute","metadata":{"name":"podinfo","namespace":"test"},"spec":{`+
						`"parentRefs":[{"group":"core","kind":"Service","name":"podinfo","port":9898}],"rules":[{"backendRefs":[`+
						`{"name":"podinfo","port":9898,"weight":50},{"name":"podinfo-east","port":9898,"weight":50}]}]}}`)
			},
			inForce: "ServiceProfile test/podinfo.test.svc.cluster.local says podinfo=90, podinfo-east=10", outcome: report.Pass,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := world(t, demo.Options{Seed: 71})
			cfg := connect(t, w, 3000)
			tt.before(t, w, cfg)
			cfg.IgnoreChecks = tt.ignore
			if tt.split != "" {
				cfg.Query.Split = tt.split
			}
			r, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if r.Verdict.Outcome != report.Fail && r.Verdict.StatisticalOutcome != report.Fail || r.Backends[1].Weight != 50 {
				t.Errorf("%s %q (%s): %+v", r.Verdict.Outcome, r.Verdict.Reasons, r.Verdict.StatisticalOutcome, r.Backends)
			}
			if tt.inForce == "" {
				return
			}
			if r.InForce == nil || r.InForce.Outcome != tt.outcome {
				t.Fatalf("in force: %+v; %q", r.InForce, r.Verdict.Reasons)
			}
			var said strings.Builder
			for _, s := range r.Outline().Sections {
				for _, b := range s.Blocks {
					if p, ok := b.(report.Paragraph); ok {
						said.WriteString(string(p) + "\n")
					}
				}
			}
			if !strings.Contains(said.String(), tt.inForce) || !strings.Contains(said.String(), "is no verdict of the split") {
				t.Errorf("it says %s", &said)
			}
			again, err := judge.Analyze(latest(t, cfg.ResultsDir), nil)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(r.InForce, again.InForce); d != "" {
				t.Errorf("live and stored differ (-live +stored):\n%s", d)
			}
		})
	}
}

// A profile that is edited by hand while the split is watched is no change of the split: what differs is named.
func TestAProfileEditedByHandIsDrift(t *testing.T) {
	t.Parallel()
	const says = "the split differs from its profile: ServiceProfile test/podinfo.test.svc.cluster.local says podinfo=90," +
		"podinfo-east=10, the split says podinfo=50,podinfo-east=50"
	check := func(t *testing.T, r report.Report, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if r.Verdict.Outcome != report.Invalid || !strings.Contains(strings.Join(r.Verdict.Reasons, "\n"), says) {
			t.Errorf("%s %q", r.Verdict.Outcome, r.Verdict.Reasons)
		}
		remedies := strings.Join(r.Verdict.Remedies, "\n")
		if strings.Contains(remedies, "another watch") || !strings.Contains(remedies, "kubectl") {
			t.Errorf("remedies %q", remedies)
		}
	}
	t.Run("watch", func(t *testing.T) {
		t.Parallel()
		w := world(t, demo.Options{Seed: 72})
		cfg := watchOf(t, w)
		cfg.For = time.Minute
		atLook(&cfg, 4, func(WatchState) { request(t, cfg.REST, http.MethodPatch, profilePath, mergePatch, overrides) })
		r, err := Watch(t.Context(), cfg)
		check(t, r, err)
	})
	t.Run("run", func(t *testing.T) {
		t.Parallel()
		w := world(t, demo.Options{Seed: 73})
		cfg := connect(t, w, 3000)
		whenSending(&cfg, func() { request(t, cfg.REST, http.MethodPatch, profilePath, mergePatch, overrides) })
		r, err := Run(t.Context(), cfg)
		check(t, r, err)
	})
}
