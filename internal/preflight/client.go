package preflight

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
)

func clientChecks() map[string]Check {
	return map[string]Check{
		"SB036": {Func: clocksAgree, Hint: func(View) string {
			return "set the clocks by one source (chrony, systemd-timesyncd); the time here: date -u"
		}},
		"SB033": {Func: clustersAnswer, Hint: func(s View) string {
			for _, c := range s.Clusters {
				if c.Problem != "" {
					return "see whether it answers: " + kubectlIn(c.Context, "", "version")
				}
			}
			return "name the other cluster's context: --remote-context CLUSTER=CONTEXT"
		}},
		"SB037": {When: func(v View) bool { return v.OffMesh }, Func: refusedOffMesh, Hint: func(s View) string {
			switch {
			case s.Source.Meshed:
				return "name a pod without a proxy: --from pod/NAME --expect-off-mesh"
			case s.Probed == nil:
				return "have the pod ask: add --probe"
			}
			return "see what lets it in: " + kubectl(s, s.Split.Namespace, "get", "services", "-o", "wide")
		}},
		"SB002": {When: meshedClient, Func: clientMeshed, Hint: meshHint},
		"SB032": {Func: on(aboutSource, sourceRunning), Hint: func(s View) string {
			if s.Source.Name == "" {
				return "name the client with --from deploy/NAME; to see what there is: " +
					kubectl(s, sourceNamespace(s), "get", "deploy,pods")
			}
			return "see why: " + kubectl(s, s.Source.Namespace, "describe", "pod", s.Source.Name)
		}},
		"SB030": {When: meshedClient, Func: on(aboutSource, unspoiled), Hint: func(s View) string {
			if s.Probed == nil {
				return "ask the pod: add --probe"
			}
			return "request the root Service itself, at a path that answers with a body of its own: --url http://" +
				word(s.Split.Root+"."+s.Split.Namespace) + ":" + fmt.Sprint(s.Port) + "/"
		}},
	}
}

func clustersAnswer(s View) Finding {
	f := newFindings()
	for _, b := range mirrors(s) {
		// Two contexts of one cluster: an object has one UID, and no other cluster has it.
		if m := b.Mirror; m.RemoteFound && m.RemoteService.UID != "" && m.RemoteService.UID == s.Root.UID {
			f.backend(b).add(Failed, "contexts %s and %s lead to the same cluster: %s has UID %s in both",
				s.Context(""), m.Context, serviceName(s.Root), s.Root.UID)
		}
	}
	read := map[string]bool{}
	for _, c := range s.Clusters {
		if c.Role == "client" {
			continue
		}
		read[c.Role] = true
		if c.Problem != "" {
			f.about(aboutCluster(c.Role)).add(Failed, "cluster %s: %s", c.Role, c.Problem)
			continue
		}
		f.ok("cluster %s answers as context %s, version %s", c.Role, c.Context, orUnknown(c.Version))
	}
	for _, b := range mirrors(s) {
		switch m := b.Mirror; {
		case m.Mode == law.MirrorFederated && m.Cluster == "":
			f.backend(b).add(Unknown, "federated %s: the clusters of its members are not looked at", serviceName(b.Service))
		case !read[m.Cluster]:
			read[m.Cluster] = true
			f.about(aboutCluster(m.Cluster)).add(Unknown, "no remote context leads to cluster %s", m.Cluster)
		}
	}
	return f.seen(noMirrors)
}

// meshedClient is for checks that make no sense of a client that is meant to be outside the mesh.
func meshedClient(v View) bool { return !v.OffMesh }

// clientMeshed looks at the pods whose proxies draw: those behind --through where it is given (the source itself need
// not be meshed then), else the source pod. A split that Traefik itself carries out needs no meshed pod, but Traefik's
// Service must be named, since its pods are what takes turns.
func clientMeshed(s View) Finding {
	pods := []law.Pod{s.Source}
	switch traefik := s.Law.Provider == law.ProviderTraefik; {
	case traefik && s.Through == nil:
		return about(aboutSource, Failed,
			"Traefik carries this split out, not a proxy of the client: name its Service with --through svc/NAME")
	case traefik:
		return about(aboutSource, OK, say("Traefik carries this split out, in %d pods behind Service %s",
			len(s.Through.Pods), s.Through.Service.Name))
	case s.Through != nil && len(s.Through.Pods) == 0:
		return about(aboutSource, Failed, say("no pod is behind Service %s", s.Through.Service.Name))
	case s.Through != nil:
		pods = s.Through.Pods
	case s.Source.Name == "":
		return about(aboutSource, Unknown, "no source pod was named")
	}
	f := newFindings()
	on := f.about(aboutSource)
	for _, p := range pods {
		switch {
		case !p.Meshed && p.HostNetwork:
			on.add(Failed, "pod %s has no container linkerd-proxy: it is on its node's network, where Linkerd injects none "+
				"whatever the annotations", p.Name)
		case !p.Meshed:
			on.add(Failed, "pod %s has no container linkerd-proxy", p.Name)
		case !p.ProxyReady:
			on.add(Failed, "pod %s: container %s is not ready", p.Name, p.ProxyContainer)
		default:
			on.add(OK, "pod %s: container %s is ready, %d restarts", p.Name, p.ProxyContainer, p.ProxyRestarts)
		}
	}
	if s.Through == nil && s.Source.Meshed && s.Probed != nil && s.Probed.Ready != nil {
		switch a := *s.Probed.Ready; {
		case a.Status == 0: // the kubelet, which asks the same port, has the last word
			on.add(OK, "its proxy's admin port 4191 did not answer the pod: %s", describe(a))
		case a.Status != 200:
			on.add(Failed, "its proxy says that it is not ready: %s", describe(a))
		}
	}
	return f.seen("no pod draws")
}

