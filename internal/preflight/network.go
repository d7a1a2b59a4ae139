package preflight

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// meshChecks are about what takes the client's connections away from the split without a word.
func meshChecks() []Check {
	return []Check{
		{
			ID: "SB001", Category: "mesh", Name: "the client's proxy follows the split that is there now", Severity: Fatal, When: meshedClient,
			After: []string{"SB032", "SB002", "SB031", "SB004", "SB018", "SB019", "SB020"},
			Func:  followsWhatIsThere,
			Hint: func(s View) string {
				if s.Probed == nil {
					return "ask the proxy itself: add --probe; or give it a fresh start: " + restart(s, s.Source)
				}
				return "the proxy keeps the routes that it looked up first for as long as they are used; start it again: " + restart(s, s.Source)
			},
		},
		{
			ID: "SB017", Category: "mesh", Name: "proxies take the port for HTTP", Severity: Warn,
			After: []string{"SB034"}, Func: on(aboutRoot, portIsHTTP),
			Hint: opaqueHint,
		},
		{
			ID: "SB018", Category: "mesh", Name: "the port does not go around the proxy", Severity: Fatal, When: meshedClient,
			After: []string{"SB032"}, Func: on(aboutSource, portIsCaught),
			Hint: func(s View) string {
				return "take the port out of config.linkerd.io/skip-outbound-ports (and the address out of skip-subnets) of pod template and namespace, then " +
					restart(s, s.Source)
			},
		},
		{
			ID: "SB019", Category: "mesh", Name: "connections keep the cluster IP until the proxy has seen it", Severity: Fatal,
			Func: noSocketLB,
			Hint: func(s View) string {
				if strings.HasPrefix(s.Facts.SocketLB.Object, "Felix") {
					return "let Calico leave pods alone: " + kubectl(s, "", "patch", "felixconfiguration", "default", "--type=merge", "-p",
						`{"spec":{"bpfConnectTimeLoadBalancing":"Disabled"}}`)
				}
				return "let Cilium balance in host namespaces only, and start the pods again: helm upgrade cilium cilium/cilium --reuse-values --set socketLB.hostNamespaceOnly=true -n kube-system"
			},
		},
		{
			ID: "SB020", Category: "mesh", Name: "the cluster IPs are in Linkerd's networks", Severity: Fatal,
			After: []string{"SB034", "SB015", "SB007"}, Func: inNetworks,
			Hint: func(s View) string {
				if s.Facts.Networks.Sight != law.Seen {
					return "compare them by hand: " + kubectl(s, "linkerd", "get", "configmap", "linkerd-config", "-o", "yaml")
				}
				return "add the Services' network to clusterNetworks, and start the pods again: linkerd upgrade --set clusterNetworks=LIST | " +
					kubectl(s, "", "apply", "-f", "-")
			},
		},
	}
}

// covers reports whether a list of ports as Linkerd writes them, e.g. "25,587,3000-3100", holds the port.
func covers(list string, port int32) bool {
	for _, part := range strings.Split(list, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			high = low
		}
		a, errA := strconv.Atoi(low)
		b, errB := strconv.Atoi(high)
		if errA == nil && errB == nil && int(port) >= a && int(port) <= b {
			return true
		}
	}
	return false
}

