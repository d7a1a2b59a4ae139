package mesh

import (
	"fmt"
	"path"
	"slices"
	"strings"

	core "k8s.io/api/core/v1"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Names and annotations of pods.
const (
	annDefaultContainer = "kubectl.kubernetes.io/default-container"
	annAgent            = "splitbench.io/agent"
)

// isProxy tells a mesh's proxy by its container's name.
func isProxy(container string) bool { return law.ProviderOf(container) != "" }

// pickContainer chooses the container to run in: the one that is named, else the default-container annotation's, else
// the first that is not the proxy. The proxy is refused even by name: its image has no shell and no writable directory,
// and its own traffic goes around the split, since the redirect to the proxy leaves out the proxy's user.
func pickContainer(pod *core.Pod, named string) (c *core.Container, why, note string, err error) {
	var names []string
	byName := map[string]*core.Container{}
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		byName[c.Name] = c
		if !isProxy(c.Name) {
			names = append(names, c.Name)
		}
	}
	if named != "" {
		return namedContainer(pod, byName[named], named, names)
	}
	if def := pod.Annotations[annDefaultContainer]; def != "" {
		if c := byName[def]; c != nil && !isProxy(def) {
			return c, "default-container annotation", "", nil
		}
		note = fmt.Sprintf("pod %s: its default-container annotation names %q, which cannot be used", pod.Name,
			untrusted.Safe(def))
	}
	if len(names) == 0 {
		return nil, "", note, notFound("choose container of", "pod "+pod.Name, "it has no container but the proxy",
			"name another pod with --from")
	}
	why = "first container that is not the proxy"
	if len(pod.Spec.Containers) == 1 {
		why = "only container"
	}
	return byName[names[0]], why, note, nil
}

func namedContainer(pod *core.Pod, c *core.Container, named string, names []string) (*core.Container, string, string,
	error,
) {
	if c != nil && !isProxy(named) {
		return c, "-c", "", nil
	}
	cause := "it has no such container"
	if slices.ContainsFunc(pod.Spec.InitContainers, func(c core.Container) bool { return c.Name == named }) {
		cause = "that is an init container"
	}
	if isProxy(named) {
		cause = "requests of the proxy itself are not split, and its image has no shell"
	}
	return nil, "", "", notFound("choose container of", fmt.Sprintf("pod %s with -c %q", pod.Name, untrusted.Safe(named)),
		cause, law.Candidates(named, "containers", names))
}

// readProxy finds the proxy where either kind of injection puts it: among the containers, or among the init containers
// as a native sidecar (restartPolicy Always), which is Linkerd's default since 2.20.
func readProxy(pod *core.Pod, p *law.Pod) {
	statuses := pod.Status.ContainerStatuses
	var proxy *core.Container
	for i := range pod.Spec.Containers {
		if isProxy(pod.Spec.Containers[i].Name) {
			proxy = &pod.Spec.Containers[i]
		}
	}
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		if isProxy(c.Name) && c.RestartPolicy != nil && *c.RestartPolicy == core.ContainerRestartPolicyAlways {
			proxy, statuses = c, pod.Status.InitContainerStatuses
		}
	}
	if proxy == nil {
		return
	}
	readProxySettings(pod, p)
	p.Meshed, p.ProxyContainer, p.ProxyImage = true, proxy.Name, untrusted.Cut(proxy.Image, 500)
	for _, s := range statuses {
		if s.Name != proxy.Name {
			continue
		}
		p.ProxyReady, p.ProxyRestarts, p.ProxyImageID = s.Ready, s.RestartCount, untrusted.Short(s.ImageID, 500)
		if s.State.Running != nil {
			p.ProxyStartedAt = s.State.Running.StartedAt.UTC()
		}
	}
}

// writableDirs are the emptyDir mounts of the container that may be written to, in the pod's order.
func writableDirs(pod *core.Pod, c *core.Container) []string {
	empty := map[string]bool{}
	for _, v := range pod.Spec.Volumes {
		empty[v.Name] = v.EmptyDir != nil
	}
	var out []string
	for _, m := range c.VolumeMounts {
		if empty[m.Name] && !m.ReadOnly && m.SubPath == "" && m.SubPathExpr == "" {
			out = append(out, m.MountPath)
		}
	}
	return out
}

// sharedDirs are the container's mounts that somebody else may write to: another container of the pod, or whoever has
// what is no emptyDir. An init container that has ended writes nothing any more.
func sharedDirs(pod *core.Pod, c *core.Container) []string {
	private := map[string]bool{}
	for _, v := range pod.Spec.Volumes {
		private[v.Name] = v.EmptyDir != nil
	}
	theirs := func(name string, mounts []core.VolumeMount) {
		for _, m := range mounts {
			if name != c.Name && !m.ReadOnly {
				private[m.Name] = false
			}
		}
	}
	for _, other := range pod.Spec.Containers {
		theirs(other.Name, other.VolumeMounts)
	}
	for _, other := range pod.Spec.InitContainers {
		if other.RestartPolicy != nil && *other.RestartPolicy == core.ContainerRestartPolicyAlways {
			theirs(other.Name, other.VolumeMounts)
		}
	}
	for _, other := range pod.Spec.EphemeralContainers {
		theirs(other.Name, other.VolumeMounts)
	}
	var out []string
	for _, m := range c.VolumeMounts {
		if !private[m.Name] && !m.ReadOnly {
			out = append(out, m.MountPath)
		}
	}
	return out
}

// installedAgent is the path in the agent annotation, if it is a path that can be run as it is.
func installedAgent(pod *core.Pod) (string, string) {
	v := pod.Annotations[annAgent]
	if v == "" {
		return "", ""
	}
	if len(v) > 1024 || !path.IsAbs(v) || path.Clean(v) != v || untrusted.Safe(v) != v || strings.ContainsAny(v, " \t") {
		return "", fmt.Sprintf("pod %s: its annotation %s is %q, not a plain absolute path; it is left aside", pod.Name,
			annAgent, untrusted.Safe(v))
	}
	return v, ""
}

// containerProblem says why nothing can be run in the container now.
func containerProblem(pod *core.Pod, container string) string {
	if pod.DeletionTimestamp != nil {
		return "the pod is terminating"
	}
	if pod.Status.Phase != core.PodRunning {
		return "the pod is " + untrusted.Safe(string(pod.Status.Phase)) + law.Reason(pod.Status.Reason)
	}
	for _, s := range pod.Status.ContainerStatuses {
		if s.Name != container {
			continue
		}
		switch {
		case s.State.Running != nil:
			return ""
		case s.State.Waiting != nil:
			return "container " + container + " is waiting" + law.Reason(s.State.Waiting.Reason)
		case s.State.Terminated != nil:
			return "container " + container + " has ended" + law.Reason(s.State.Terminated.Reason)
		}
	}
	return "container " + container + " has not started"
}
