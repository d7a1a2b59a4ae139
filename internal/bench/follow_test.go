package bench

import (
	"testing"

	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/report"
)

// A backend that was added while a drill runs draws requests that no weight of the plan tells: the weights are not
// known then.
func TestWeightsWithAnAddedBackendAreNotKnown(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 61})
	cfg := connect(t, w, 100)
	d := &drillRun{cfg: DrillConfig{Config: cfg}, run: newRun(cfg, report.KindDrill)}
	if err := d.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := d.weightsNow(t.Context()); len(now) != 2 || now[0].W != 50 || now[1].W != 50 {
		t.Errorf("before: %v", now)
	}
	const backends = `[{"service":"podinfo","weight":50},{"service":"podinfo-east","weight":50},{"service":"frontend","weight":50}]`
	const authorities = `[{"authority":"podinfo.test.svc.cluster.local","weight":"50"},` +
		`{"authority":"podinfo-east.test.svc.cluster.local","weight":"50"},{"authority":"frontend.test.svc.cluster.local","weight":"50"}]`
	const test = "/namespaces/test/"
	request(t, cfg.REST, "PATCH", "/apis/split.smi-spec.io/v1alpha2"+test+"trafficsplits/podinfo",
		"application/merge-patch+json",
		`{"spec":{"backends":`+backends+`}}`)
	request(t, cfg.REST, "PATCH", "/apis/linkerd.io/v1alpha2"+test+"serviceprofiles/podinfo.test.svc.cluster.local",
		"application/merge-patch+json",
		`{"spec":{"dstOverrides":`+authorities+`}}`)
	if now := d.weightsNow(t.Context()); now != nil {
		t.Errorf("with a third backend: %v", now)
	}
}
