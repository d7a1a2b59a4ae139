package judge

import (
	"testing"
	"time"

	"github.com/splitbench/splitbench/analyze"
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
