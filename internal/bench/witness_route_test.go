package bench

import (
	"strings"
	"testing"

	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/report"
)

// An HTTPRoute's draws are counted by the route, and a proxy that does not obey it yet shows by the default route's
// counter.
func TestTheSecondWitnessOfARoute(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		world   demo.Options
		outcome string
		path    law.Path
	}{
		{"obeyed", demo.Options{Seed: 12, Route: true}, report.Pass, law.PathHTTPRoute},
		{"cached", demo.Options{Seed: 18, Route: true, StalePath: true}, report.Invalid, law.PathDefault},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := connect(t, world(t, tt.world), 3000)
			cfg.Query.Split = "httproute/podinfo"
			r, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if r.Verdict.Outcome != tt.outcome || r.Witness == nil || !r.Witness.Agrees || r.Witness.Path != string(tt.path) {
				t.Errorf("outcome %s, reasons %q, witness %+v", r.Verdict.Outcome, r.Verdict.Reasons, r.Witness)
			}
			if remedies := strings.Join(r.Verdict.Remedies, "\n"); tt.outcome == report.Invalid && !strings.Contains(remedies,
				"rollout restart deploy/frontend") {
				t.Errorf("remedies %q", remedies)
			}
		})
	}
}
