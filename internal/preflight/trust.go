package preflight

import (
	"cmp"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
)

// trusted is about what makes mutual TLS between clusters: the gateway's name, and an anchor that both sides trust.
func trusted(s View) Finding {
	f := newFindings()
	for _, b := range mirrors(s) {
		on, how := f.backend(b), s.tls(b.Mirror.Cluster)
		if !b.Service.Found {
			on.add(Unknown, "there is no mirror %s", serviceName(b.Service))
			on.anchors(s, b.Mirror.Cluster)
			continue
		}
		if how == "true" {
			on.settled = "requests of the source pod went there by mutual TLS"
		}
		if b.Mirror.Mode == law.MirrorGateway {
			on.identity(s, b)
		}
		on.anchors(s, b.Mirror.Cluster)
		if how != "" && how != "true" {
			on.and(partWay, partTrust).add(Failed,
				"the proxy's connections to the gateway of cluster %s are not mutual TLS (%s)", b.Mirror.Cluster, how)
		}
	}
	return f.seen(noMirrors)
}

// identity compares the gateway's name wherever it is written: by the gateway itself, in the Link, in the mirror's
// Endpoints and in the EndpointSlices, which proxies read.
func (on subject) identity(s View, b law.Backend) {
	name, m := "mirror "+serviceName(b.Service), b.Mirror
	switch {
	case b.Unread != "":
		on.add(Unknown, "%s: its endpoints could not be read%s", name, because(b.Unread))
		return
	case m.GatewayIdentity == "" && len(b.Endpoints) == 0:
		on.add(Unknown, "%s has no endpoints that could name the gateway's identity", name)
		return
	case m.GatewayIdentity == "":
		on.only(partTrust).add(Failed, "%s: its Endpoints do not name the gateway's identity: clients dial in plain text, "+
			"and the gateway refuses them", name)
		return
	}
	bad := false
	differs := func(where shown, id string) {
		bad = true
		on.only(partTrust).add(Failed, "%s names the gateway %s, %s names %s", name, m.GatewayIdentity, where,
			cmp.Or(id, "none"))
	}
	if l := linkOf(s, m.Cluster); l != nil && l.GatewayIdentity != "" && l.GatewayIdentity != m.GatewayIdentity {
		differs(say("Link %s", l.Name), l.GatewayIdentity)
	}
	if g := gatewayOf(s, m.Cluster); g != nil && g.Found && g.Identity != "" && g.Identity != m.GatewayIdentity {
		differs("the gateway itself", g.Identity)
	}
	switch {
	case m.Slices == law.Seen && !slices.Equal(m.SliceIdentities, []string{m.GatewayIdentity}):
		differs("an EndpointSlice of it", strings.Join(m.SliceIdentities, ", "))
	case m.Slices != law.Seen && len(b.Endpoints) > 0: // of a mirror without endpoints there are none
		on.add(Unknown, "%s: its EndpointSlices could not be seen%s", name, because(m.SlicesWhy))
	case !bad:
		on.add(OK, "%s and gateway agree on the identity %s", name, m.GatewayIdentity)
	}
}

// anchors compares the trust anchors of the client's cluster with those of another.
func (on subject) anchors(s View, cluster string) {
	var lacking []string
	read := func(a *law.TrustAnchors, who shown) []string {
		switch {
		case a == nil:
			who += " (not read)"
		case a.Sight == law.Seen:
			return a.Fingerprints
		case a.Sight == law.Absent:
			who += say(" (there is no ConfigMap %s/linkerd-identity-trust-roots)", a.Namespace)
		default:
			who += because(a.Why)
		}
		lacking = append(lacking, string("those of "+who))
		return nil
	}
	of := func(role string) *law.TrustAnchors {
		return find(s.Facts.Anchors, func(a law.TrustAnchors) bool { return a.Cluster == role })
	}
	var other *law.TrustAnchors
	if cluster != "client" { // the role of the client's own, whatever another cluster is called
		other = of(cluster)
	}
	there := read(other, say("cluster %s", cluster))
	here := read(of("client"), "the client's cluster")
	if len(lacking) > 0 {
		where := on
		where.tags = []string{aboutCluster(cluster)}
		where.add(Unknown, "the trust anchors could not be compared; what is lacking: %s",
			shown(strings.Join(lacking, ", ")))
		return
	}
	shared := 0
	for _, fingerprint := range here {
		if slices.Contains(there, fingerprint) {
			shared++
		}
	}
	switch {
	case shared == 0:
		on.only(partTrust).add(Failed,
			"the client's cluster and cluster %s have no trust anchor in common (%s here, %s there)", cluster, short(here),
			short(there))
	case shared < max(len(here), len(there)):
		on.add(Warning, "the client's cluster and cluster %s share %d of %d and %d trust anchors: "+
			"a rotation is under way, or was left half done", cluster, shared, len(here), len(there))
	default:
		on.add(OK, "the client's cluster and cluster %s trust the same %d anchors", cluster, shared)
	}
}

