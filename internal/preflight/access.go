package preflight

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

func accessChecks() map[string]Check {
	return map[string]Check{
		"SB035": {Func: mayRead, Apply: MissingRules, Hint: rulesHint},
		"SB027": {Func: on(aboutAccess, execAllowed), Apply: missingExec, Hint: func(s View) string {
			return "have somebody who may grant it create and get on pods/exec: " + grant(s, "")
		}},
	}
}

func rulesHint(s View) string {
	for _, a := range s.Access {
		if !a.Allowed && a.Subresource != "exec" {
			return "have somebody who may grant it the rules below: " + grant(s, a.Cluster)
		}
	}
	return "ask whoever runs the cluster whether access reviews may be made: " +
		kubectl(s, s.Split.Namespace, "auth", "can-i", "--list")
}

// mayRead is about what was asked for before anything was read. Rules of exec have a check of their own.
func mayRead(s View) Finding {
	f := newFindings()
	asked := 0
	for _, a := range s.Access {
		if a.Subresource == "exec" {
			continue
		}
		asked++
		if a.Allowed {
			continue
		}
		where := shown("in all namespaces")
		if a.Namespace != "" {
			where = say("in namespace %s", a.Namespace)
		}
		on := f.about(aboutAccess, aboutRule(a.Resource))
		if a.Cluster != "" {
			where += say(" of cluster %s", a.Cluster)
			on.tags = append(on.tags, aboutCluster(a.Cluster))
		}
		on.mild = a.Optional
		on.add(Failed, "%s %s is not allowed %s (for: %s)", a.Verb, a.What(), where, a.For)
		if a.Optional {
			f.items = append(f.items, item{Unknown, on.tags}) // so is what rests on it
		}
	}
	if asked == 0 {
		return about(aboutAccess, Unknown, "the API server did not say what may be read")
	}
	return f.seen(say("all %d rules that are needed are granted", asked))
}

func execAllowed(s View) (Status, shown) {
	found := map[string]law.Access{}
	for _, a := range s.Access {
		if a.Cluster == "" && a.Group == "" && a.Resource == "pods" && a.Subresource == "exec" {
			found[a.Verb] = a
		}
	}
	create, asked := found["create"]
	get, askedGet := found["get"]
	switch where := say("namespace %s", create.Namespace); {
	case !asked:
		return Unknown, "the API server did not say what is allowed"
	case !create.Allowed:
		return Failed, "create on pods/exec is not allowed in " + where + because(create.Reason)
	case !askedGet:
		return Unknown, "the API server did not say whether get on pods/exec is allowed in " + where
	case !get.Allowed:
		return Warning, "get on pods/exec is not allowed in " + where + because(get.Reason) +
			": some API servers then refuse WebSocket, and SPDY is used"
	default:
		return OK, "create and get on pods/exec are allowed in " + where
	}
}

// because is the reason in brackets, if there is one.
func because(reason string) shown {
	if reason == "" {
		return ""
	}
	return say(" (%s)", reason)
}

func orUnknown(s string) shown { return say("%s", cmp.Or(s, "unknown")) }

// MissingRules is YAML of the rules that are not granted: a Role for each namespace, a ClusterRole for what has none.
func MissingRules(s View) string {
	return rulesOf(s, func(a law.Access) bool { return !a.Allowed && a.Subresource != "exec" })
}

// missingExec is the same for running the agent.
func missingExec(s View) string {
	return rulesOf(s, func(a law.Access) bool { return !a.Allowed && a.Subresource == "exec" })
}

func rulesOf(s View, missing func(law.Access) bool) string {
	type place struct{ cluster, namespace string }
	var places []place
	rules := map[place]string{}
	for _, a := range s.Access {
		p := place{a.Cluster, a.Namespace}
		if !missing(a) {
			continue
		}
		if !slices.Contains(places, p) {
			places = append(places, p)
			rules[p] = roleHead(p.cluster, p.namespace)
		}
		rules[p] += a.Rule()
	}
	var out []string
	for _, p := range places {
		out = append(out, rules[p])
	}
	return strings.Join(out, "---\n")
}

func roleHead(cluster, namespace string) string {
	head := "apiVersion: rbac.authorization.k8s.io/v1\n"
	if cluster != "" {
		head = "# in cluster " + untrusted.Safe(cluster) + "\n" + head
	}
	if namespace == "" {
		return head + "kind: ClusterRole\nmetadata:\n  name: splitbench-missing\nrules:\n"
	}
	return head + "kind: Role\nmetadata:\n  name: splitbench-missing\n  namespace: " + untrusted.Safe(namespace) +
		"\nrules:\n"
}

// maxSkew is how far clocks may be apart without a warning. A Date header has whole seconds, so less is not seen.
const maxSkew = 5 * time.Second

// clocksAgree compares the API servers' clocks with ours. Where they differ, times in the report cannot be laid beside
// those in the clusters' logs, and certificates of a mesh may be refused as not valid yet.
func clocksAgree(s View) Finding {
	f := newFindings()
	for _, c := range s.Clusters {
		name, on := shown("the API server of the client's cluster"), f.about(aboutCluster(c.Role))
		if c.Role != "client" {
			name = say("the API server of cluster %s", c.Role)
		}
		if c.SkewMs == nil {
			on.add(Unknown, "%s did not say what time it is", name)
			continue
		}
		skew := (time.Duration(*c.SkewMs) * time.Millisecond).Round(time.Second)
		switch {
		case skew > maxSkew:
			on.add(Warning, "%s is %s ahead of this machine", name, skew)
		case skew < -maxSkew:
			on.add(Warning, "%s is %s behind this machine", name, -skew)
		default:
			on.add(OK, "%s has this machine's time", name)
		}
	}
	if len(s.Clusters) == 0 {
		f.about(aboutCluster("client")).add(Unknown, "no API server was asked")
	}
	return f.seen("")
}
