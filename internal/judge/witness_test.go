package judge

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/wire"
	"github.com/splitbench/splitbench/internal/witness"
)

func splitSnapshot() law.Snapshot {
	return law.Snapshot{
		Root: law.Service{Namespace: "test", Name: "podinfo", Found: true}, Port: 9898,
		Law:    law.Law{Provider: law.ProviderLinkerd, Path: law.PathServiceProfile, NullModel: law.RandomPerRequest},
		Source: law.Pod{Name: "frontend-1", Workload: "--from deploy/frontend"},
		Backends: []law.Backend{
			{Name: "podinfo", Weight: 50, Service: law.Service{Namespace: "test", Name: "podinfo"}, Port: 9898},
			{Name: "podinfo-east", Weight: 50, Service: law.Service{Namespace: "test", Name: "podinfo-east"}, Port: 9898},
		},
	}
}

// Of several pods the one whose proxy is at fault is named, and only that one.
func TestTheStalePodIsNamed(t *testing.T) {
	t.Parallel()
	profile := func(n int) string {
		return queue("http", n/2, n/2) + fmt.Sprintf("route_request_total{direction=\"outbound\",dst=\"podinfo.test.svc:9898\"} %d\n", n)
	}
	stale := queue("http", 1000, 0) + `outbound_http_route_backend_requests_total{parent_kind="Service",parent_namespace="test",` +
		`parent_name="podinfo",parent_port="9898",route_kind="default",route_name="http",backend_namespace="test",backend_name="podinfo"} 1000` + "\n"
	snap := splitSnapshot()
	facts := &record.WitnessFacts{Kind: witness.Linkerd, Pods: []record.ProxyPages{
		{Pod: "frontend-a", After: []byte(profile(1000))}, {Pod: "frontend-b", After: []byte(stale)}, {Pod: "frontend-c", After: []byte(profile(1000))},
	}}
	m := record.Manifest{Before: &snap, Witness: facts, Plan: attack.Plan{Requests: 3000}}
	fs := proxiesOf(facts, m, 3000).findings(witness.TargetOf(snap), law.PathServiceProfile, 3000)
	if len(fs) != 1 || fs[0].Code != witness.CodeStalePath || !strings.Contains(fs[0].Text, "of the 3 pods that send only: frontend-b)") {
		t.Errorf("%+v", fs)
	}
}

// connectionsRun is a run of n requests, ten on each connection or one, over an opaque port, whose pod also calls
// podinfo-east past the split.
func connectionsRun(n int, alone bool) (draft, crossCheck) {
	snap := splitSnapshot()
	m := record.Manifest{
		Kind:    report.KindSplit,
		Weights: analyze.Weights{{Backend: "podinfo", W: 50}, {Backend: "podinfo-east", W: 50}}, Options: analyze.DefaultOptions(),
		Before: &snap, Witness: &record.WitnessFacts{Kind: witness.Linkerd},
	}
	per := 10
	if alone {
		per = 1
		m.Plan.Reuse = &attack.Reuse{MinRequests: 1, MaxRequests: 1}
		m.Sequential = &record.Sequential{Every: 100}
	}
	t, conns := NewTally(2), n/per
	for i := range n {
		t.Add(attack.Result{Seq: uint64(i), Backend: int16(i / per % 2), Status: 200, Conn: int32(i / per)})
	}
	t.sorted()
	const parent = `parent_kind="Service",parent_namespace="test",parent_port="9898"`
	page := queue("tcp", conns/2, conns/2) +
		fmt.Sprintf(`outbound_tcp_route_open_total{%s,parent_name="podinfo",route_kind="default",route_name="serviceprofile"} %d`+"\n", parent, conns) +
		fmt.Sprintf(`outbound_http_balancer_queue_requests_total{%s,parent_name="podinfo-east",backend_namespace="test",backend_name="podinfo-east"} 49`+"\n", parent) +
		`request_total{direction="outbound",authority="podinfo-east.test.svc.cluster.local:9898"} 49` + "\n"
	m.Witness.Pods = []record.ProxyPages{{Pod: "frontend-1", After: []byte(page)}}
	doc := draft{counts: t.counts}
	return doc, crossChecked(&doc, m, t, wire.Totals{Requests: uint64(n), Connections: int64(conns)})
}

