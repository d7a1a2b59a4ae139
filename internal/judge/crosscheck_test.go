package judge

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/wire"
	"github.com/splitbench/splitbench/internal/witness"
)

// facts of a run of two backends whose proxy said these pages.
func crossCheckOf(before, after string, conns bool, n int64) (draft, crossCheck) {
	m := record.Manifest{
		Weights: analyze.Weights{{Backend: "podinfo", W: 50}, {Backend: "podinfo-east", W: 50}}, Options: analyze.DefaultOptions(),
		Before: &law.Snapshot{
			Root: law.Service{Namespace: "test", Name: "podinfo", Found: true}, Port: 9898,
			Law:    law.Law{Provider: law.ProviderLinkerd, Path: law.PathServiceProfile},
			Source: law.Pod{Name: "frontend-1", Workload: "--from deploy/frontend"},
			Backends: []law.Backend{
				{Name: "podinfo", Weight: 50, Service: law.Service{Namespace: "test", Name: "podinfo"}, Port: 9898},
				{Name: "podinfo-east", Weight: 50, Service: law.Service{Namespace: "test", Name: "podinfo-east"}, Port: 9898},
			},
		},
		Witness: &record.WitnessFacts{Kind: witness.Linkerd, Pods: []record.ProxyPages{{Before: []byte(before), After: []byte(after), ElapsedMs: 1000}}},
	}
	t := NewTally(2)
	var outcomes wire.Tally
	for i := range n {
		r := attack.Result{Seq: uint64(i), Backend: int16(i % 2), Status: 200, Conn: -1}
		if conns {
			r.Conn = int32(i / 10)
			r.Backend = int16(i / 10 % 2)
		}
		outcomes.Add(r)
		t.Add(r)
	}
	t.sorted()
	totals := wire.Totals{Requests: uint64(n), Tally: outcomes.Entries(), Reason: wire.ReasonDone}
	in := draft{counts: t.counts}
	return in, crossChecked(&in, m, t, totals)
}

func queue(kind string, west, east int) string {
	const parent = `parent_namespace="test",parent_name="podinfo",parent_port="9898",parent_kind="Service"`
	return fmt.Sprintf(`outbound_%s_balancer_queue_requests_total{%s,backend_namespace="test",backend_name="podinfo"} %d
outbound_%s_balancer_queue_requests_total{%s,backend_namespace="test",backend_name="podinfo-east"} %d
`, kind, parent, west, kind, parent, east)
}

// A proxy that draws again what failed makes its own draws what is judged.
func TestRetriesChangeTheUnit(t *testing.T) {
	t.Parallel()
	route := func(requests, attempts int) string {
		return fmt.Sprintf(`route_request_total{direction="outbound",dst="podinfo.test.svc.cluster.local:9898"} %d
route_actual_request_total{direction="outbound",dst="podinfo.test.svc.cluster.local:9898"} %d
`, requests, attempts)
	}
	in, got := crossCheckOf(queue("http", 0, 0), queue("http", 560, 540)+route(1000, 1100), false, 1000)
	if got.unit != witness.UnitDraw || !cmp.Equal(got.counts.N, []int64{560, 540}) || !cmp.Equal(in.counts.N, []int64{560, 540}) ||
		in.Witness.Unit != witness.UnitDraw || in.Witness.Retries != 100 || len(in.invalid) > 0 {
		t.Errorf("unit %q, counts %v, witness %+v, invalid %q", got.unit, got.counts, in.Witness, in.invalid)
	}
}

// A proxy that does not look into connections makes connections what is judged: 100 of 10 requests each.
func TestOpaquePortsChangeTheUnit(t *testing.T) {
	t.Parallel()
	in, got := crossCheckOf(queue("tcp", 0, 0), queue("tcp", 50, 50), true, 1000)
	if got.unit != witness.UnitConnection || !cmp.Equal(in.counts.N, []int64{50, 50}) || len(in.invalid) > 0 || got.ordered == nil || got.ordered.N != 100 {
		t.Errorf("unit %q, counts %v, invalid %q", got.unit, in.counts, in.invalid)
	}
	// Answers of different backends over one connection: something else draws.
	in, got = crossCheckOf(queue("tcp", 0, 0), queue("tcp", 50, 50), false, 1000)
	if len(in.invalid) != 1 {
		t.Errorf("unit %q, invalid %q", got.unit, in.invalid)
	}
}

// Answers that follow the weights over draws that do not are no pass.
func TestDrawsThatDoNotFollowTheWeights(t *testing.T) {
	t.Parallel()
	in, _ := crossCheckOf(queue("http", 0, 0), queue("http", 9000, 3000), false, 4000)
	if len(in.Diagnostics) != 1 || in.Diagnostics[0].OK || in.Diagnostics[0].Effect != report.EffectDowngrade || !in.Witness.Agrees ||
		in.Witness.Background != 8000 {
		t.Errorf("diagnostics %+v, witness %+v", in.Diagnostics, in.Witness)
	}
	if in, _ = crossCheckOf(queue("http", 0, 0), queue("http", 1000, 3000), false, 4000); in.Witness.Agrees || len(in.invalid) != 1 ||
		!strings.Contains(in.invalid[0], "podinfo answered 2000 requests, and the proxy drew it 1000 times") {
		t.Errorf("invalid %q", in.invalid)
	}
}
