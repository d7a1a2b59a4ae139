package mesh

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// readProxySettings keeps what the pod's own proxy was told when the pod was made. The arguments of the init container
// are what the traffic rules were made of; annotations only count where another plugin made the rules and left no such
// container.
func readProxySettings(pod *core.Pod, p *law.Pod) {
	p.ControlPlane = untrusted.Short(cmp.Or(dialledPlane(pod), pod.Labels["linkerd.io/control-plane-ns"]), 63)
	p.InboundPolicy, p.ProfileNetworks = proxyEnv(pod, envInboundPolicy), proxyEnv(pod, envNetworks)
	p.IngressMode = proxyEnv(pod, envIngress) == "true"
	listens := proxyEnv(pod, envListen)
	p.IPv4Only = listens != "" && !strings.Contains(listens, "[") // as every address of IPv6 with a port has
	p.SkipFrom = "annotations"
	p.SkipOutbound, p.SkipSubnets = annotation(pod, annSkipOutbound), annotation(pod, annSkipSubnets)
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		if c.Name != initContainer {
			continue
		}
		args := append(slices.Clone(c.Command), c.Args...)
		p.SkipFrom = "container " + initContainer
		p.SkipOutbound, p.SkipSubnets = argument(args, "--outbound-ports-to-ignore"), argument(args, "--subnets-to-ignore")
	}
}

// dialledPlane is the namespace of the control plane that the proxy dials: where there are several installs, no label
// says it as surely. A value is like linkerd-dst-headless.linkerd.svc.cluster.local.:8086.
func dialledPlane(pod *core.Pod) string {
	parts := strings.Split(proxyEnv(pod, envDestination), ".")
	if len(parts) < 3 || parts[2] != "svc" {
		return ""
	}
	return parts[1]
}

const (
	envDestination   = "LINKERD2_PROXY_DESTINATION_SVC_ADDR"
	initContainer    = "linkerd-init"
	envInboundPolicy = "LINKERD2_PROXY_INBOUND_DEFAULT_POLICY"
)

// argument is the value after a flag, "" where it is not given.
func argument(args []string, flag string) string {
	for i, a := range args {
		if a == flag && i+1 < len(args) {
			return untrusted.Short(args[i+1], 300)
		}
		if value, ok := strings.CutPrefix(a, flag+"="); ok {
			return untrusted.Short(value, 300)
		}
	}
	return ""
}

// proxyEnv is a variable of the proxy's container, "" where it is not set outright.
func proxyEnv(pod *core.Pod, name string) string {
	for _, c := range slices.Concat(pod.Spec.Containers, pod.Spec.InitContainers) {
		for _, e := range c.Env {
			if e.Name == name && law.ProviderOf(c.Name) == law.ProviderLinkerd {
				return untrusted.Short(e.Value, 1000)
			}
		}
	}
	return ""
}

// podSet looks at the first page of the pods that a Service selects. A Service without selector has none.
// policies says whether the policy Servers of their port are looked for.
func podSet(ctx context.Context, c Client, policies bool, svc law.Service, endpoints []law.Endpoint) law.PodSet {
	if len(svc.Selector) == 0 {
		return law.PodSet{Sight: law.Absent}
	}
	pods, more, err := c.podsOf(ctx, svc.Namespace, labels.SelectorFromSet(svc.Selector))
	var set law.PodSet
	if set.Sight, set.Why = sightOf(err); set.Sight != law.Seen {
		return set
	}
	set.Looked, set.More = len(pods), more
	var port int32
	for _, e := range endpoints {
		port = e.Port
	}
	for i := range pods {
		pod := pods[i]
		var p law.Pod
		readProxy(pod, &p)
		if len(set.Built) < maxBuilt {
			set.Built = append(set.Built, builtOf(pod, p))
		}
		if !p.Meshed {
			set.UnmeshedPods++
			if len(set.Unmeshed) < maxNamed {
				set.Unmeshed = append(set.Unmeshed, pod.Name)
			}
			continue
		}
		set.OpaquePorts = addOnce(set.OpaquePorts, annotation(pod, law.AnnOpaquePorts))
		// The variable is what the proxy goes by. Where it is not set, what the pod was to get is the next best.
		policy := cmp.Or(proxyEnv(pod, envInboundPolicy), annotation(pod, annInboundPolicy))
		if !slices.Contains(set.InboundPolicy, policy) {
			set.InboundPolicy = append(set.InboundPolicy, policy)
		}
		if !policies {
			continue
		}
		servers, why := c.serversOn(ctx, pod, port)
		set.ServersWhy = cmp.Or(why, set.ServersWhy)
		for _, s := range servers {
			if !slices.ContainsFunc(set.Servers, func(have law.ServerOn) bool { return have.Name == s.Name }) {
				set.Servers = append(set.Servers, s)
			}
		}
	}
	return set
}

