package law

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// Programs that change weights by themselves leave marks on the objects that they write: owners, labels, annotations,
// and names of field managers.

// mark is a label or an annotation by which a program marks what it writes; with a value only where it has that.
type mark struct{ program, key, value string }

// marks: linkerd-failover (charts/linkerd-failover), Argo Rollouts' plugin for the Gateway API (internal/defaults
// InProgressLabelKey), Flagger (pkg/router, which tells Flux to leave its objects alone; a Canary owns them besides),
// Flux (its kustomize and helm controllers' ownership labels), Argo CD (its tracking label and annotation).
func marks() []mark {
	return []mark{
		{"linkerd-failover", "failover.linkerd.io/controlled-by", ""},
		{"Argo Rollouts, which is in the middle of a rollout", "rollouts.argoproj.io/gatewayapi-canary", "in-progress"},
		{"Flagger", "kustomize.toolkit.fluxcd.io/reconcile", "disabled"},
		{"Flagger", "helm.toolkit.fluxcd.io/driftDetection", "disabled"},
		{"Flux", "kustomize.toolkit.fluxcd.io/name", ""},
		{"Flux", "helm.toolkit.fluxcd.io/name", ""},
		{"Argo CD", "argocd.argoproj.io/instance", ""},
		{"Argo CD", "argocd.argoproj.io/tracking-id", ""},
	}
}

// knownManagers are parts of the names under which such programs write fields. A binary's name is its manager's unless
// it says otherwise: Argo Rollouts runs its plugin as gatewayAPI.
func knownManagers() []string {
	return []string{
		"flagger", "rollouts-controller", "argo", "gatewayapi", "kustomize-controller", "helm-controller", "failover",
	}
}

// drivers names the programs that write the object by themselves: those that own it, those that have marked it, and
// those that its managed fields name. A person's kubectl is none of them.
func drivers(u *unstructured.Unstructured) []string {
	var out []string
	add := func(s string) {
		if s = untrusted.Short(s, 200); !slices.Contains(out, s) && len(out) < maxListed {
			out = append(out, s)
		}
	}
	labels, annotations := u.GetLabels(), u.GetAnnotations()
	for _, m := range marks() {
		if v, ok := labels[m.key]; ok && (m.value == "" || v == m.value) {
			add(m.program + " (label " + m.key + "=" + v + ")")
		}
		if v, ok := annotations[m.key]; ok && (m.value == "" || v == m.value) {
			add(m.program + " (annotation " + m.key + "=" + v + ")")
		}
	}
	for _, o := range u.GetOwnerReferences() {
		add(o.Kind + "/" + o.Name + ", which owns it")
	}
	for _, f := range u.GetManagedFields() {
		if f.Subresource == "status" {
			continue
		}
		for _, known := range knownManagers() {
			if strings.Contains(strings.ToLower(f.Manager), known) {
				add(f.Manager + ", which wrote fields of it")
			}
		}
	}
	return out
}
