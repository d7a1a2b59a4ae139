package preflight

import (
	"slices"
	"testing"
	"time"

	"github.com/splitbench/splitbench/internal/law"
)

// rootCause plants one thing: the check of it is the root cause, and whatever else is not green because of it says so.
type rootCause struct {
	name  string
	plant func(*View)
	root  string
	also  []string // consequences
}

func rootCauses() []rootCause {
	return []rootCause{
		{"mirror Service gone", func(v *View) { gone(&v.Backends[1]) }, "SB010", []string{"SB007", "SB009", "SB011", "SB012", "SB013"}},
		{"split gone", func(v *View) { v.Split.Found = false }, "SB031", []string{"SB004", "SB005", "SB014", "SB016"}},
		{"split gone, and its root with it", func(v *View) {
			v.Split.Found = false
			v.Root = law.Service{Namespace: "test", Name: "podinfo"}
			gone(&v.Backends[0])
		}, "SB031", []string{"SB034", "SB015"}},
		{"service mirror down, and the mirror gone", func(v *View) { v.Links[0].Controller.Available = false; gone(&v.Backends[1]) }, "SB039", []string{"SB010", "SB007", "SB009"}},
		{"service mirror down, and the mirror empty", func(v *View) {
			unprobed(v)
			v.Links[0].Controller.Available, v.Backends[1].Endpoints = false, nil
		}, "SB039", []string{"SB012"}},
		{"adaptor down and profile stale", func(v *View) { v.Facts.Adaptor.Available, v.Split.Differs = false, true }, "SB003", []string{"SB004"}},
		{"gateway moved and dead", func(v *View) {
			v.Gateways[0].Addresses = []string{"192.0.2.20"}
			v.Backends[1].Endpoints[0].Ready = false
		}, "SB011", []string{"SB012"}},
		{"other cluster dead", func(v *View) {
			unprobed(v)
			v.Clusters[1].Problem, v.Clusters[1].SkewMs = "refused", nil
			m := v.Backends[1].Mirror
			m.RemoteFound, m.RemoteUnread = false, "refused"
			v.Backends[1].RemotePods, v.Backends[1].Pods = nil, law.PodSet{}
			v.Gateways[0] = law.Gateway{Cluster: "east", Context: "eu", Unread: "refused"}
			v.Facts.Anchors = v.Facts.Anchors[:1]
		}, "SB033", []string{"SB008", "SB010", "SB011", "SB012", "SB013", "SB022", "SB025", "SB026", "SB028", "SB036"}},
		{"balanced at connect(), not probed", func(v *View) {
			unprobed(v)
			v.Split.Profile.LastWritten = v.Source.ProxyStartedAt.Add(time.Hour)
			v.Facts.SocketLB = law.SocketLB{Sight: law.Seen, Object: "ConfigMap kube-system/cilium-config", InPods: true, Settings: "x"}
		}, "SB019", []string{"SB001"}},
		{"no dstOverrides, not probed", func(v *View) {
			unprobed(v)
			v.Split.Profile.Overrides = 0
			v.Split.Profile.LastWritten = v.Source.ProxyStartedAt.Add(time.Hour)
		}, "SB004", []string{"SB001"}},
		{"profiles may not be read", func(v *View) {
			v.Access[3].Allowed = false
			v.Split.Profile = law.Profile{State: law.ProfileUnread}
		}, "SB035", []string{"SB006"}},
		{"root headless", func(v *View) { unprobed(v); v.Root.Headless, v.Root.ClusterIP = true, "None" }, "SB015", []string{"SB020"}},
		{"dotted name of a mirror", func(v *View) {
			v.Split.Declared[1].Service, v.Backends[1].Name = "podinfo-east.prod", "podinfo-east.prod"
			gone(&v.Backends[1])
		}, "SB016", []string{"SB007", "SB008", "SB009", "SB010", "SB011", "SB012", "SB013"}},
		{"root gone, which may have been a mirror", func(v *View) {
			unprobed(v)
			v.Root = law.Service{Namespace: "test", Name: "podinfo"}
			gone(&v.Backends[0])
		}, "SB034", []string{"SB007", "SB009", "SB010", "SB020"}},
		{"rules of a cluster that does not answer", func(v *View) {
			v.Clusters[1].Problem = "refused"
			v.Access = append(v.Access, law.Access{Cluster: "east", Verb: "list", Resource: "services", Namespace: "test"})
		}, "SB033", []string{"SB035"}},
		{"dotted name", func(v *View) {
			v.Split.Declared[1].Service, v.Backends[1].Name = "podinfo.prod", "podinfo.prod"
			gone(&v.Backends[1])
			v.Backends[1].Mirror = nil
		}, "SB016", []string{"SB007", "SB008"}},
	}
}

func TestRootCauses(t *testing.T) {
	for _, row := range rootCauses() {
		t.Run(row.name, func(t *testing.T) {
			v := View{Snapshot: healthy(), Probed: answers()}
			row.plant(&v)
			results := Run(v)
			if r := result(t, results, row.root); r.Status == OK || r.CausedBy != "" {
				t.Errorf("%+v", r)
			}
			for _, id := range row.also {
				if r := result(t, results, id); r.Status == OK || r.CausedBy != row.root {
					t.Errorf("%+v", r)
				}
			}
			for _, r := range results {
				if r.Status == Failed && r.ID != row.root && r.CausedBy != row.root {
					t.Errorf("failed for itself: %+v", r)
				}
			}
		})
	}
}