func meshHint(s View) string {
	pod := s.Source
	switch {
	case s.Through != nil:
		pod = law.Pod{Namespace: s.Through.Service.Namespace}
	case s.Source.Name == "":
		return "name the client with --from deploy/NAME"
	}
	if onHostNetwork(s) {
		return "take hostNetwork out of the pod template, or name a client that is not on its node's network: " +
			kubectl(s, pod.Namespace, "get", "pods", "-o", "wide")
	}
	return "a split holds in meshed clients only: set the annotation linkerd.io/inject: enabled on the pod template or " +
		"the namespace, then " + restart(s, pod)
}

// onHostNetwork reports that a pod that draws is where Linkerd injects no proxy.
func onHostNetwork(s View) bool {
	pods := []law.Pod{s.Source}
	if s.Through != nil {
		pods = s.Through.Pods
	}
	return slices.ContainsFunc(pods, func(p law.Pod) bool { return p.HostNetwork && !p.Meshed })
}

func sourceRunning(s View) (Status, shown) {
	p := s.Source
	switch {
	case p.Name == "":
		return Unknown, "no source pod was named"
	case p.Problem != "":
		return Failed, say("pod %s: %s", p.Name, p.Problem)
	case !p.Ready && len(p.NotReady) > 0:
		return Warning, say("pod %s runs but is not ready: %s", p.Name, strings.Join(p.NotReady, ", "))
	case !p.Ready:
		return Warning, say("pod %s runs but is not ready", p.Name)
	}
	limit := shown("")
	if p.CPULimit != "" {
		limit = say(", limited to %s CPU", p.CPULimit)
	}
	return OK, say("pod %s is running and ready; container %s (%s)", p.Name, p.Container, p.ContainerWhy) + limit
}

// refusedOffMesh is the control experiment: a client outside the mesh must be refused by the gateway of the other
// cluster. If it is not, what a run measures need not have come through the mesh at all.
func refusedOffMesh(s View) Finding {
	p := s.Source
	switch {
	case p.Name == "":
		return about(aboutSource, Unknown, "no source pod was named")
	case p.Meshed:
		return about(aboutSource, Failed, say("pod %s has a proxy (container %s): it is no client outside the mesh",
			p.Name, p.ProxyContainer))
	}
	f := newFindings()
	behind := 0
	for _, b := range mirrors(s) {
		if b.Mirror.Mode != law.MirrorGateway {
			continue
		}
		behind++
		on := f.backend(b)
		switch {
		case !b.Service.Found:
			on.add(Unknown, "backend %s has no Service", b.Name)
		case s.Probed == nil:
			on.add(Unknown, "pod %s has no proxy; that backend %s refuses it was not seen: "+
				"what is lacking is a request from the pod (--probe)", p.Name, b.Name)
		case len(s.Probed.Direct[b.Name]) == 0:
			on.add(Unknown, "backend %s was not asked", b.Name)
		default:
			on.refusal(b.Name, p.Name, s.Probed.Direct[b.Name][0])
		}
	}
	if behind == 0 {
		return about(aboutSplit, Unknown, "no backend is behind a gateway, which is what refuses clients outside the mesh")
	}
	return f.seen("")
}

// refusal adds what the backend gave a pod that it should refuse.
func (on subject) refusal(backend, pod string, a Answer) {
	switch {
	case a.Empty:
		on.add(OK, "backend %s gives pod %s an empty reply", backend, pod)
	case a.Status == 0 && strings.Contains(a.Error, "reset by peer"):
		on.add(OK, "backend %s cuts pod %s off: connection reset by peer", backend, pod)
	case a.Status == http.StatusForbidden:
		on.add(OK, "backend %s refuses pod %s with status %d", backend, pod, a.Status)
	case a.Status > 0: // an application that says 404 was reached as well as one that says 200
		on.add(Failed, "backend %s answered pod %s, which has no proxy, with status %d", backend, pod, a.Status)
	default:
		on.add(Unknown, "backend %s gave pod %s %s: whether it would refuse is not known", backend, pod, describe(a))
	}
}

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
