package mesh

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Names that Linkerd's control plane and network plugins go by.
const (
	controlNamespace  = "linkerd"
	smiNamespace      = "linkerd-smi"
	smiDeployment     = "smi-adaptor"
	labelExtension    = "linkerd.io/extension"
	anchorsConfigMap  = "linkerd-identity-trust-roots"
	anchorsKey        = "ca-bundle.crt"
	controlConfigMap  = "linkerd-config"
	envNetworks       = "LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS"
	envIngress        = "LINKERD2_PROXY_INGRESS_MODE"
	envListen         = "LINKERD2_PROXY_OUTBOUND_LISTEN_ADDRS"
	annSkipOutbound   = "config.linkerd.io/skip-outbound-ports"
	annSkipSubnets    = "config.linkerd.io/skip-subnets"
	annInboundPolicy  = "config.linkerd.io/default-inbound-policy"
	ciliumConfigMap   = "cilium-config"
	ciliumNamespace   = "kube-system"
	calicoFelixConfig = "default"
)

// readAdaptor finds the SMI adaptor in the namespace that bears the extension's label, or in the usual one where
// namespaces may not be listed. That it is not in the usual one does not say that it is nowhere.
func readAdaptor(ctx context.Context, c Client) law.Adaptor {
	a := law.Adaptor{Namespace: smiNamespace, Name: smiDeployment}
	l, err := remember(c.memo, "namespaces of smi", func() (*core.NamespaceList, error) {
		return c.kube.CoreV1().Namespaces().List(ctx, metav1.ListOptions{
			LabelSelector: labelExtension + "=smi",
			Limit:         pageSize,
		})
	})
	if err == nil && len(l.Items) > 0 {
		a.Namespace = l.Items[0].Name
	}
	d, readErr := get(ctx, c, "deployment", a.Namespace, a.Name, c.kube.AppsV1().Deployments(a.Namespace))
	if err != nil && apierrors.IsNotFound(readErr) {
		why := fmt.Sprintf("it is not in namespace %s, and other namespaces could not be listed: %s", smiNamespace,
			law.Brief(err))
		return law.Adaptor{Sight: law.Unread, Why: why, Name: a.Name}
	}
	if a.Sight, a.Why = sightOf(readErr); a.Sight == law.Seen {
		a.Available, a.Idle = d.Status.AvailableReplicas > 0, wanted(d) == 0
	}
	return a
}

// readSocketLB reads whether Cilium or Calico balance at connect(), for pods too. Such a connection goes to a pod from
// the start, and the proxy never sees the Service that the split is of.
func (d *finder) readSocketLB(ctx context.Context) law.SocketLB {
	s := law.SocketLB{Object: "ConfigMap " + ciliumNamespace + "/" + ciliumConfigMap}
	cm, err := d.local.configMap(ctx, ciliumNamespace, ciliumConfigMap)
	if s.Sight, s.Why = sightOf(err); s.Sight == law.Seen {
		// An agent that replaces kube-proxy turns socket balancing on, whatever bpf-lb-sock says: the chart writes "false"
		// there.
		replacement, sock := cm.Data["kube-proxy-replacement"], cm.Data["bpf-lb-sock"]
		hostOnly := cm.Data["bpf-lb-sock-hostns-only"]
		s.InPods = (replacement == "true" || replacement == "strict" || sock == "true") && hostOnly != "true"
		s.Settings = fmt.Sprintf("kube-proxy-replacement=%q, bpf-lb-sock=%q, bpf-lb-sock-hostns-only=%q",
			untrusted.Short(replacement, 20), untrusted.Short(sock, 20), untrusted.Short(hostOnly, 20))
		return s
	}
	if s.Sight == law.Unread {
		return s
	}
	felix := law.Resource{Group: "crd.projectcalico.org", Plural: "felixconfigurations", Versions: []string{"v1"}}
	items, err := d.local.list(ctx, felix, "")
	if sight, why := sightOf(err); sight == law.Unread {
		s.Sight, s.Why, s.Object = sight, why, "FelixConfiguration "+calicoFelixConfig
		return s
	}
	for i := range items {
		if items[i].GetName() == calicoFelixConfig {
			readFelix(&items[i], &s)
		}
	}
	return s
}