// Every link of After can come true: of the recorded faults, one of the cause and one of the effect are about the same thing.
func TestEveryLinkIsReachable(t *testing.T) {
	found := map[string][]Finding{}
	see := func(v View) {
		for _, c := range Checks() {
			if c.When == nil || c.When(v) {
				found[c.ID] = append(found[c.ID], c.Func(v))
			}
		}
	}
	for _, row := range faults() {
		s := healthy()
		row.plant(&s)
		see(View{Snapshot: s})
	}
	for _, row := range viewFaults() {
		v := View{Snapshot: healthy(), Probed: answers()}
		row.plant(&v)
		see(v)
	}
	for _, row := range rootCauses() {
		v := View{Snapshot: healthy(), Probed: answers()}
		row.plant(&v)
		see(v)
	}
	for _, c := range Checks() {
		for _, id := range c.After {
			if !slices.ContainsFunc(found[id], func(cause Finding) bool {
				return slices.ContainsFunc(found[c.ID], func(effect Finding) bool { return explains(cause, effect) })
			}) {
				t.Errorf("%s never follows from %s", c.ID, id)
			}
		}
	}
}

// A missing rule does not explain a profile that was seen and hides the split, nor a rule of Services one that was not seen.
func TestMissingRuleDoesNotHideAProfile(t *testing.T) {
	v := View{Snapshot: healthy(), Probed: answers()}
	v.Access[3].Allowed = false
	v.Split.Profile.Namespace = "web"
	if r := result(t, Run(v), "SB006"); r.Status != Failed || r.CausedBy != "" {
		t.Errorf("%+v", r)
	}
	v.Access[2].Allowed, v.Access[3].Allowed = false, true
	v.Split.Profile.State = law.ProfileUnread
	if r := result(t, Run(v), "SB006"); r.Status != Unknown || r.CausedBy != "" {
		t.Errorf("%+v", r)
	}
}

// That nobody could look at the network plugin and the networks is not why the pod was not asked.
func TestUnreadNetworkExplainsNoProxy(t *testing.T) {
	v := View{Snapshot: healthy()}
	v.Split.Profile.LastWritten = v.Source.ProxyStartedAt.Add(time.Hour)
	v.Facts.SocketLB.Sight, v.Facts.Networks.Sight = law.Unread, law.Unread
	if r := result(t, Run(v), "SB001"); r.Status != Unknown || r.CausedBy != "" {
		t.Errorf("%+v", r)
	}
}

// What the proxy's own counters show stands for itself: a split that the profile does not agree with has not made the proxy stale.
func TestCountersStandForThemselves(t *testing.T) {
	v := View{Snapshot: healthy(), Probed: answers()}
	v.Split.Differs, v.Probed.Path.Path = true, "default"
	if r := result(t, Run(v), "SB001"); r.Status != Failed || r.CausedBy != "" {
		t.Errorf("%+v", r)
	}
}

// Two faults at once stay two root causes: a missing mirror does not explain why another backend's pods are down.
func TestTwoRootCauses(t *testing.T) {
	v := View{Snapshot: healthy()}
	gone(&v.Backends[1])
	v.Backends[0].Endpoints[0].Ready = false
	if r := result(t, Run(v), "SB008"); r.Status != Failed || r.CausedBy != "" {
		t.Errorf("%+v", r)
	}
}

// What explains what is a table without circles, of checks that are there.
func TestCausesAreATree(t *testing.T) {
	after := map[string][]string{}
	for _, c := range Checks() {
		after[c.ID] = c.After
	}
	var visit func(id string, path []string)
	visit = func(id string, path []string) {
		for _, p := range path {
			if p == id {
				t.Fatalf("a circle: %v", append(path, id))
			}
		}
		for _, next := range after[id] {
			if _, ok := after[next]; !ok {
				t.Errorf("%s is after %s, which does not exist", id, next)
			}
			visit(next, append(path[:len(path):len(path)], id))
		}
	}
	for id := range after {
		visit(id, nil)
	}
}

// To go on in spite of a cause is to go on in spite of what follows from it, and of nothing else.
func TestWaiverOfACause(t *testing.T) {
	v := View{Snapshot: healthy(), Probed: answers()}
	v.Gateways[0].Addresses = []string{"192.0.2.20"}
	unavailable(&v)
	v.Root.Headless = true
	results := Run(v)
	if unknown := Waive(results, []string{"SB011", "SB999", ""}, "--ignore-check"); len(unknown) != 2 {
		t.Errorf("unknown %q", unknown)
	}
	for id, want := range map[string]string{"SB011": "--ignore-check", "SB012": "--ignore-check", "SB008": "--ignore-check", "SB015": ""} {
		if r := result(t, results, id); r.Status != Failed || r.Waived != want {
			t.Errorf("%+v", r)
		}
	}
}
