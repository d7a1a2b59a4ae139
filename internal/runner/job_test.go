package runner

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// workload is a pod template as an injector and a user leave it: what decides about the mesh, what an injector has written, and
// what is the application's own.
const workload = `
metadata:
  labels: {app: frontend, sidecar.istio.io/inject: "true", istio.io/rev: canary, service.istio.io/canonical-name: frontend}
  annotations:
    linkerd.io/inject: enabled
    config.linkerd.io/proxy-cpu-request: 100m
    linkerd.io/proxy-version: edge-26.8.3
    linkerd.io/created-by: linkerd/proxy-injector edge-26.8.3
    sidecar.istio.io/status: '{"containers":["istio-proxy"]}'
    traffic.sidecar.istio.io/excludeOutboundPorts: "9"
    prometheus.io/scrape: "true"
    notlinkerd.io/x: "1"
spec:
  serviceAccountName: frontend
  nodeSelector: {pool: web}
  tolerations: [{key: dedicated, operator: Exists}]
  hostNetwork: true
  affinity:
    nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}]}}
    podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname}]}
  imagePullSecrets: [{name: registry}]
  volumes: [{name: secrets, secret: {secretName: frontend}}]
  containers: [{name: nginx, image: nginx}]
`

func spec(t *testing.T) Spec {
	t.Helper()
	s := Spec{Name: "splitbench-1", Namespace: "test", Pods: 8, Image: "splitbench.local/splitbench:dev", Lifetime: 5 * time.Minute, Idle: 30 * time.Second}
	if err := yaml.UnmarshalStrict([]byte(workload), &s.Workload); err != nil {
		t.Fatal(err)
	}
	return s
}

// The pods have the workload's identity, place and mesh, and nothing by which a Service, a policy or a controller could take them
// for the workload's.
func TestPodsAreTheWorkloadsInNothingButIdentityAndPlace(t *testing.T) {
	job := spec(t).Job()
	pod := job.Spec.Template
	if d := cmp.Diff(map[string]string{
		"app.kubernetes.io/managed-by": "splitbench", "splitbench.io/runner": "splitbench-1",
		"sidecar.istio.io/inject": "true", "istio.io/rev": "canary",
	}, pod.Labels); d != "" {
		t.Errorf("labels (-want +got):\n%s", d)
	}
	want := []string{
		"config.linkerd.io/proxy-cpu-request", "kubectl.kubernetes.io/default-container", "linkerd.io/inject", "splitbench.io/agent",
		"traffic.sidecar.istio.io/excludeOutboundPorts",
	}
	if d := cmp.Diff(want, slices.Sorted(maps.Keys(pod.Annotations))); d != "" {
		t.Errorf("annotations (-want +got):\n%s", d)
	}
	p := pod.Spec
	if p.ServiceAccountName != "frontend" || p.NodeSelector["pool"] != "web" || len(p.Tolerations) != 1 || p.Affinity.NodeAffinity == nil ||
		p.Affinity.PodAntiAffinity != nil || p.HostNetwork || len(p.ImagePullSecrets) != 1 || len(p.Containers) != 1 || len(p.Volumes) != 1 {
		t.Errorf("spec %+v", p)
	}
	for _, by := range []string{"kubernetes.io/hostname", "topology.kubernetes.io/zone"} {
		if !slices.ContainsFunc(p.TopologySpreadConstraints, func(c core.TopologySpreadConstraint) bool { return c.TopologyKey == by }) {
			t.Errorf("not spread over %s", by)
		}
	}
}

// Nobody has to be there for the Job to end, and a pod that fails neither comes again nor takes the others along.
func TestAJobEndsByItself(t *testing.T) {
	s := spec(t)
	j := s.Job().Spec
	if *j.Parallelism != 8 || *j.Completions != 8 || *j.CompletionMode != batch.IndexedCompletion || *j.ActiveDeadlineSeconds != 300 ||
		*j.TTLSecondsAfterFinished > 10 || *j.BackoffLimitPerIndex != 0 || *j.PodReplacementPolicy != batch.Failed ||
		j.Template.Spec.RestartPolicy != core.RestartPolicyNever || *j.Template.Spec.TerminationGracePeriodSeconds > 3 {
		t.Errorf("%+v", j)
	}
	s.Lifetime = 0
	if j := s.Job().Spec; j.ActiveDeadlineSeconds != nil {
		t.Errorf("a watch without end has a deadline of %d s", *j.ActiveDeadlineSeconds)
	}
}

// The fields that the restricted profile of the Pod Security Standards wants; that it takes the pods is tested on a cluster.
func TestContainersAreRestricted(t *testing.T) {
	pod := spec(t).Pod()
	c := pod.Spec.Containers[0].SecurityContext
	if !*pod.Spec.SecurityContext.RunAsNonRoot || pod.Spec.SecurityContext.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault ||
		*c.AllowPrivilegeEscalation || !*c.ReadOnlyRootFilesystem || c.Capabilities.Drop[0] != "ALL" || len(c.Capabilities.Add) != 0 {
		t.Errorf("%+v %+v", pod.Spec.SecurityContext, c)
	}
}

func TestParseResources(t *testing.T) {
	for text, ok := range map[string]bool{
		"cpu=100m,memory=64Mi": true, "memory=1Gi": true, " cpu=1 , memory=1G": true,
		"": false, "cpu": false, "cpu=x": false, "=1": false, "cpu=-1": false,
	} {
		if got, err := ParseResources(text); (err == nil) != ok {
			t.Errorf("%q: %v, %v", text, got, err)
		} else if err != nil && !strings.Contains(err.Error(), "cpu=100m,memory=64Mi") {
			t.Errorf("%q: %v does not say what is wanted", text, err)
		}
	}
}
