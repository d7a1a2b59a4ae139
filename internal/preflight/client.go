package preflight

import (
	"fmt"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

func clusterChecks() []Check {
	return []Check{clocksCheck(), {
		ID: "SB033", Category: "clusters", Name: "the clusters behind the mirrors answer", Severity: Fatal,
		Func: clustersAnswer,
		Hint: func(s View) string {
			for _, c := range s.Clusters {
				if c.Problem != "" {
					return "see whether it answers: " + kubectlIn(c.Context, "", "version")
				}
			}
			return "name the other cluster's context: --remote-context CLUSTER=CONTEXT"
		},
	}}
}

func clustersAnswer(s View) Finding {
	f := newFindings()
	read := map[string]bool{}
	for _, b := range s.Backends {
		// Two contexts of one cluster: an object has one UID, and no other cluster has it.
		if m := b.Mirror; m != nil && m.RemoteFound && m.RemoteService.UID != "" && m.RemoteService.UID == s.Root.UID {
			f.add(Failed, fmt.Sprintf("contexts %s and %s lead to the same cluster: Service %s has UID %s in both", untrusted.Safe(clientContext(s)),
				untrusted.Safe(m.Context), serviceName(s.Root), untrusted.Safe(s.Root.UID)), backendTags(b)...)
		}
	}
	for _, c := range s.Clusters {
		if c.Role == "client" {
			continue
		}
		read[c.Role] = true
		if c.Problem != "" {
			f.add(Failed, "cluster "+untrusted.Safe(c.Role)+": "+untrusted.Safe(c.Problem), aboutCluster(c.Role))
			continue
		}
		f.ok(fmt.Sprintf("cluster %s answers as context %s, version %s", untrusted.Safe(c.Role), untrusted.Safe(c.Context),
			orUnknown(c.Version)))
	}
	for _, b := range s.Backends {
		if b.Mirror != nil && b.Mirror.Mode == law.MirrorFederated && b.Mirror.Cluster == "" {
			f.add(Unknown, "federated Service "+serviceName(b.Service)+": the clusters of its members are not looked at", backendTags(b)...)
			continue
		}
		if b.Mirror != nil && !read[b.Mirror.Cluster] {
			read[b.Mirror.Cluster] = true
			f.add(Unknown, "no remote context leads to cluster "+untrusted.Safe(b.Mirror.Cluster), aboutCluster(b.Mirror.Cluster))
		}
	}
	return f.seen("no backend is in another cluster")
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return untrusted.Safe(s)
}

func accessChecks() []Check {
	return []Check{rulesCheck(), {
		ID: "SB027", Category: "access", Name: "running a command in the source pod is allowed", Severity: Fatal,
		Func: on(aboutAccess, execAllowed), Apply: missingExec,
		Hint: func(s View) string {
			return "ask for the verbs create and get on pods/exec; to see what you have: " +
				kubectl(s, sourceNamespace(s), "auth", "can-i", "create", "pods", "--subresource=exec")
		},
	}}
}

func execAllowed(s View) (Status, string) {
	found := map[string]*law.Access{}
	for i, a := range s.Access {
		if a.Cluster == "" && a.Group == "" && a.Resource == "pods" && a.Subresource == "exec" {
			found[a.Verb] = &s.Access[i]
		}
	}
	create, get := found["create"], found["get"]
	if create == nil {
		return Unknown, "the API server did not say what is allowed"
	}
	where := "namespace " + untrusted.Safe(create.Namespace)
	switch {
	case !create.Allowed:
		return Failed, "create on pods/exec is not allowed in " + where + because(create.Reason)
	case get == nil:
		return Unknown, "the API server did not say whether get on pods/exec is allowed in " + where
	case !get.Allowed:
		return Warning, "get on pods/exec is not allowed in " + where + because(get.Reason) +
			": some API servers then refuse WebSocket, and SPDY is used"
	}
	return OK, "create and get on pods/exec are allowed in " + where
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + untrusted.Safe(reason) + ")"
}

func clientChecks() []Check {
	return []Check{
		offMeshCheck(),
		{
			ID: "SB002", Category: "client", Name: "the pods that draw the backend are meshed", Severity: Fatal, When: meshedClient,
			After: []string{"SB032"}, Func: clientMeshed,
			Hint: func(s View) string {
				if s.Source.Name == "" && s.Through == nil {
					return "name the client with --from deploy/NAME"
				}
				p := s.Source
				if s.Through != nil {
					p = law.Pod{Namespace: s.Through.Service.Namespace}
				}
				return "a split holds in meshed clients only: set the annotation linkerd.io/inject: enabled on the pod template or the namespace, then " + restart(s, p)
			},
		},
		{
			ID: "SB032", Category: "client", Name: "the source pod is running", Severity: Fatal,
			Func: on(aboutSource, sourceRunning),
			Hint: func(s View) string {
				if s.Source.Name == "" {
					return "name the client with --from deploy/NAME; to see what there is: " + kubectl(s, sourceNamespace(s), "get",
						"deploy,pods")
				}
				return "see why: " + kubectl(s, s.Source.Namespace, "describe", "pod", s.Source.Name)
			},
		},
		{
			ID: "SB030", Category: "client", Name: "what the client sees is what the backends say", Severity: Warn, When: meshedClient,
			After: []string{"SB032", "SB002"}, Func: on(aboutSource, unspoiled),
			Hint: func(s View) string {
				if s.Probed == nil {
					return "ask the pod: add --probe"
				}
				return "request the root Service itself, at a path that answers with a body of its own: --url http://" +
					word(s.Split.Root+"."+s.Split.Namespace) + ":" + fmt.Sprint(s.Port) + "/"
			},
		},
	}
}

// meshedClient is for checks that make no sense of a client that is meant to be outside the mesh.
func meshedClient(v View) bool { return !v.OffMesh }

// clientMeshed looks at the pods whose proxies draw: those behind --through where it is given (the source itself need not
// be meshed then), else the source pod.
func clientMeshed(s View) Finding {
	if f, ok := traefikDraws(s); ok {
		return f
	}
	pods := []law.Pod{s.Source}
	if s.Through != nil {
		pods = s.Through.Pods
		if len(pods) == 0 {
			return about(aboutSource, Failed, "no pod is behind Service "+untrusted.Safe(s.Through.Service.Name))
		}
	} else if s.Source.Name == "" {
		return about(aboutSource, Unknown, "no source pod was named")
	}
	f := newFindings()
	for _, p := range pods {
		name := "pod " + untrusted.Safe(p.Name)
		switch {
		case !p.Meshed:
			f.add(Failed, name+" has no container linkerd-proxy", aboutSource)
		case !p.ProxyReady:
			f.add(Failed, fmt.Sprintf("%s: container %s is not ready", name, untrusted.Safe(p.ProxyContainer)), aboutSource)
		default:
			f.ok(fmt.Sprintf("%s: container %s is ready, %d restarts", name, untrusted.Safe(p.ProxyContainer), p.ProxyRestarts))
		}
	}
	if s.Through == nil && s.Source.Meshed && s.Probed != nil && s.Probed.Ready != nil {
		switch a := *s.Probed.Ready; {
		case a.Status == 0: // the kubelet, which asks the same port, has the last word
			f.ok("its proxy's admin port 4191 did not answer the pod: " + describe(a))
		case a.Status != 200:
			f.add(Failed, "its proxy says that it is not ready: "+describe(a), aboutSource)
		}
	}
	return f.seen("no pod draws")
}

func sourceRunning(s View) (Status, string) {
	p := s.Source
	name := "pod " + untrusted.Safe(p.Name)
	switch {
	case p.Name == "":
		return Unknown, "no source pod was named"
	case p.Problem != "":
		return Failed, name + ": " + untrusted.Safe(p.Problem)
	case !p.Ready && len(p.NotReady) > 0:
		return Warning, name + " runs but is not ready: " + untrusted.Safe(strings.Join(p.NotReady, ", "))
	case !p.Ready:
		return Warning, name + " runs but is not ready"
	}
	return OK, fmt.Sprintf("%s is running and ready; container %s (%s)", name, untrusted.Safe(p.Container), p.ContainerWhy)
}
