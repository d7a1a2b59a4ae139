package preflight

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/internal/law"
)

// planted is a fault as test/cluster or the demo's world can plant it, with everything that comes with it there.
type planted struct {
	name, root string
	plant      func(*world)
}

// world is what is planted, and what of it no object says.
type world struct {
	View
	dead    bool // nothing arrives in east
	refused bool // podinfo in east answers 403
	stale   bool // the client's proxy follows the default route
	direct  bool // connections of the client go around its proxy
}

// ask has the source pod see what it would.
func (w *world) ask() {
	p, east := answers(), w.Backends[1]
	w.Probed = p
	lost := !w.Source.Meshed || w.direct || w.Facts.SocketLB.InPods
	switch {
	case w.Split.Profile.Overrides == 0:
		p.Path.Draws = map[string]int64{"podinfo": 20, "podinfo-east": 0}
	case w.dead || !east.Service.Found:
		p.Path.Draws = map[string]int64{"podinfo": 20, "podinfo-east": 0}
	}
	if w.stale {
		p.Path.Path, p.Path.Draws = "default", map[string]int64{"podinfo": 20, "podinfo-east": 0}
	}
	both := func(a Answer) { p.Direct["podinfo-east"] = []Answer{a, a} }
	switch {
	case !east.Service.Found:
		p.Direct, p.TLS = nil, nil
	case lost:
		both(Answer{Empty: true, Error: "EOF"})
	case w.dead:
		both(Answer{Status: 503, Header: map[string][]string{"L5d-Proxy-Error": {"route default.http: service unavailable"}}})
	case w.refused:
		both(Answer{Status: 403})
	}
	if lost {
		p.Path, p.TLS = PathSeen{Why: "no counter of the root's requests moved"}, nil
	}
	if !w.Source.Meshed {
		p.Ready = nil
	}
}

// plants are the faults that are planted in twos. Each leaves what the API servers say as a real Linkerd edge-26.8.3 or the two
// clusters of the tests did.
func plants() []planted {
	east := func(v *world) *law.Backend { return &v.Backends[1] }
	return []planted{
		{"split deleted, profile emptied", "SB031", func(v *world) { v.Split.Found = false; emptyProfile(v) }},
		{"adaptor scaled to nothing", "SB003", func(v *world) { v.Facts.Adaptor.Available = false }},
		{"profile edited", "SB004", func(v *world) {
			v.Split.Differs, v.Split.Effective = true, []law.Weight{{Service: "podinfo", Weight: 90}, {Service: "podinfo-east", Weight: 50}}
		}},
		{"profile emptied", "SB004", func(v *world) { emptyProfile(v) }},
		{"two splits of one root", "SB005", func(v *world) { v.Split.Rivals = []string{"ts/second"} }},
		{"profile of the client's namespace", "SB006", func(v *world) { v.Split.Profile.Namespace = "web" }},
		{"port missing in the mirror", "SB009", func(v *world) {
			east(v).Service.Ports = []law.Port{{Name: "grpc", Port: 9999}}
			v.dead = true
		}},
		{"mirror deleted", "SB010", func(v *world) {
			gone(east(v))
			east(v).Mirror.Slices, east(v).Mirror.SliceIdentities, east(v).Mirror.GatewayIdentity = law.Absent, nil, ""
		}},
		{"export withdrawn", "SB010", func(v *world) { east(v).Mirror.RemoteExported = false }},
		{"east at 0", "SB008", func(v *world) {
			m := east(v).Mirror
			m.RemoteReady, m.Slices, m.SliceIdentities = 0, law.Absent, nil
			east(v).Endpoints, east(v).RemotePods, east(v).Pods = nil, []string{}, law.PodSet{Sight: law.Seen}
			v.dead = true
		}},
		{"gateway moved", "SB011", func(v *world) { v.Gateways[0].Addresses = []string{"192.0.2.20"}; v.dead = true }},
		{"gateway moved, its probe dead", "SB011", func(v *world) {
			v.Gateways[0].Addresses = []string{"192.0.2.20"}
			for i := range east(v).Endpoints {
				east(v).Endpoints[i].Ready = false
			}
			v.dead = true
		}},
		{"probe of the gateway dead", "SB012", func(v *world) {
			for i := range east(v).Endpoints {
				east(v).Endpoints[i].Ready = false
			}
			v.dead = true
		}},
		{"gateway refuses the way, and no object says so", "SB012", func(v *world) { v.dead = true }},
		{"identity of another Link", "SB013", func(v *world) { v.Links[0].GatewayIdentity = "old.example"; v.dead = true }},
		{"trust anchors differ", "SB013", func(v *world) {
			v.Facts.Anchors[1].Fingerprints = []string{"bb"}
			v.dead = true
		}},
		{"weight that nobody can read", "SB014", func(v *world) {
			v.Split.WeightErr = &law.WeightError{Object: "TrafficSplit test/podinfo", Field: "spec.backends[1].weight", Raw: "abc", Why: "no number"}
		}},
		{"Cilium balances at connect()", "SB019", func(v *world) {
			v.Facts.SocketLB = law.SocketLB{Sight: law.Seen, Object: "ConfigMap kube-system/cilium-config", InPods: true, Settings: "x"}
		}},
		{"port goes around the proxy", "SB018", func(v *world) {
			v.Source.SkipOutbound, v.direct = "9898", true
		}},
		{"proxy follows what it looked up before", "SB001", func(v *world) { v.stale = true }},
		{"backend refuses", "SB025", func(v *world) { v.refused = true }},
		{"mirror that nobody writes", "SB039", func(v *world) {
			east(v).Endpoints, v.Links[0].Controller.Available, v.dead = nil, false, true
		}},
		{"exec not allowed", "SB027", func(v *world) { v.Access[0].Allowed = false }},
		{"client outside the mesh", "SB002", func(v *world) {
			v.Source.Meshed, v.Source.ProxyReady = false, false
		}},
	}
}