// Bounds of what is recorded of pods, which a manifest holds for each backend.
const (
	maxNamed  = 10 // pods without a proxy
	maxBuilt  = 50 // pods of one Service
	maxImages = 20 // containers of one pod
)

// builtOf is what the nodes say runs in the pod.
func builtOf(pod *core.Pod, p law.Pod) law.Built {
	b := law.Built{Name: pod.Name, UID: string(pod.UID), ImageIDs: map[string]string{}, ProxyImageID: p.ProxyImageID}
	for _, s := range pod.Status.ContainerStatuses {
		if !isProxy(s.Name) && s.ImageID != "" && len(b.ImageIDs) < maxImages {
			b.ImageIDs[untrusted.Safe(s.Name)] = untrusted.Short(s.ImageID, 500)
		}
	}
	return b
}

func addOnce(list []string, s string) []string {
	if s == "" || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// maxPods bounds the pods of a namespace that are read where many splits are looked at: enough to say of what they are
// made.
const maxPods = 2000

// podsOf are the first page of the pods that a selector fits, and whether there are more. Where many splits are looked
// at, the first pods of the namespace are read once for all of them.
func (c Client) podsOf(ctx context.Context, ns string, sel labels.Selector) ([]*core.Pod, bool, error) {
	asked, limit := sel.String(), pageSize
	if c.wide {
		asked, limit = "", maxPods
	}
	type read struct {
		pods []core.Pod
		more bool
	}
	all, err := remember(c.memo, "pods "+ns+" "+asked, func() (read, error) {
		pods, more, err := paged(ctx, c.kube.CoreV1().Pods(ns), metav1.ListOptions{LabelSelector: asked}, limit,
			func(l *core.PodList) []core.Pod { return l.Items })
		return read{pods, more}, err
	})
	if err != nil {
		return nil, false, err
	}
	var out []*core.Pod
	for i := range all.pods {
		if sel.Matches(labels.Set(all.pods[i].Labels)) {
			out = append(out, &all.pods[i])
		}
	}
	return out, all.more, nil
}

func (c Client) deployments(ctx context.Context, ns string) (*apps.DeploymentList, error) {
	return remember(c.memo, "deployments "+ns, func() (*apps.DeploymentList, error) {
		return c.kube.AppsV1().Deployments(ns).List(ctx, metav1.ListOptions{Limit: pageSize})
	})
}

// backendsOf are the Services of backends whose pods are in the cluster ("": the client's), as that cluster has them.
func (d *finder) backendsOf(cluster string) []law.Service {
	var out []law.Service
	for _, b := range d.snap.Backends {
		switch {
		case cluster == "" && b.Mirror == nil && b.Service.Found:
			out = append(out, b.Service)
		case b.Mirror != nil && b.Mirror.Cluster == cluster && b.Mirror.RemoteFound:
			out = append(out, b.Mirror.RemoteService)
		}
	}
	return out
}

// rollouts are the Deployments behind the Services that are not at rest. What may not be listed is left out: a rollout
// is a remark, and its absence proves nothing.
func (d *finder) rollouts(ctx context.Context, c Client, cluster string, services []law.Service) []law.Rollout {
	var out []law.Rollout
	done := map[string]bool{}
	for _, svc := range services {
		if len(svc.Selector) == 0 || done[svc.Namespace] {
			continue
		}
		l, err := c.deployments(ctx, svc.Namespace)
		if err != nil {
			done[svc.Namespace] = true
			continue
		}
		sel := labels.SelectorFromSet(svc.Selector)
		for i := range l.Items {
			dep := &l.Items[i]
			state := rolloutState(dep)
			name := dep.Namespace + "/" + dep.Name
			if state != "" && !done[name] && sel.Matches(labels.Set(dep.Spec.Template.Labels)) {
				done[name] = true
				out = append(out, law.Rollout{Cluster: cluster, Deployment: name, State: state})
			}
		}
	}
	return out
}

func rolloutState(d *apps.Deployment) string {
	want, s := wanted(d), d.Status
	switch {
	case s.ObservedGeneration < d.Generation:
		return "its last change is not carried out yet"
	case s.UpdatedReplicas < want:
		return fmt.Sprintf("%d of %d replicas updated", s.UpdatedReplicas, want)
	case s.Replicas > s.UpdatedReplicas:
		return fmt.Sprintf("%d old replicas are still there", s.Replicas-s.UpdatedReplicas)
	}
	return ""
}

// wanted is how many replicas a Deployment is to have.
func wanted(d *apps.Deployment) int32 {
	if d.Spec.Replicas == nil {
		return 1
	}
	return *d.Spec.Replicas
}
