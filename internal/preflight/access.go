package preflight

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// rulesCheck is about what was asked for before anything was read. Rules of exec have a check of their own.
func rulesCheck() Check {
	return Check{
		ID: "SB035", Category: "access", Name: "what the checks look at may be read", Severity: Fatal,
		After: []string{"SB033"}, Func: mayRead, Apply: MissingRules,
		Hint: func(s View) string {
			for _, a := range s.Access {
				if !a.Allowed && a.Subresource == "" {
					args := []string{"auth", "can-i", a.Verb, dotted(a)}
					return "have the rules below bound to you; to see one of them: " + kubectlIn(contextOf(s, a.Cluster), a.Namespace, args...)
				}
			}
			return "ask whoever runs the cluster whether access reviews may be made: " + kubectl(s, s.Split.Namespace, "auth", "can-i", "--list")
		},
	}
}

func dotted(a law.Access) string {
	a.Subresource = ""
	return a.What()
}

func contextOf(s View, role string) string {
	if role == "" {
		return clientContext(s)
	}
	for _, c := range s.Clusters {
		if c.Role == role {
			return c.Context
		}
	}
	return ""
}

func mayRead(s View) Finding {
	f := newFindings()
	asked := 0
	for _, a := range s.Access {
		if a.Subresource != "" {
			continue
		}
		asked++
		if a.Allowed {
			continue
		}
		where, tags := "in all namespaces", []string{aboutAccess, aboutRule(a.Resource)}
		if a.Namespace != "" {
			where = "in namespace " + untrusted.Safe(a.Namespace)
		}
		if a.Cluster != "" {
			where += " of cluster " + untrusted.Safe(a.Cluster)
			tags = append(tags, aboutCluster(a.Cluster))
		}
		status := Failed
		if a.Optional {
			status = Warning
		}
		f.add(status, fmt.Sprintf("%s %s is not allowed %s (for: %s)", a.Verb, a.What(), where, a.For), tags...)
		if a.Optional {
			f.items = append(f.items, item{Unknown, tags}) // so is what rests on it
		}
	}
	if asked == 0 {
		return about(aboutAccess, Unknown, "the API server did not say what may be read")
	}
	return f.seen(fmt.Sprintf("all %d rules that are needed are granted", asked))
}

// MissingRules is YAML of the rules that are not granted: a Role for each namespace, a ClusterRole for what has none.
func MissingRules(s View) string {
	return rulesOf(s, func(a law.Access) bool { return !a.Allowed && a.Subresource == "" })
}

// missingExec is the same for running the agent.
func missingExec(s View) string {
	return rulesOf(s, func(a law.Access) bool { return !a.Allowed && a.Subresource != "" })
}

func rulesOf(s View, missing func(law.Access) bool) string {
	var out []string
	type place struct{ cluster, namespace string }
	var places []place
	for _, a := range s.Access {
		if p := (place{a.Cluster, a.Namespace}); missing(a) && !slices.Contains(places, p) {
			places = append(places, p)
		}
	}
	for _, p := range places {
		var b strings.Builder
		if p.cluster != "" {
			fmt.Fprintf(&b, "# in cluster %s\n", untrusted.Safe(p.cluster))
		}
		b.WriteString("apiVersion: rbac.authorization.k8s.io/v1\n")
		if p.namespace == "" {
			b.WriteString("kind: ClusterRole\nmetadata:\n  name: splitbench-missing\nrules:\n")
		} else {
			fmt.Fprintf(&b, "kind: Role\nmetadata:\n  name: splitbench-missing\n  namespace: %s\nrules:\n", untrusted.Safe(p.namespace))
		}
		for _, a := range s.Access {
			if !missing(a) || a.Cluster != p.cluster || a.Namespace != p.namespace {
				continue
			}
			resource := a.Resource
			if a.Subresource != "" {
				resource += "/" + a.Subresource
			}
			names := ""
			if a.Name != "" {
				names = fmt.Sprintf(", resourceNames: [%q]", a.Name)
			}
			fmt.Fprintf(&b, "- {apiGroups: [%q], resources: [%q]%s, verbs: [%q]} # %s\n", a.Group, resource, names, a.Verb, a.For)
		}
		out = append(out, b.String())
	}
	return strings.Join(out, "---\n")
}

// maxSkew is how far clocks may be apart before it is worth a word. A Date header has whole seconds, so less is not seen.
const maxSkew = 5 * time.Second

func clocksCheck() Check {
	return Check{
		ID: "SB036", Category: "clusters", Name: "the clocks agree", Severity: Warn,
		After: []string{"SB033"}, Func: clocksAgree,
		Hint: func(s View) string {
			return "set the clocks by one source (chrony, systemd-timesyncd); the time here: date -u"
		},
	}
}

// clocksAgree compares the API servers' clocks with ours. Where they differ, times in the report cannot be laid beside those in
// the clusters' logs, and certificates of a mesh may be refused as not valid yet.
func clocksAgree(s View) Finding {
	f := newFindings()
	for _, c := range s.Clusters {
		name := "the API server of the client's cluster"
		if c.Role != "client" {
			name = "the API server of cluster " + untrusted.Safe(c.Role)
		}
		if c.SkewMs == nil {
			f.add(Unknown, name+" did not say what time it is", aboutCluster(c.Role))
			continue
		}
		skew := (time.Duration(*c.SkewMs) * time.Millisecond).Round(time.Second)
		switch {
		case skew > maxSkew:
			f.add(Warning, fmt.Sprintf("%s is %s ahead of this machine", name, skew), aboutCluster(c.Role))
		case skew < -maxSkew:
			f.add(Warning, fmt.Sprintf("%s is %s behind this machine", name, -skew), aboutCluster(c.Role))
		default:
			f.ok(name + " has this machine's time")
		}
	}
	if len(s.Clusters) == 0 {
		return about(aboutCluster("client"), Unknown, "no API server was asked")
	}
	return f.seen("")
}
