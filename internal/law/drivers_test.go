package law

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Marks and names as the programs' own sources write them: Argo Rollouts' plugin at 96c63fd, Flagger at 15bd6ad5.
func TestDrivers(t *testing.T) {
	t.Parallel()
	label := func(k, v string) func(*unstructured.Unstructured) {
		return func(u *unstructured.Unstructured) { u.SetLabels(map[string]string{k: v}) }
	}
	annotation := func(k, v string) func(*unstructured.Unstructured) {
		return func(u *unstructured.Unstructured) { u.SetAnnotations(map[string]string{k: v}) }
	}
	manager := func(m string) func(*unstructured.Unstructured) {
		return func(u *unstructured.Unstructured) { u.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: m}}) }
	}
	for name, c := range map[string]struct {
		set  func(*unstructured.Unstructured)
		want string // "": nobody
	}{
		"a rollout under way":          {label("rollouts.argoproj.io/gatewayapi-canary", "in-progress"), "Argo Rollouts"},
		"a rollout that is over":       {label("rollouts.argoproj.io/gatewayapi-canary", ""), ""},
		"linkerd-failover":             {label("failover.linkerd.io/controlled-by", "linkerd-failover"), "linkerd-failover"},
		"Flagger tells Flux":           {annotation("kustomize.toolkit.fluxcd.io/reconcile", "disabled"), "Flagger"},
		"Flux is told by somebody":     {annotation("kustomize.toolkit.fluxcd.io/reconcile", "enabled"), ""},
		"Flux":                         {label("kustomize.toolkit.fluxcd.io/name", "apps"), "Flux"},
		"Helm by Flux":                 {label("helm.toolkit.fluxcd.io/name", "apps"), "Flux"},
		"Argo CD":                      {annotation("argocd.argoproj.io/tracking-id", "apps:x"), "Argo CD"},
		"the plugin's field manager":   {manager("gatewayAPI"), "gatewayAPI, which wrote"},
		"Argo Rollouts' field manager": {manager("rollouts-controller"), "rollouts-controller"},
		"Flagger's field manager":      {manager("flagger"), "flagger"},
		"a person":                     {manager("kubectl-client-side-apply"), ""},
		"a chart by hand":              {label("app.kubernetes.io/managed-by", "Helm"), ""},
		"an owner": {func(u *unstructured.Unstructured) {
			u.SetOwnerReferences([]metav1.OwnerReference{{Kind: "Canary", Name: "podinfo"}})
		}, "Canary/podinfo, which owns it"},
	} {
		for _, kind := range []string{"TrafficSplit", "HTTPRoute", "VirtualService", "TraefikService"} {
			u := &unstructured.Unstructured{Object: map[string]any{"kind": kind}}
			c.set(u)
			got := strings.Join(splitOf(u).Drivers, "; ")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("%s, %s: got %q, want %q", name, kind, got, c.want)
			}
		}
	}
}
