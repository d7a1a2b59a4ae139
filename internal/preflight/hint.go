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
func word(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-/@:=,+", r)
	}
	s = untrusted.Safe(s)
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
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