// short is the beginning of fingerprints, enough to tell them apart.
func short(fingerprints []string) shown {
	var out []string
	for _, fp := range fingerprints {
		out = append(out, fp[:min(12, len(fp))])
	}
	return list(out)
}

func trustHint(s View) string {
	all := mirrors(s)
	if len(all) == 0 {
		return ""
	}
	if hint := contextHint(all[0]); hint != "" {
		return hint
	}
	if slices.ContainsFunc(s.Facts.Anchors, func(a law.TrustAnchors) bool { return a.Sight != law.Seen }) {
		return "compare them where Linkerd is installed: linkerd --context " + word(s.Context("")) + " multicluster check"
	}
	return "give both clusters one trust anchor, then link them again: " + relink(s, all[0], "")
}

// credentialsPresent is about mirrors without a gateway: the control plane asks the other cluster for its pods, with
// credentials that must be in its own namespace.
func credentialsPresent(s View) Finding {
	f := newFindings()
	for _, b := range mirrors(s) {
		m, on := b.Mirror, f.backend(b)
		if m.Mode == law.MirrorGateway || !b.Service.Found {
			continue
		}
		name := say("mirror %s (%s)", serviceName(b.Service), m.Mode)
		secret := say("Secret %s/cluster-credentials-%s", cmp.Or(s.Source.ControlPlane, "linkerd"), m.Cluster)
		switch {
		case m.Cluster == "": // a federated Service has members in several clusters
			on.add(Unknown, "%s: the credentials of its members' clusters are not looked at", name)
		case m.Credentials == law.Seen:
			on.add(OK, "%s: %s is there; that pods can be reached from pods is not seen", name, secret)
		case m.Credentials == law.Absent:
			on.add(Failed, "%s: there is no %s of type mirror.linkerd.io/remote-kubeconfig, so proxies get no endpoints",
				name, secret)
		default:
			on.add(Unknown, "%s: whether there is a %s could not be seen%s", name, secret, because(m.CredentialsWhy))
		}
	}
	return f.seen("no backend is mirrored without a gateway")
}

func credentialsHint(s View) string {
	for _, b := range mirrors(s) {
		if b.Mirror.Mode != law.MirrorGateway && b.Mirror.Cluster != "" {
			return cmp.Or(contextHint(b), "link the clusters again, which writes it: "+relink(s, b, " --gateway=false"))
		}
	}
	return ""
}

// oneWay looks for a split of the mirrored Service in its own cluster, which the gateway there applies again.
func oneWay(s View) Finding {
	if n := s.Probed.count(func(a Answer) bool { return a.Status == 508 }); n > 0 {
		return about(aboutSplit, Failed, say("%d of %d probes went in a circle (status 508)", n, len(s.Probed.Root)))
	}
	f := newFindings()
	for _, b := range mirrors(s) {
		m, on := b.Mirror, f.backend(b)
		if !b.Service.Found || m.Mode != law.MirrorGateway { // without a gateway nothing there asks for a profile again
			continue
		}
		name, split := say("Service %s in cluster %s", m.Remote, m.Cluster), m.RemoteSplit
		switch {
		case unreadable(m) || m.RemoteSplitWhy != "":
			on.add(Unknown, "whether %s is split there too could not be seen%s", name, because(m.RemoteSplitWhy))
		case split == nil:
			on.add(OK, "%s is not split there", name)
		case len(split.Back) > 0:
			on.add(Warning, "%s is split there too (%s: %s), and %s leads away again: shares multiply, "+
				"and requests may go in a circle (508)", name, split.Object, split.Weights, list(split.Back))
		default:
			on.add(Warning, "%s is split there too (%s: %s): the share of %s is shared out once more",
				name, split.Object, split.Weights, b.Name)
		}
	}
	return f.seen("no backend is mirrored through a gateway")
}

func oneWayHint(s View) string {
	for _, b := range mirrors(s) {
		if b.Mirror.Mode != law.MirrorGateway {
			continue
		}
		if b.Mirror.RemoteSplit != nil {
			ns, _, _ := strings.Cut(b.Mirror.Remote, "/")
			_, name, _ := strings.Cut(b.Mirror.RemoteSplit.Object, "/")
			return "remove the split there (a TrafficSplit writes its ServiceProfile anew; of one written by hand only " +
				"spec.dstOverrides is to go), or export the Service no more: " +
				kubectlIn(b.Mirror.Context, ns, "get", "trafficsplits,serviceprofile/"+name)
		}
		if hint := contextHint(b); hint != "" {
			return hint
		}
	}
	return ""
}
