package preflight

import (
	"cmp"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// word quotes one argument of a command that people paste into a shell. Names of objects are plain, names of contexts
// are whatever someone wrote into a kubeconfig.
func word(s string) string { return untrusted.Shell(untrusted.Safe(s)) }

// grant is the command that grants what a run needs in the client's cluster, or in that of a mirror.
func grant(s View, cluster string) string {
	context := contextOf(s, cluster)
	words := []string{"splitbench", "rbac", "run"}
	if s.Split.Name != "" {
		words = append(words, s.Split.Asked())
	}
	if context != "" {
		words = append(words, "--context", untrusted.Safe(context))
	}
	words = append(words, "-n", s.Split.Namespace)
	if cluster != "" {
		words = append(words, "--remote")
	} else if from, ok := strings.CutPrefix(s.Source.Workload, "--from "); ok {
		words = append(words, "--from", from)
	}
	return untrusted.Shell(words...) + " | " + kubectlIn(context, "", "apply", "-f", "-")
}

// kubectl is a command on the client's cluster in the namespace; its arguments are literal.
func kubectl(s View, namespace string, args ...string) string {
	return kubectlIn(clientContext(s), namespace, args...)
}

func kubectlIn(context, namespace string, args ...string) string {
	cmd := "kubectl"
	if context != "" {
		cmd += " --context " + word(context)
	}
	if namespace != "" {
		cmd += " -n " + word(namespace)
	}
	for _, a := range args {
		cmd += " " + word(a)
	}
	return cmd
}

// touched is an annotation that makes a write of any object. A value that is there already would make none, so it is
// the time of the check.
func touched(s View) string {
	return "splitbench.io/touched=" + s.TakenAt.UTC().Format("20060102t150405z")
}

func clientContext(s View) string { return contextOf(s, "client") }

// contextOf is the context of the cluster with this role; "" is the client's.
func contextOf(s View, role string) string {
	for _, c := range s.Clusters {
		if c.Role == cmp.Or(role, "client") {
			return c.Context
		}
	}
	return ""
}

// mirrors are the backends that are mirrors of Services in other clusters.
func mirrors(s View) []law.Backend {
	return slices.DeleteFunc(slices.Clone(s.Backends), func(b law.Backend) bool { return b.Mirror == nil })
}

// contextHint asks for the context of the mirror's cluster where none is known.
func contextHint(b law.Backend) string {
	if b.Mirror.Context != "" {
		return ""
	}
	return "name the other cluster's context: --remote-context " + word(b.Mirror.Cluster) + "=CONTEXT"
}

// anyContextHint is the contextHint of the first mirror that needs one.
func anyContextHint(s View) string {
	for _, b := range mirrors(s) {
		if hint := contextHint(b); hint != "" {
			return hint
		}
	}
	return ""
}

// sourceNamespace is where the source pod is, or would be.
func sourceNamespace(s View) string { return cmp.Or(s.Source.Namespace, s.Split.Namespace) }

// restart is the command that starts the workload of a pod again, with a new proxy.
func restart(s View, p law.Pod) string {
	workload := strings.TrimPrefix(p.Workload, "--from ")
	if kind, _, ok := strings.Cut(workload, "/"); !ok || kind == "pod" || strings.HasPrefix(p.Workload, "-l") {
		workload = "deploy/NAME"
	}
	return kubectl(s, p.Namespace, "rollout", "restart", workload)
}
