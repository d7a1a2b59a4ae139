package preflight

import (
	"strings"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// word makes one argument of a command that people paste into a shell. Names of objects are plain, names of contexts are
// whatever someone wrote into a kubeconfig.
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

func clientContext(s View) string {
	for _, c := range s.Clusters {
		if c.Role == "client" {
			return c.Context
		}
	}
	return ""
}

// sourceNamespace is where the source pod is, or would be.
func sourceNamespace(s View) string {
	if s.Source.Namespace != "" {
		return s.Source.Namespace
	}
	return s.Split.Namespace
}

// restart is the command that starts the workload of a pod again, with a new proxy.
func restart(s View, p law.Pod) string {
	if kind, name, ok := strings.Cut(strings.TrimPrefix(p.Workload, "--from "), "/"); ok && kind != "pod" &&
		!strings.HasPrefix(p.Workload, "-l") {
		return kubectl(s, p.Namespace, "rollout", "restart", kind+"/"+name)
	}
	return kubectl(s, p.Namespace, "rollout", "restart", "deploy/NAME")
}