// emptyProfile is what the SMI adaptor leaves of a ServiceProfile when a TrafficSplit is deleted: nothing is split, and a proxy that
// followed the profile counts on its path as before.
func emptyProfile(v *world) {
	v.Split.Profile.Overrides, v.Split.Differs = 0, true
	v.Split.Profile.LastWritten = v.Source.ProxyStartedAt.Add(time.Hour)
	v.Split.Effective = []law.Weight{{Service: "podinfo", Weight: 1}, {Service: "podinfo-east"}}
	v.Law = law.Law{Path: law.PathDefault, NullModel: law.RandomPerRequest, Backends: []law.Leaf{{Name: "podinfo", Weight: 1, Probability: 1}}}
}

// hidden is faults that cannot be seen beside others: what is there is then laid to the others alone.
type hidden struct {
	beside, faults []string
	why            string
}

func hiddenFaults() []hidden {
	const (
		deleted, adaptor, edited, emptied = "split deleted, profile emptied", "adaptor scaled to nothing", "profile edited", "profile emptied"
		two, client, weight, stale        = "two splits of one root", "profile of the client's namespace", "weight that nobody can read", "proxy follows what it looked up before"
		mirror, export, port, none        = "mirror deleted", "export withdrawn", "port missing in the mirror", "east at 0"
		moved, movedDead, probe, way      = "gateway moved", "gateway moved, its probe dead", "probe of the gateway dead", "gateway refuses the way, and no object says so"
		identity, anchors, refuses        = "identity of another Link", "trust anchors differ", "backend refuses"
		kept                              = "mirror that nobody writes"
		cilium, around, outside           = "Cilium balances at connect()", "port goes around the proxy", "client outside the mesh"
	)
	list := func(names ...string) []string { return names }
	return []hidden{
		{list(deleted), list(adaptor, edited, emptied, two, weight, stale), "nothing is left to copy, to compare or to follow"},
		{list(adaptor, two, client, weight), list(edited, emptied), "each explains a profile that says something else"},
		{list(edited), list(emptied), "one check, one root"},
		{list(emptied), list(stale), "no profile splits, so no path of a proxy is stale"},
		{list(mirror), list(export, port, moved, movedDead, probe, way, identity), "a mirror that is not there leads nowhere, and none that is wrong"},
		{list(none), list(moved, movedDead, probe, way), "the service mirror takes the addresses away, and nothing is sent"},
		{list(port), list(way), "either explains that nothing arrives"},
		{list(moved, movedDead, identity, anchors), list(probe, way), "each explains that nothing arrives"},
		{list(probe), list(way), "one check, one root"},
		{list(mirror, port, none, moved, movedDead, probe, way, identity, anchors), list(refuses), "what does not arrive is not refused"},
		{list(cilium, around, outside), list(moved, way, refuses, stale), "only requests show it, and none comes that far"},
		{list(kept), list(mirror, probe, way, refuses), "who does not write the mirror explains what it lacks"},
		{list(none), list(kept), "a mirror of nothing is empty, whoever writes it: a remark"},
		{list(outside), list(around), "it has no proxy to go around"},
	}
}

func hides(a, b string) bool {
	return slices.ContainsFunc(hiddenFaults(), func(h hidden) bool { return slices.Contains(h.beside, a) && slices.Contains(h.faults, b) })
}

// TestPairsOfFaults plants every two faults at once. Both are named as root causes and nothing else is, but where one hides the other.
func TestPairsOfFaults(t *testing.T) {
	all := plants()
	for i, a := range all {
		for j, b := range all {
			if i == j {
				continue
			}
			v := world{View: View{Snapshot: healthy()}}
			a.plant(&v)
			b.plant(&v)
			v.ask()
			want := []string{a.root, b.root}
			if hides(a.name, b.name) {
				want = []string{a.root}
			}
			if hides(b.name, a.name) {
				want = []string{b.root}
			}
			slices.Sort(want)
			if got := roots(Run(v.View)); !slices.Equal(got, slices.Compact(want)) {
				t.Errorf("%s, then %s: %s, want %s", a.name, b.name, strings.Join(got, " "), strings.Join(want, " "))
			}
		}
	}
}

// TestSingleFaults plants each by itself: one root cause.
func TestSingleFaults(t *testing.T) {
	for _, p := range plants() {
		v := world{View: View{Snapshot: healthy()}}
		p.plant(&v)
		v.ask()
		if got := roots(Run(v.View)); !slices.Equal(got, []string{p.root}) {
			t.Errorf("%s: %s, want %s", p.name, strings.Join(got, " "), p.root)
			for _, r := range Run(v.View) {
				if r.Status == Failed {
					t.Logf("%s %s (caused by %q)", r.ID, r.Seen, r.CausedBy)
				}
			}
		}
	}
}

// roots are what failures come from: themselves, or what they say.
func roots(results []Result) []string {
	var out []string
	for _, r := range results {
		if r.Status == Failed {
			out = append(out, cmp.Or(r.CausedBy, r.ID))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
