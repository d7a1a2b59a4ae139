package record

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/wire"
)

// An answer that names a backend is that backend's whatever its status; one that names none is the proxy's own where its
// status is expected of the proxy alone.
func TestProxyAnswersAreToldByTheirStatus(t *testing.T) {
	t.Parallel()
	m := Manifest{
		Weights: analyze.Weights{{Backend: "v1", W: 70}, {Backend: "v2", W: 10}, {Backend: "v3", W: 10}, {Backend: "v4", W: 10}},
		Before: &law.Snapshot{Law: law.Law{Backends: []law.Leaf{
			{Name: "v1"}, {Name: "v2", ProxyStatus: 302}, {Name: "v3", ProxyStatus: 500}, {Name: "v4", ProxyStatus: 500},
		}}},
	}
	own := m.ProxyAnswers()
	for _, c := range []struct {
		name string
		r    attack.Result
		want int16
	}{
		{"a backend's own 302", attack.Result{Backend: 0, Status: 302}, 0},
		{"the proxy's redirect", attack.Result{Backend: attack.Unattributed, Status: 302}, 1},
		{"two parties of one status", attack.Result{Backend: attack.Unattributed, Status: 500}, attack.Unattributed},
		{"another status", attack.Result{Backend: attack.Unattributed, Status: 503}, attack.Unattributed},
		{"no answer", attack.Result{Backend: attack.Unattributed, Err: attack.ErrTimeout}, attack.Unattributed},
		{"half an answer", attack.Result{Backend: attack.Unattributed, Status: 302, Err: attack.ErrTimeout}, attack.Unattributed},
	} {
		if got := own.Tell(c.r).Backend; got != c.want {
			t.Errorf("%s: told to %d, want %d", c.name, got, c.want)
		}
	}
	counts := []wire.TallyEntry{
		{Backend: -1, Status: 302, Class: "ok", N: 7},
		{Backend: -1, Status: 302, Class: "timeout", N: 1},
		{Backend: 0, Status: 302, Class: "ok", N: 2},
		{Backend: -1, Status: 500, Class: "ok", N: 3},
	}
	told := own.TellAll(wire.Totals{Tally: counts}).Tally
	var to []int16
	for _, e := range told {
		to = append(to, e.Backend)
	}
	if d := cmp.Diff([]int16{1, -1, 0, -1}, to); d != "" {
		t.Error(d)
	}
	if counts[0].Backend != -1 {
		t.Error("the totals themselves were changed")
	}
}
