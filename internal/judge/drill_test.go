package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
)

// A stray loss is no failover: limits that it keeps to are no pass, limits that it breaks are a fail.
func TestAStrayLossIsNoFailover(t *testing.T) {
	t.Parallel()
	for allowed, want := range map[int64]string{10: report.Inconclusive, 0: report.Fail} {
		outage := 5 * time.Second
		j := drillJudge{doc: &draft{Report: report.Report{Verdict: report.Verdict{Outcome: report.Measured}}}, d: &report.Drill{Lost: 1}, facts: &record.DrillFacts{MaxLost: &allowed, MaxOutage: &outage}}
		j.m.Weights = analyze.Weights{{Backend: "podinfo", W: 50}, {Backend: "podinfo-east", W: 50}}
		for i := range 3000 {
			at := time.Duration(i) * 20 * time.Millisecond
			s := Shot{Shot: analyze.Shot{Sent: at, Done: at + 2*time.Millisecond, Backend: int(drawn(i, 50))}}
			if i == 1500 {
				s.kind, s.Lost, s.Backend = "timeout", true, -1
			}
			j.shots = append(j.shots, s)
		}
		if j.judge(); j.doc.Verdict.Outcome != want || len(j.d.Failovers) != 0 {
			t.Errorf("%d lost are allowed: %s with %d failovers, want %s", allowed, j.doc.Verdict.Outcome, len(j.d.Failovers), want)
		}
	}
}

// What to break is found in the cluster and the namespace of a backend, and the command can be pasted whatever their
// names are.
func TestWhatToBreakIsFound(t *testing.T) {
	t.Parallel()
	local := law.Backend{Name: "web", Weight: 1, Service: law.Service{Namespace: "shop"}}
	mirror := law.Backend{Name: "web-east", Weight: 1, Mirror: &law.Mirror{Context: "e; x", Remote: "far/web"}}
	none := law.Backend{Name: "old", Service: law.Service{Namespace: "shop"}}
	for name, c := range map[string]struct {
		backends []law.Backend
		context  string
		want     string
	}{
		"local first": {
			[]law.Backend{none, mirror, local},
			"we'st",
			`of web, by scaling it to 0; to find it: kubectl --context 'we'\''st' -n shop get deployments`,
		},
		"mirrors only": {
			[]law.Backend{mirror},
			"west",
			"of web-east, by scaling it to 0; to find it: kubectl --context 'e; x' -n far get deployments",
		},
		"no context":       {[]law.Backend{local}, "", "to find it: kubectl -n shop get deployments"},
		"nothing is known": {[]law.Backend{none}, "west", report.RemedyBreak},
	} {
		s := law.Snapshot{Backends: c.backends, Clusters: []law.Cluster{{Role: "client", Context: c.context}}}
		if got := remedyBreak(&s); !strings.HasSuffix(got, c.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}
