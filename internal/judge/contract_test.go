package judge

import (
	"math"
	"testing"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/report"
)

// The example of the JSON contract, judged by package analyze itself. 17.9776 = 2 * 212^2 / 5000; ln p of it at one
// degree of freedom is -10.7086 (R 4.4: pchisq(17.9776, 1, lower=FALSE, log=TRUE)).
func TestContractExample(t *testing.T) {
	w, c := twoWeights(50, 50), analyze.Counts{N: []int64{5212, 4788}}
	for gate, want := range map[analyze.Gate]string{analyze.GateTolerance: report.Inconclusive, analyze.GateChiSquare: report.Fail} {
		o := analyze.DefaultOptions()
		o.Gate, o.Tolerance = gate, analyze.Tolerance{Points: 2}
		r, err := AnalyzeCounts(w, c, o)
		if err != nil {
			t.Fatal(err)
		}
		if r.Verdict.Outcome != want || r.Verdict.Gate != string(gate) {
			t.Errorf("gate %s: outcome %s of gate %s, want %s", gate, r.Verdict.Outcome, r.Verdict.Gate, want)
		}
		p := r.GoodnessOfFit.Pearson
		if p.Statistic == nil || math.Abs(*p.Statistic-17.9776) > 1e-9 || p.DF != 1 {
			t.Errorf("statistic %v, df %d, want 17.9776 and 1", p.Statistic, p.DF)
		}
		if p.Asymptotic == nil || math.Abs(*p.Asymptotic.LnP+10.7086) > 1e-4 {
			t.Errorf("asymptotic %+v, want ln p -10.7086", p.Asymptotic)
		}
		if p.Exact == nil || p.Exact.LnP == nil || p.Exact.Method != "exact" {
			t.Errorf("exact %+v", p.Exact)
		}
		if len(r.Verdict.Reasons) == 0 || len(r.Verdict.Reasons) != len(r.Verdict.ReasonCodes) || len(r.Verdict.Remedies) == 0 {
			t.Errorf("reasons %q, codes %q, remedies %q", r.Verdict.Reasons, r.Verdict.ReasonCodes, r.Verdict.Remedies)
		}
	}
}
