package mesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Teller asks for the law where the client's proxy has it from.
type Teller interface {
	// Reach opens the way to a pod of Linkerd's control plane, or to the proxy in the pod that another provider's law is
	// held by. Its error, and that of Ask, is why nothing is told, in one sentence.
	Reach(ctx context.Context, pod law.Pod, provider law.Provider) (Ask, error)
}

// Ask asks whom a Teller has reached by which law a request is drawn.
type Ask func(context.Context, law.Question) (law.Law, error)

// controlPlaneSelector is the label of the pods of Linkerd that answer proxies.
const controlPlaneSelector = "linkerd.io/control-plane-component=destination"

// maxControlPlane is how many pods of a control plane are looked at.
const maxControlPlane = 20

// tellStep asks what the client's proxy is told, and lets that be the law where it differs from what the objects say.
// That nothing is told is a fact of the Snapshot.
func (d *finder) tellStep(ctx context.Context) error {
	if t := d.t.Told; t != nil {
		told := *t
		told.WorkedOut = nil
		d.obey(&told)
		return nil
	}
	if !d.t.asks() || d.t.Teller == nil {
		return nil
	}
	q, told := d.snap.Question(), &law.Told{At: time.Now().UTC(), Required: d.t.Use == law.UseTold}
	pod, err := d.whoTells(ctx, q)
	told.Namespace, told.Pod, told.Own = pod.Namespace, pod.Name, d.c.Provider() != law.ProviderLinkerd
	if errors.Is(err, errNobodyTells) && !told.Required {
		return nil
	}
	if err == nil {
		told.Law, err = d.ask(ctx, pod, q)
	}
	told.TookMs = time.Since(told.At).Milliseconds()
	if err != nil {
		told.Why = untrusted.Short(err.Error(), 300)
	}
	d.obey(told)
	return nil
}

// ask asks a pod. In one look it is reached once, and where it cannot be reached that is final.
func (d *finder) ask(ctx context.Context, pod law.Pod, q law.Question) (law.Law, error) {
	ask, err := remember(d.local.memo, "tell "+pod.Namespace+"/"+pod.Name, func() (Ask, error) {
		return d.t.Teller.Reach(ctx, pod, d.c.Provider())
	})
	if err != nil {
		return law.Law{}, err
	}
	return ask(ctx, q)
}

func (d *finder) obey(told *law.Told) {
	d.snap.Told = told
	d.c.Obey(told)
	d.snap.Split, d.snap.Law = d.c.Split, d.c.Law
}

// asks reports whether what is told is asked for.
func (q Query) asks() bool { return q.Use == law.UseAuto || q.Use == law.UseTold }

// errNobodyTells is that there is nobody who could be asked.
var errNobodyTells = errors.New("no control plane that could be asked tells this client's proxy the law")

// whoTells is the pod that is asked: the first ready one of the control plane that Linkerd's proxy dials, else the
// proxy's own. With an error it may be known in part.
func (d *finder) whoTells(ctx context.Context, q law.Question) (law.Pod, error) {
	switch provider := d.c.Provider(); {
	case provider == law.ProviderTraefik && d.snap.Through == nil, provider == law.ProviderIstio && !q.Client.Meshed:
		return q.Client, errNobodyTells
	case provider != law.ProviderLinkerd:
		return q.Client, nil
	}
	namespace := cmp.Or(q.Client.ControlPlane, controlNamespace)
	unknown := law.Pod{Namespace: namespace}
	if !q.Root.Found || !q.Client.Meshed {
		return unknown, errNobodyTells
	}
	pods, err := remember(d.local.memo, "control plane "+namespace, func() (*core.PodList, error) {
		return d.local.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{
			LabelSelector: controlPlaneSelector, Limit: maxControlPlane,
		})
	})
	switch {
	case isForbidden(err):
		return unknown, fmt.Errorf("no permission to list pods in namespace %s", untrusted.Safe(namespace))
	case err != nil:
		return unknown, fmt.Errorf("list pods in namespace %s: %w", untrusted.Safe(namespace), err)
	}
	for i := range pods.Items {
		if usable(&pods.Items[i]) {
			return law.Pod{Namespace: namespace, Name: pods.Items[i].Name}, nil
		}
	}
	if len(pods.Items) == 0 {
		return unknown, fmt.Errorf("%w: namespace %s has no pod with the label %s", errNobodyTells,
			untrusted.Safe(namespace), controlPlaneSelector)
	}
	return unknown, errors.New("no pod of the control plane in namespace " + untrusted.Safe(namespace) + " is ready")
}

// tellAccess is what asking takes, where it is asked: of Linkerd's control plane, of the proxy that draws.
func (d *finder) tellAccess(ctx context.Context) (out []law.Access) {
	if !d.t.asks() {
		return nil
	}
	add := func(verb, subresource, namespace, why string) {
		a := optional(verb, "", "pods", namespace, why)
		a.Subresource = subresource
		out = append(out, a)
	}
	if d.local.serves(ctx, law.ServiceProfiles()) {
		add("list", "", controlNamespace, "what the control plane tells proxies")
		add("create", "portforward", controlNamespace, "what the control plane tells proxies")
	}
	for _, path := range []law.Path{law.PathVirtualService, law.PathTraefikService} {
		kind := law.KindNamed(path)
		if kind.MayRule(d.t.splitKind) && slices.ContainsFunc(kind.Resources, func(r law.Resource) bool {
			return d.local.serves(ctx, r)
		}) {
			add("create", "portforward", d.t.clientNS, "what the proxy that draws holds")
			break
		}
	}
	return out
}
