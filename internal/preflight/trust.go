package preflight

import (
	"fmt"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// trusted is about the two things that make a connection between the clusters mutual TLS: the name that the gateway proves, and
// an anchor that both sides trust.
func trusted(s View) Finding {
	f := newFindings()
	for _, b := range s.Backends {
		if b.Mirror == nil || !b.Service.Found {
			if b.Mirror != nil {
				f.add(Unknown, "there is no mirror Service "+serviceName(b.Service), backendTags(b)...)
			}
			continue
		}
		if b.Mirror.Mode == law.MirrorGateway {
			compareIdentity(s, f, b)
		}
		compareAnchors(s, f, b)
		if s.Probed != nil {
			if how := s.Probed.TLS[b.Mirror.Cluster]; how != "" && how != "true" {
				f.add(Failed, fmt.Sprintf("the proxy's connections to the gateway of cluster %s are not mutual TLS (%s)", untrusted.Safe(b.Mirror.Cluster), untrusted.Safe(how)), backendTags(b)...)
			}
		}
	}
	return f.seen(noMirrors)
}

// compareIdentity compares the gateway's name wherever it is written: by the gateway itself, in the Link, in the mirror's Endpoints
// and in the EndpointSlices, which proxies read.
func compareIdentity(s View, f *findings, b law.Backend) {
	name, m := "mirror Service "+serviceName(b.Service), b.Mirror
	if b.Unread != "" {
		f.add(Unknown, name+": its endpoints could not be read"+because(b.Unread), backendTags(b)...)
		return
	}
	if len(b.Endpoints) == 0 {
		f.add(Unknown, name+" has no endpoints that could name the gateway's identity", backendTags(b)...)
		return
	}
	if m.GatewayIdentity == "" {
		f.add(Failed, name+": its Endpoints do not name the gateway's identity: clients dial in plain text, and the gateway refuses them", backendTags(b)...)
		return
	}
	bad := false
	differs := func(where, id string) {
		bad = true
		f.add(Failed, fmt.Sprintf("%s names the gateway %s, %s %s", name, untrusted.Safe(m.GatewayIdentity), where, orNothing(id)), backendTags(b)...)
	}
	if l := linkOf(s, m.Cluster); l != nil && l.GatewayIdentity != "" && l.GatewayIdentity != m.GatewayIdentity {
		differs("Link "+untrusted.Safe(l.Name), l.GatewayIdentity)
	}
	if g := gatewayOf(s, m.Cluster); g != nil && g.Found && g.Identity != "" && g.Identity != m.GatewayIdentity {
		differs("the gateway itself", g.Identity)
	}
	switch {
	case m.Slices == law.Seen && !slices.Equal(m.SliceIdentities, []string{m.GatewayIdentity}):
		differs("an EndpointSlice of it", strings.Join(m.SliceIdentities, ", "))
	case m.Slices != law.Seen:
		f.add(Unknown, name+": its EndpointSlices could not be seen"+because(m.SlicesWhy), backendTags(b)...)
	case !bad:
		f.ok(name + " and gateway agree on the identity " + untrusted.Safe(m.GatewayIdentity))
	}
}

func orNothing(id string) string {
	if id == "" {
		return "names none"
	}
	return "names " + untrusted.Safe(id)
}

func compareAnchors(s View, f *findings, b law.Backend) {
	var own, other *law.TrustAnchors
	for i := range s.Facts.Anchors {
		a := &s.Facts.Anchors[i]
		switch {
		case a.Cluster == "client":
			own = a
		case a.Cluster == b.Mirror.Cluster:
			other = a
		}
	}
	cluster := untrusted.Safe(b.Mirror.Cluster)
	lacking := []string{}
	for who, a := range map[string]*law.TrustAnchors{"the client's cluster": own, "cluster " + cluster: other} {
		switch {
		case a == nil:
			lacking = append(lacking, who+" (not read)")
		case a.Sight == law.Absent:
			lacking = append(lacking, who+" (there is no ConfigMap "+untrusted.Safe(a.Namespace)+"/linkerd-identity-trust-roots)")
		case a.Sight != law.Seen:
			lacking = append(lacking, who+because(a.Why))
		}
	}
	if len(lacking) > 0 {
		slices.Sort(lacking)
		f.add(Unknown, "the trust anchors could not be compared; what is lacking: those of "+strings.Join(lacking, ", those of "), aboutCluster(b.Mirror.Cluster))
		return
	}
	shared := 0
	for _, fp := range own.Fingerprints {
		if slices.Contains(other.Fingerprints, fp) {
			shared++
		}
	}
	switch {
	case shared == 0:
		f.add(Failed, fmt.Sprintf("the client's cluster and cluster %s have no trust anchor in common (%s here, %s there)", cluster,
			short(own.Fingerprints), short(other.Fingerprints)), backendTags(b)...)
	case shared < len(own.Fingerprints) || shared < len(other.Fingerprints):
		f.add(Warning, fmt.Sprintf("the client's cluster and cluster %s share %d of %d and %d trust anchors: a rotation is under way, or was left half done", cluster,
			shared, len(own.Fingerprints), len(other.Fingerprints)), backendTags(b)...)
	default:
		f.ok(fmt.Sprintf("the client's cluster and cluster %s trust the same %d anchors", cluster, shared))
	}
}

// short is the beginning of fingerprints, enough to tell them apart.
func short(fingerprints []string) string {
	var out []string
	for _, fp := range fingerprints {
		out = append(out, fp[:min(12, len(fp))])
	}
	return list(out)
}

func trustHint(s View) string {
	for _, b := range s.Backends {
		if b.Mirror == nil {
			continue
		}
		if b.Mirror.Context == "" {
			return "name the other cluster's context: --remote-context " + word(b.Mirror.Cluster) + "=CONTEXT"
		}
		for _, a := range s.Facts.Anchors {
			if a.Sight != law.Seen {
				return "compare them where Linkerd is installed: linkerd --context " + word(clientContext(s)) + " multicluster check"
			}
		}
		return "give both clusters one trust anchor, then link them again: " + relink(s, b, "")
	}
	return ""
}

// credentialsPresent is about mirrors without a gateway: the control plane asks the other cluster for its pods, with credentials
// that must be in its own namespace.
func credentialsPresent(s View) Finding {
	f := newFindings()
	for _, b := range s.Backends {
		if b.Mirror == nil || b.Mirror.Mode == law.MirrorGateway || !b.Service.Found {
			continue
		}
		name := fmt.Sprintf("mirror Service %s (%s)", serviceName(b.Service), b.Mirror.Mode)
		if b.Mirror.Cluster == "" { // a federated Service has members in several clusters
			f.add(Unknown, name+": the credentials of its members' clusters are not looked at", backendTags(b)...)
			continue
		}
		secret := "Secret " + controlPlane(s) + "/cluster-credentials-" + untrusted.Safe(b.Mirror.Cluster)
		switch b.Mirror.Credentials {
		case law.Seen:
			f.ok(name + ": " + secret + " is there; that pods can be reached from pods is not seen")
		case law.Absent:
			f.add(Failed, name+": there is no "+secret+" of type mirror.linkerd.io/remote-kubeconfig, so proxies get no endpoints", backendTags(b)...)
		default:
			f.add(Unknown, name+": whether there is a "+secret+" could not be seen"+because(b.Mirror.CredentialsWhy), backendTags(b)...)
		}
	}
	return f.seen("no backend is mirrored without a gateway")
}

func controlPlane(s View) string {
	if s.Source.ControlPlane != "" {
		return untrusted.Safe(s.Source.ControlPlane)
	}
	return "linkerd"
}

func credentialsHint(s View) string {
	for _, b := range s.Backends {
		switch {
		case b.Mirror == nil || b.Mirror.Mode == law.MirrorGateway || b.Mirror.Cluster == "":
		case b.Mirror.Context == "":
			return "name the other cluster's context: --remote-context " + word(b.Mirror.Cluster) + "=CONTEXT"
		default:
			return "link the clusters again, which writes it: " + relink(s, b, " --gateway=false")
		}
	}
	return ""
}

// oneWay looks for a split of the mirrored Service in its own cluster, which the gateway there applies again.
func oneWay(s View) Finding {
	if n := s.Probed.count(func(a Answer) bool { return a.Status == 508 }); n > 0 {
		return about(aboutSplit, Failed, fmt.Sprintf("%d of %d probes went in a circle (status 508)", n, len(s.Probed.Root)))
	}
	f := newFindings()
	for _, b := range s.Backends {
		m := b.Mirror
		if m == nil || !b.Service.Found || m.Mode != law.MirrorGateway { // without a gateway nothing there asks for a profile again
			continue
		}
		name := fmt.Sprintf("Service %s in cluster %s", untrusted.Safe(m.Remote), untrusted.Safe(m.Cluster))
		switch {
		case m.Context == "" || m.RemoteUnread != "" || m.RemoteSplitWhy != "":
			f.add(Unknown, "whether "+name+" is split there too could not be seen"+because(m.RemoteSplitWhy), backendTags(b)...)
		case m.RemoteSplit == nil:
			f.ok(name + " is not split there")
		case len(m.RemoteSplit.Back) > 0:
			f.add(Warning, fmt.Sprintf("%s is split there too (%s: %s), and %s leads away again: shares multiply, and requests may go in a circle (508)",
				name, m.RemoteSplit.Object, m.RemoteSplit.Weights.String(), list(m.RemoteSplit.Back)), backendTags(b)...)
		default:
			f.add(Warning, fmt.Sprintf("%s is split there too (%s: %s): the share of %s is shared out once more", name, m.RemoteSplit.Object,
				m.RemoteSplit.Weights.String(), untrusted.Safe(b.Name)), backendTags(b)...)
		}
	}
	return f.seen("no backend is mirrored through a gateway")
}

func oneWayHint(s View) string {
	for _, b := range s.Backends {
		if b.Mirror == nil || b.Mirror.Mode != law.MirrorGateway {
			continue
		}
		if b.Mirror.RemoteSplit != nil {
			ns, _, _ := strings.Cut(b.Mirror.Remote, "/")
			_, name, _ := strings.Cut(b.Mirror.RemoteSplit.Object, "/")
			return "remove the split there (a TrafficSplit writes its ServiceProfile anew; of one written by hand only spec.dstOverrides is to go), or export " +
				"the Service no more: " + kubectlIn(b.Mirror.Context, ns, "get", "trafficsplits,serviceprofile/"+name)
		}
		if b.Mirror.Context == "" {
			return "name the other cluster's context: --remote-context " + word(b.Mirror.Cluster) + "=CONTEXT"
		}
	}
	return ""
}
