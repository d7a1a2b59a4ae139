package mesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Labels and annotations of Linkerd's multicluster extension.
const (
	labelMirrored         = "mirror.linkerd.io/mirrored-service"
	labelCluster          = "mirror.linkerd.io/cluster-name"
	labelExported         = "mirror.linkerd.io/exported"
	labelRemoteDiscovery  = "multicluster.linkerd.io/remote-discovery"
	labelRemoteService    = "multicluster.linkerd.io/remote-service"
	annRemoteName         = "mirror.linkerd.io/remote-svc-fq-name"
	annGatewayIdentity    = "mirror.linkerd.io/remote-gateway-identity"
	annGatewayOwnIdentity = "mirror.linkerd.io/gateway-identity"
	annFederated          = "multicluster.linkerd.io/remote-discovery" // members of other clusters
	annFederatedHere      = "multicluster.linkerd.io/local-discovery"  // the member of this cluster
)

// readMirror tells a mirror Service by its labels.
func readMirror(svc *core.Service) (law.Mirror, bool) {
	if svc.Labels[labelMirrored] != "true" {
		return law.Mirror{}, false
	}
	discovered := svc.Labels[labelRemoteDiscovery]
	m := law.Mirror{Cluster: cmp.Or(svc.Labels[labelCluster], discovered), Mode: law.MirrorGateway}
	if discovered != "" {
		m.Mode, m.Remote = law.MirrorRemoteDiscovery, svc.Namespace+"/"+svc.Labels[labelRemoteService]
	}
	if svc.Annotations[annFederated] != "" || svc.Annotations[annFederatedHere] != "" {
		m.Mode = law.MirrorFederated
	}
	// <name>.<namespace>.svc.<domain of the other cluster>
	if parts := strings.Split(svc.Annotations[annRemoteName], "."); len(parts) >= 3 && parts[2] == "svc" {
		m.Remote = parts[1] + "/" + parts[0]
	}
	if m.Remote == "" { // the mirror keeps namespace and, but for the suffix, the name
		m.Remote = svc.Namespace + "/" + strings.TrimSuffix(svc.Name, "-"+m.Cluster)
	}
	return m, true
}

// linkNamespace is where Linkerd's extension keeps Links and the gateway unless told otherwise.
const linkNamespace = "linkerd-multicluster"

// linkSelectors are a Link's selectors, ready to match.
type linkSelectors struct{ gateway, discovery labels.Selector }

// linksStep lists the Links of all namespaces, or of the usual one where all may not be listed.
func (d *finder) linksStep(ctx context.Context) error {
	items, err := d.local.list(ctx, law.Links(), "")
	if apierrors.IsForbidden(err) {
		items, err = d.local.list(ctx, law.Links(), linkNamespace)
	}
	if d.snap.Facts.Links, _ = sightOf(err); err != nil {
		if !errors.Is(err, errNotServed) { // no multicluster extension: nothing to note
			d.note("Links could not be read: %s", law.Brief(err))
		}
		return nil
	}
	for i := range items {
		l, sel := readLink(&items[i])
		d.snap.Links = append(d.snap.Links, l)
		d.links = append(d.links, sel)
	}
	return nil
}

func readLink(u *unstructured.Unstructured) (law.Link, linkSelectors) {
	text := func(field string) string {
		v, _, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", field)
		switch x := v.(type) {
		case string:
			return untrusted.Cut(x, 1000)
		case int64: // gatewayPort is a string in the CRD and a number in some files
			return strconv.FormatInt(x, 10)
		}
		return ""
	}
	l := law.Link{
		Namespace: u.GetNamespace(), Name: u.GetName(), TargetCluster: text("targetClusterName"),
		GatewayAddress: text("gatewayAddress"), GatewayPort: text("gatewayPort"), GatewayIdentity: text("gatewayIdentity"),
	}
	sel := linkSelectors{gateway: linkSelector(u, "selector"), discovery: linkSelector(u, "remoteDiscoverySelector")}
	l.Selector, l.Discovery = sel.gateway.String(), sel.discovery.String()
	l.TargetControlPlane, l.Status, l.Probe = text("targetClusterLinkerdNamespace"), readMirrorStatus(u), readProbe(u)
	return l, sel
}

// readProbe is how the service mirror asks the gateway whether it is alive, "" where it does not.
func readProbe(u *unstructured.Unstructured) string {
	spec, _, _ := unstructured.NestedMap(u.Object, "spec", "probeSpec")
	say := func(field string) string { return untrusted.Short(fmt.Sprint(cmp.Or(spec[field], any("?"))), 50) }
	if len(spec) == 0 {
		return ""
	}
	return fmt.Sprintf("%s on port %s every %s, given up after %s failures of at most %s", say("path"), say("port"),
		say("period"), say("failureThreshold"), say("timeout"))
}

// readControllers finds the service mirror of each Link by its label: Linkerd's extension names the Deployments
// controller-LINK, and before Linkerd 2.18 linkerd-service-mirror-CLUSTER.
func (d *finder) readControllers(ctx context.Context) {
	for i := range d.snap.Links {
		l := &d.snap.Links[i]
		all, err := d.local.deployments(ctx, l.Namespace)
		if l.Controller.Sight, l.Controller.Why = sightOf(err); err != nil {
			continue
		}
		l.Controller.Sight = law.Absent
		for j := range all.Items {
			dep := &all.Items[j]
			if of := dep.Labels[labelCluster]; of != "" && (of == l.TargetCluster || of == l.Name) {
				l.Controller = law.Controller{
					Sight: law.Seen, Name: dep.Namespace + "/" + dep.Name, Available: dep.Status.AvailableReplicas > 0,
					Idle: wanted(dep) == 0,
				}
			}
		}
	}
}

// linkSelector reads one of a Link's label selectors. Absent, empty or malformed selects nothing, as the service mirror
// has it and unlike Kubernetes' own rule for empty selectors.
func linkSelector(u *unstructured.Unstructured, field string) labels.Selector {
	sel, ok := selectorOf(u, field)
	if !ok || sel.Empty() {
		return labels.Nothing()
	}
	return sel
}

// exported reports whether the target cluster's Service is mirrored by the Link of that cluster, or, where no Link
// could be read, whether it bears the usual label.
func (d *finder) exported(cluster string, svc *core.Service) bool {
	if i := slices.IndexFunc(d.snap.Links, func(l law.Link) bool { return l.TargetCluster == cluster }); i >= 0 {
		set := labels.Set(svc.Labels)
		return d.links[i].gateway.Matches(set) || d.links[i].discovery.Matches(set)
	}
	v := svc.Labels[labelExported]
	return v == "true" || v == "remote-discovery"
}
