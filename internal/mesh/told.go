package mesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Teller asks for the law where the client's proxy has it from.
type Teller interface {
	// Tell asks a ready pod of the control plane. Its error is why nothing is told, in one sentence.
	Tell(ctx context.Context, controlPlane law.Pod, q law.Question) (law.Law, error)
}

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
	q := d.snap.Question()
	told := &law.Told{At: time.Now().UTC(), Required: d.t.Use == law.UseTold}
	told.Namespace = cmp.Or(q.Client.ControlPlane, controlNamespace)
	pod, err := d.controlPlane(ctx, q, told.Namespace)
	if errors.Is(err, errNobodyTells) && (!told.Required || d.c.Provider() == law.ProviderIstio) {
		return nil // an Envoy can be asked through a session alone
	}
	if err == nil {
		told.Pod = pod.Name
		told.Law, err = d.t.Teller.Tell(ctx, pod, q)
	}
	told.TookMs = time.Since(told.At).Milliseconds()
	if err != nil {
		told.Why = untrusted.Short(err.Error(), 300)
	}
	d.obey(told)
	return nil
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

// controlPlane is the first ready pod of the control plane in a namespace.
func (d *finder) controlPlane(ctx context.Context, q law.Question, namespace string) (law.Pod, error) {
	if d.c.Provider() != law.ProviderLinkerd || !q.Root.Found || !q.Client.Meshed {
		return law.Pod{}, errNobodyTells
	}
	pods, err := remember(d.local.memo, "control plane "+namespace, func() (*core.PodList, error) {
		return d.local.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{
			LabelSelector: controlPlaneSelector, Limit: maxControlPlane,
		})
	})
	switch {
	case isForbidden(err):
		return law.Pod{}, fmt.Errorf("no permission to list pods in namespace %s", untrusted.Safe(namespace))
	case err != nil:
		return law.Pod{}, fmt.Errorf("list pods in namespace %s: %w", untrusted.Safe(namespace), err)
	}
	for i := range pods.Items {
		if usable(&pods.Items[i]) {
			return law.Pod{Namespace: namespace, Name: pods.Items[i].Name}, nil
		}
	}
	if len(pods.Items) == 0 {
		return law.Pod{}, fmt.Errorf("%w: namespace %s has no pod with the label %s", errNobodyTells,
			untrusted.Safe(namespace), controlPlaneSelector)
	}
	return law.Pod{}, errors.New("no pod of the control plane in namespace " + untrusted.Safe(namespace) + " is ready")
}

// tellAccess is what asking the control plane needs, where it is asked.
func (d *finder) tellAccess(ctx context.Context) []law.Access {
	if !d.t.asks() || !d.local.serves(ctx, law.ServiceProfiles()) {
		return nil
	}
	forward := optional("create", "", "pods", controlNamespace, "what the control plane tells proxies")
	forward.Subresource = "portforward"
	return []law.Access{
		optional("list", "", "pods", controlNamespace, "what the control plane tells proxies"), forward,
	}
}