// An opaque port is judged by connections, and what the pod sends past the split accuses nobody. With one request on
// each connection requests are connections, and looks of them hold: what SB017 advises.
func TestAnOpaquePort(t *testing.T) {
	t.Parallel()
	for _, alone := range []bool{false, true} {
		doc, seen := connectionsRun(1280, alone)
		w := doc.Witness
		if len(doc.invalid) > 0 || seen.unit != witness.UnitConnection || !w.Agrees || !w.Undisturbed || w.Background != 0 ||
			len(w.Draws) != 2 || w.Draws[1].Direct != 49 || w.Draws[1].Drawn != w.Draws[1].Answered {
			t.Errorf("one request on each: %v: invalid %q, unit %s, witness %+v", alone, doc.invalid, seen.unit, w)
		}
		if want := map[bool]int64{false: 64, true: 640}[alone]; doc.counts.N[1] != want {
			t.Errorf("%d connections are counted for podinfo-east, want %d", doc.counts.N[1], want)
		}
	}
}

// Answers of status 400 and 409 that name nobody are errors of the load; those of a backend are its answers.
func TestClientErrorsThatNameNobody(t *testing.T) {
	t.Parallel()
	tally := NewTally(2)
	for i, status := range []uint16{200, 409, 400, 409, 500} {
		r := attack.Result{Seq: uint64(i), Backend: attack.Unattributed, Status: status}
		if i < 2 {
			r.Backend = int16(i)
		}
		tally.Add(r)
	}
	tally.sorted()
	doc := draft{counts: tally.counts}
	doc.take(attack.Plan{}, wire.Totals{}, tally)
	doc.sent()
	if doc.Load.Errors != 3 || doc.Load.Requests != 5 {
		t.Errorf("%d errors of %d requests", doc.Load.Errors, doc.Load.Requests)
	}
}

// A change of something else than the weights is no change that the data plane follows.
func TestNoPropagationWithoutAChange(t *testing.T) {
	t.Parallel()
	snap := splitSnapshot()
	snap.Split.Effective = law.Weights{{Service: "podinfo", Weight: 50}, {Service: "podinfo-east", Weight: 50}}
	tally := NewTally(2)
	for i := range 200 { // one side first, then the other
		tally.Add(attack.Result{Seq: uint64(i), Backend: int16(i / 100), Status: 200, Sent: time.Duration(i) * time.Millisecond})
	}
	tally.sorted()
	if text := propagation(record.Manifest{Before: &snap, After: &snap}, tally); text != "" {
		t.Errorf("%q", text)
	}
}

// A proxy that was restarted before the first request is said to have been, and so is a write before it.
func TestChangesBeforeTheBurst(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 11, 28, 20, 0, 0, 0, time.UTC)
	totals := wire.Totals{StartedUnixNs: began.UnixNano()}
	for _, tt := range []struct {
		started time.Time
		before  bool
	}{{began.Add(-3 * time.Second), true}, {began.Add(2 * time.Second), false}} {
		before, after := splitSnapshot(), splitSnapshot()
		before.Source.Meshed, after.Source.Meshed = true, true
		after.Source.ProxyRestarts, after.Source.ProxyStartedAt = 1, tt.started
		changes := law.Changes(before, after)
		if len(changes) != 1 || beforeBurst(changes[0], record.Manifest{After: &after}, totals) != tt.before {
			t.Errorf("%s: %v", tt.started, changes)
		}
	}
	m := record.Manifest{
		Moves: []record.Move{{At: began.Add(-2 * time.Second), What: "Service podinfo", Before: "a", After: "b"}},
		Clock: record.Clock{Known: true},
	}
	if said := moved(m, nil, totals); len(said) != 1 || !strings.HasSuffix(said[0], "(2s before the burst's start)") {
		t.Errorf("%q", said)
	}
}
