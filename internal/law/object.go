package law

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/splitbench/splitbench/internal/nearest"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// listed is an object that may say the law, as it was listed.
type listed struct {
	ref     ObjectRef
	created time.Time
	raw     *unstructured.Unstructured
	problem string // why the control plane takes no notice of it; empty: it does
}

// readObject reads an object and its spec into a typed one. One that cannot be read says why in problem.
func readObject(u *unstructured.Unstructured, spec any) listed {
	o := listed{ref: refOf(u), created: u.GetCreationTimestamp().UTC(), raw: u}
	fields, _ := u.Object["spec"].(map[string]any)
	if err := Decode(fields, spec); err != nil {
		o.problem = "its spec cannot be read: " + Brief(err)
	}
	return o
}

// older compares two objects by age, the oldest first; those of one age by a name.
func (o listed) older(p listed, name func(ObjectRef) string) int {
	return cmp.Or(o.created.Compare(p.created), strings.Compare(name(o.ref), name(p.ref)))
}

// is reports whether it is the object of that name.
func (o listed) is(namespace, name string) bool {
	return o.ref.Namespace == namespace && o.ref.Name == name
}

// find is the first of all that fits, nil where none does.
func find[T any](all []T, fits func(*T) bool) *T {
	for i := range all {
		if fits(&all[i]) {
			return &all[i]
		}
	}
	return nil
}

// Decode reads a part of an unstructured object into a typed one.
func Decode(from, to any) error {
	b, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, to)
}

// orElse is what p points to, or otherwise where it is not given.
func orElse[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// refOf names the version of an object that was read.
func refOf(u *unstructured.Unstructured) ObjectRef {
	return ObjectRef{
		APIVersion: untrusted.Cut(u.GetAPIVersion(), 253), Kind: untrusted.Cut(u.GetKind(), 63),
		Namespace: u.GetNamespace(), Name: u.GetName(),
		UID: string(u.GetUID()), ResourceVersion: u.GetResourceVersion(), Generation: u.GetGeneration(),
	}
}

// splitOf is the split that an object is, less its weights.
func splitOf(u *unstructured.Unstructured) Split {
	s := Split{ObjectRef: refOf(u), Found: true, YAML: yamlOf(u), Drivers: drivers(u)}
	s.LastWriter, s.LastWritten = lastWriter(u)
	return s
}

// split is the split that it is, less its weights, and why it cannot be one.
func (o listed) split() Split {
	s := splitOf(o.raw)
	if o.problem != "" {
		s.WeightErr = &WeightError{Object: o.ref.String(), Field: "spec", Why: o.problem}
	}
	return s
}

// yamlOf is the object for the record, less what only servers read.
func yamlOf(u *unstructured.Unstructured) []byte {
	bare := u.DeepCopy()
	bare.SetManagedFields(nil)
	if b, err := yaml.Marshal(bare.Object); err == nil && len(b) <= maxYAML {
		return b
	}
	return nil
}

// lastWriter is who wrote the object last by its managedFields, status aside.
func lastWriter(u *unstructured.Unstructured) (who string, when time.Time) {
	for _, f := range u.GetManagedFields() {
		if f.Subresource != "status" && f.Time != nil && !f.Time.Time.Before(when) {
			who, when = untrusted.Short(f.Manager, 128), f.Time.UTC()
		}
	}
	return who, when
}

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
	// Parts of the names under which such programs write fields. A binary's name is its manager's unless it says
	// otherwise: Argo Rollouts runs its plugin as gatewayAPI.
	known := []string{
		"flagger", "rollouts-controller", "argo", "gatewayapi", "kustomize-controller", "helm-controller", "failover",
	}
	for _, f := range u.GetManagedFields() {
		wrote := func(part string) bool { return strings.Contains(strings.ToLower(f.Manager), part) }
		if f.Subresource != "status" && slices.ContainsFunc(known, wrote) {
			add(f.Manager + ", which wrote fields of it")
		}
	}
	return out
}

const maxListed = 10

// Listed is names sorted, safe to print and at most ten, with a last entry that tells how many were left out.
func Listed(names []string) []string {
	var out []string
	for i, n := range slices.Sorted(slices.Values(names)) {
		if i == maxListed {
			return append(out, fmt.Sprintf("and %d more", len(names)-maxListed))
		}
		out = append(out, untrusted.Safe(n))
	}
	return out
}

// nameOfPort is a backend that bears its port because another port of its Service is a backend too.
func nameOfPort(name string, port int32) string { return fmt.Sprintf("%s:%d", name, port) }

// Candidates is the hint that says what may have been meant, and lists what there is.
func Candidates(meant, what string, names []string) string {
	switch {
	case len(names) == 0:
		return "there are no " + what
	case nearest.To(meant, names) == "":
		return "there are: " + strings.Join(Listed(names), ", ")
	case len(names) == 1:
		return untrusted.Safe(nearest.Question(meant, names))
	}
	return untrusted.Safe(nearest.Question(meant, names)) + " There are: " + strings.Join(Listed(names), ", ")
}

// Brief is an error as a part of a sentence: bounded and on one line.
func Brief(err error) string { return untrusted.Short(err.Error(), 300) }

// Reason is what a condition gives as its reason, in brackets.
func Reason(r string) string {
	if r == "" {
		return ""
	}
	return " (" + untrusted.Short(r, 100) + ")"
}