// portIsCaught looks at the rules that send a pod's traffic to its proxy.
func portIsCaught(s View) (Status, string) {
	pods := []law.Pod{s.Source}
	if s.Through != nil {
		pods = s.Through.Pods
	}
	looked := 0
	for _, p := range pods {
		if p.Name == "" || !p.Meshed {
			continue
		}
		looked++
		ports, subnets, from := p.SkipOutbound, p.SkipSubnets, p.SkipFrom
		if ns, ok := s.Facts.Of(p.Namespace); ok && from == "annotations" {
			if ports == "" && ns.SkipOutbound != "" {
				ports, from = ns.SkipOutbound, "namespace "+ns.Name
			}
			if subnets == "" && ns.SkipSubnets != "" {
				subnets, from = ns.SkipSubnets, "namespace "+ns.Name
			}
		}
		name := "pod " + untrusted.Safe(p.Name)
		if s.Port != 0 && covers(ports, s.Port) {
			return Failed, fmt.Sprintf("%s: port %d goes around the proxy (skipped ports %s, by %s)", name, s.Port, untrusted.Safe(ports), untrusted.Safe(from))
		}
		if within(strings.Split(subnets, ","), s.Root.ClusterIP) == inside {
			return Failed, fmt.Sprintf("%s: %s goes around the proxy (skipped subnets %s, by %s)", name, untrusted.Safe(s.Root.ClusterIP),
				untrusted.Safe(subnets), untrusted.Safe(from))
		}
	}
	if looked == 0 {
		return Unknown, "there is no meshed pod whose rules could be read"
	}
	return OK, fmt.Sprintf("port %d is not among the ports that go around the proxy", s.Port)
}

// The answers of within.
type membership int

const (
	inside membership = iota
	outside
	unclear // the address or the networks cannot be read
)

func within(networks []string, address string) membership {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return unclear
	}
	some := false
	for _, n := range networks {
		prefix, err := netip.ParsePrefix(strings.TrimSpace(n))
		if err != nil {
			continue
		}
		some = true
		if prefix.Contains(addr) {
			return inside
		}
	}
	if !some {
		return unclear
	}
	return outside
}

func noSocketLB(s View) Finding {
	lb := s.Facts.SocketLB
	switch {
	case lb.Sight == "":
		return about(aboutMesh, Unknown, "the settings of the network plugin were not looked at")
	case lb.Sight == law.Unread:
		return about(aboutMesh, Unknown, lb.Object+" could not be read"+because(lb.Why))
	case lb.Sight == law.Absent:
		return about(aboutMesh, OK, "there is no "+lb.Object+", and no Calico that balances at connect()")
	case lb.InPods:
		return about(aboutRoot, Failed, lb.Object+" has pods' connections balanced at connect(): "+untrusted.Safe(lb.Settings))
	}
	return about(aboutRoot, OK, lb.Object+" leaves pods' connections alone: "+untrusted.Safe(lb.Settings))
}

func inNetworks(s View) Finding {
	n := s.Facts.Networks
	switch n.Sight {
	case law.Seen:
	case law.Absent:
		return about(aboutMesh, Unknown, "neither the proxy's environment nor "+n.Object+", which is not there, says which networks Linkerd serves")
	case law.Unread:
		return about(aboutMesh, Unknown, n.Object+" could not be read"+because(n.Why))
	default:
		return about(aboutMesh, Unknown, "the networks that Linkerd serves were not looked at")
	}
	f := newFindings()
	see := func(svc law.Service, tags ...string) {
		name := "Service " + serviceName(svc)
		switch {
		case !svc.Found:
			f.add(Unknown, name+" could not be compared: it is not there", tags...)
			return
		case svc.Headless || svc.ClusterIP == "":
			if slices.Contains(tags, aboutRoot) { // a backend needs none: proxies are sent to its endpoints
				f.add(Unknown, name+" has no cluster IP to compare", tags...)
			}
			return
		}
		switch within(n.CIDRs, svc.ClusterIP) {
		case inside:
			f.ok(fmt.Sprintf("%s of %s", untrusted.Safe(svc.ClusterIP), name))
		case outside:
			f.add(Failed, fmt.Sprintf("%s of %s is in none of %s (by %s): proxies pass it on unsplit", untrusted.Safe(svc.ClusterIP),
				name, list(n.CIDRs), n.Object), tags...)
		case unclear:
			f.add(Unknown, fmt.Sprintf("%q of %s cannot be compared with %s", untrusted.Safe(svc.ClusterIP), name, list(n.CIDRs)), tags...)
		}
	}
	see(s.Root, aboutRoot)
	for _, b := range s.Backends {
		if !b.IsRoot {
			see(b.Service, backendTags(b)...)
		}
	}
	return f.seen("")
}
