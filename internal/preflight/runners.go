package preflight

import (
	"strings"

	"github.com/splitbench/splitbench/internal/law"
)

// CategoryRunners is of the checks of pods of our own.
const CategoryRunners = "runners"

func runnerChecks() map[string]Check {
	return map[string]Check{
		"SB040": {
			When: func(v View) bool { return v.Runners != nil }, Func: on(aboutSource, runnersTaken), Hint: runnersHint,
		},
	}
}

func runnersTaken(v View) (Status, shown) {
	r := v.Runners
	switch {
	case r.Refused != "":
		return Failed, say("the API server takes no runner pod: %s", r.Refused)
	case len(r.Shortages) > 0:
		return Failed, say("%d runner pods: %s", r.Pods, r.Shortages[0].String())
	case r.Sight != law.Seen:
		return Unknown, say("whether runner pods would be taken was not asked: %s", r.Why)
	case v.Through == nil && !r.Meshed:
		return Failed, say("runner pods would get no proxy: no injector adds one in namespace %s by the annotations of %s",
			v.Source.Namespace, r.Workload)
	}
	return OK, say("the API server takes runner pods with ServiceAccount %s and image %s", r.Account, r.Image)
}

func runnersHint(v View) string {
	r, ns := v.Runners, v.Source.Namespace
	switch {
	case strings.Contains(r.Refused, "quota"), len(r.Shortages) > 0:
		return "lower --runners, or what each takes with --runner-requests and --runner-limits; what is left: " +
			kubectl(v, ns, "describe", "resourcequotas")
	case strings.Contains(r.Refused, "PodSecurity"):
		return "runner pods keep to the restricted profile themselves, so what is named is an injector's, such as an init " +
			"container with NET_ADMIN: use the mesh's CNI plugin, or see " + kubectl(v, ns, "get", "namespace", ns, "-o", "yaml")
	case r.Refused != "":
		return "what refuses it is named; to ask again: " + kubectl(v, ns, "create", "--dry-run=server", "-f", "-")
	case r.Sight != law.Seen:
		return "the Job is made all the same, and what is wrong shows then; to be told before: " + grant(v, "")
	}
	return "set the annotation by which the workload's own pods get their proxy on its pod template, or see whether the " +
		"injector runs: " + kubectl(v, "", "get", "mutatingwebhookconfigurations")
}