// readFelix reads whether Calico balances at connect(): by default it does for TCP; before 3.27 by another field.
func readFelix(u *unstructured.Unstructured, s *law.SocketLB) {
	var felix struct {
		Spec struct {
			BPFEnabled bool
			Balancing  string `json:"bpfConnectTimeLoadBalancing"`
			Older      *bool  `json:"bpfConnectTimeLoadBalancingEnabled"`
		}
	}
	_ = law.Decode(u.Object, &felix) // what is of another type than Calico's is not set
	c := felix.Spec
	s.Sight, s.Object = law.Seen, "FelixConfiguration "+calicoFelixConfig
	s.InPods = c.BPFEnabled && c.Balancing != "Disabled" && (c.Balancing != "" || c.Older == nil || *c.Older)
	s.Settings = fmt.Sprintf("bpfEnabled=%v, bpfConnectTimeLoadBalancing=%q", c.BPFEnabled,
		untrusted.Short(c.Balancing, 20))
	if c.Older != nil {
		s.Settings += fmt.Sprintf(", bpfConnectTimeLoadBalancingEnabled=%v", *c.Older)
	}
}

// readNetworks takes the networks from the proxy's own environment, which is what it goes by, else from the control
// plane's values, which is what a new proxy would be told.
func (d *finder) readNetworks(ctx context.Context, control string) law.Networks {
	if list := d.snap.Source.ProfileNetworks; list != "" {
		return law.Networks{Sight: law.Seen, Object: "the proxy of pod " + d.snap.Source.Name, CIDRs: splitList(list)}
	}
	ns := cmp.Or(control, controlNamespace)
	n := law.Networks{Object: "ConfigMap " + ns + "/" + controlConfigMap}
	cm, err := d.local.configMap(ctx, ns, controlConfigMap)
	if n.Sight, n.Why = sightOf(err); n.Sight != law.Seen {
		return n
	}
	var values struct {
		ClusterNetworks string `json:"clusterNetworks"`
	}
	if err := yaml.Unmarshal([]byte(cm.Data["values"]), &values); err != nil || values.ClusterNetworks == "" {
		n.Sight, n.Why = law.Unread, "its values do not say clusterNetworks"
		return n
	}
	n.CIDRs = splitList(values.ClusterNetworks)
	return n
}

// readAnchors reads the trust anchors of a cluster's mesh. Only their fingerprints are kept.
func readAnchors(ctx context.Context, c Client, role, control string) law.TrustAnchors {
	a := law.TrustAnchors{Cluster: role, Namespace: cmp.Or(control, controlNamespace)}
	cm, err := c.configMap(ctx, a.Namespace, anchorsConfigMap)
	if a.Sight, a.Why = sightOf(err); a.Sight != law.Seen {
		return a
	}
	rest := []byte(untrusted.Cut(cm.Data[anchorsKey], 1<<20))
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			sum := sha256.Sum256(block.Bytes)
			a.Fingerprints = append(a.Fingerprints, hex.EncodeToString(sum[:]))
		}
	}
	slices.Sort(a.Fingerprints)
	a.Fingerprints = slices.Compact(a.Fingerprints)
	if len(a.Fingerprints) == 0 {
		a.Sight, a.Why = law.Unread, "ConfigMap "+a.Namespace+"/"+anchorsConfigMap+" holds no certificate"
	}
	return a
}

func readNamespace(ctx context.Context, c Client, name string) law.Namespace {
	n := law.Namespace{Name: name}
	ns, err := get(ctx, c, "namespace", "", name, c.kube.CoreV1().Namespaces())
	if n.Sight, n.Why = sightOf(err); n.Sight == law.Seen {
		n.OpaquePorts, n.SkipOutbound = annotation(ns, law.AnnOpaquePorts), annotation(ns, annSkipOutbound)
		n.SkipSubnets, n.InboundPolicy = annotation(ns, annSkipSubnets), annotation(ns, annInboundPolicy)
	}
	return n
}

// annotation is the value of an annotation, bounded and safe to print.
func annotation(o metav1.Object, key string) string {
	return untrusted.Short(o.GetAnnotations()[key], 300)
}

const maxCIDRs = 1000

// splitList takes a comma-separated list apart, its entries safe to print.
func splitList(s string) []string {
	var out []string
	for _, part := range strings.Split(s, ",") {
		if part = strings.TrimSpace(part); part != "" && len(out) < maxCIDRs {
			out = append(out, untrusted.Short(part, 100))
		}
	}
	return out
}

func (c Client) configMap(ctx context.Context, ns, name string) (*core.ConfigMap, error) {
	return get(ctx, c, "configmap", ns, name, c.kube.CoreV1().ConfigMaps(ns))
}

// credentials says whether the control plane can ask the other cluster for its pods: a Secret of this type must be in
// its namespace. Only the names of Secrets are read, never what they hold.
func (d *finder) credentials(ctx context.Context, cluster string) (law.Sight, string) {
	ns := cmp.Or(d.snap.Source.ControlPlane, controlNamespace)
	l, err := remember(d.local.memo, "secrets "+ns, func() (*metav1.PartialObjectMetadataList, error) {
		return d.local.metadata.Resource(core.SchemeGroupVersion.WithResource("secrets")).Namespace(ns).List(ctx,
			metav1.ListOptions{FieldSelector: "type=" + typeCredentials, Limit: pageSize})
	})
	sight, why := sightOf(err)
	named := func(o metav1.PartialObjectMetadata) bool { return o.Name == "cluster-credentials-"+cluster }
	if sight == law.Seen && !slices.ContainsFunc(l.Items, named) {
		sight = law.Absent
	}
	return sight, why
}

const typeCredentials = "mirror.linkerd.io/remote-kubeconfig"

var errTooMany = errors.New("there are too many")

// sightOf classes the error of a read. Not served counts as absent: then no object of the kind exists.
func sightOf(err error) (law.Sight, string) {
	switch {
	case err == nil:
		return law.Seen, ""
	case apierrors.IsNotFound(err), errors.Is(err, errNotServed):
		return law.Absent, ""
	}
	return law.Unread, law.Brief(err)
}

// factsStep reads what is asked of the client's cluster. Nothing of it ends a discovery.
func (d *finder) factsStep(ctx context.Context) error {
	if d.t.SplitOnly {
		return nil
	}
	f := &d.snap.Facts
	s := d.snap.Split
	if s.Found && law.KindNamed(law.Path(s.Kind)).Copied && s.Profile.State != law.ProfileNotServed {
		f.Adaptor = readAdaptor(ctx, d.local)
	}
	f.SocketLB = d.readSocketLB(ctx)
	d.readControllers(ctx)
	control := d.snap.Source.ControlPlane
	f.Networks = d.readNetworks(ctx, control)
	for _, n := range slices.Compact([]string{d.t.Namespace, d.t.clientNS}) {
		f.Namespaces = append(f.Namespaces, readNamespace(ctx, d.local, n))
	}
	for i := range d.snap.Backends {
		b := &d.snap.Backends[i]
		if b.Service.Found && b.Mirror == nil {
			b.Pods = podSet(ctx, d.local, true, b.Service, b.Endpoints)
		}
		if b.Service.Found && b.Mirror != nil {
			d.readMirrorFacts(ctx, b)
		}
	}
	f.Rollouts = append(f.Rollouts, d.rollouts(ctx, d.local, "", d.backendsOf(""))...)
	if slices.ContainsFunc(d.snap.Backends, func(b law.Backend) bool { return b.Mirror != nil }) {
		f.Anchors = append([]law.TrustAnchors{readAnchors(ctx, d.local, "client", control)}, f.Anchors...)
	}
	return nil
}
