// Package runner makes pods that send in the place of a workload's own: an Indexed Job of meshed pods that have the
// workload's ServiceAccount, node selector and mesh annotations, and none of its labels, so that no Service selects
// them.
//
// The pods end by themselves when nobody is heard of any more, and the Job goes with them: what this package makes is
// gone also where the program that made it was killed.
package runner

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/splitbench/splitbench/internal/law"
)

const (
	// Container is the one that the agent runs in.
	Container = "splitbench"
	// AgentPath is where the program in the pod puts the agent that it has inside.
	AgentPath = scratch + "/agent"

	scratch       = "/run/splitbench" // an emptyDir: the only place that can be written to
	labelRunner   = "splitbench.io/runner"
	labelManaged  = "app.kubernetes.io/managed-by"
	annAgent      = "splitbench.io/agent"
	annContainer  = "kubectl.kubernetes.io/default-container"
	labelHostname = "kubernetes.io/hostname"
	labelZone     = "topology.kubernetes.io/zone"
)

// How soon what has ended is taken away. A proxy that is a container like any other would outlive the pod's own by the
// whole grace, so that is short.
const (
	graceSeconds = 1
	ttlSeconds   = 3
)

// Resources are amounts of what a container may have, such as cpu and memory.
type Resources = core.ResourceList

// Spec is what a Job of runner pods is to be.
type Spec struct {
	Name      string // of the Job
	Namespace string
	Workload  core.PodTemplateSpec // whose pods they stand in for
	Pods      int
	Image     string
	Requests  Resources
	Limits    Resources
	Lifetime  time.Duration // the Job is ended after it, whatever happens; 0: without end
	Idle      time.Duration // a pod ends itself when no session was open for so long
}

// Selector is the label selector of the pods.
func (s Spec) Selector() string { return labelRunner + "=" + s.Name }

// labels are all that the pods have, but for those that an injector goes by.
func (s Spec) labels() map[string]string {
	return map[string]string{labelManaged: "splitbench", labelRunner: s.Name}
}

// Job is the Job. A pod that fails is not replaced and does not end the others: the API server would end all of them
// where a Job has one backoffLimit for all.
func (s Spec) Job() *batch.Job {
	job := &batch.Job{
		TypeMeta:   metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: metav1.ObjectMeta{Name: s.Name, Namespace: s.Namespace, Labels: s.labels()},
		Spec: batch.JobSpec{
			CompletionMode: new(batch.IndexedCompletion), Parallelism: new(int32(s.Pods)), Completions: new(int32(s.Pods)),
			BackoffLimitPerIndex: new(int32(0)), BackoffLimit: new(int32(s.Pods)), PodReplacementPolicy: new(batch.Failed),
			TTLSecondsAfterFinished: new(int32(ttlSeconds)),
			Template:                s.template(),
		},
	}
	if s.Lifetime > 0 {
		job.Spec.ActiveDeadlineSeconds = new(int64(s.Lifetime.Seconds()))
	}
	return job
}

// Pod is one of the pods, as the Job's controller would ask for it.
func (s Spec) Pod() *core.Pod {
	t := s.template()
	t.Name, t.Namespace = s.Name+"-0", s.Namespace
	return &core.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: t.ObjectMeta, Spec: t.Spec,
	}
}

func (s Spec) template() core.PodTemplateSpec {
	theirs := s.Workload.Spec
	meta := metav1.ObjectMeta{
		Labels: s.labels(), Annotations: map[string]string{annAgent: AgentPath, annContainer: Container},
	}
	for name, value := range law.LabelsForInjectors(s.Workload.Labels) {
		meta.Labels[name] = value
	}
	for name, value := range law.ForInjectors(s.Workload.Annotations) {
		meta.Annotations[name] = value
	}
	var affinity *core.Affinity
	if a := theirs.Affinity; a != nil && a.NodeAffinity != nil { // affinity to pods is about their labels
		affinity = &core.Affinity{NodeAffinity: a.NodeAffinity}
	}
	return core.PodTemplateSpec{ObjectMeta: meta, Spec: core.PodSpec{
		ServiceAccountName: theirs.ServiceAccountName, AutomountServiceAccountToken: theirs.AutomountServiceAccountToken,
		NodeSelector: theirs.NodeSelector, Tolerations: theirs.Tolerations, Affinity: affinity,
		DNSPolicy: theirs.DNSPolicy, DNSConfig: theirs.DNSConfig, HostAliases: theirs.HostAliases,
		ImagePullSecrets: theirs.ImagePullSecrets, PriorityClassName: theirs.PriorityClassName,
		RestartPolicy: core.RestartPolicyNever, TerminationGracePeriodSeconds: new(int64(graceSeconds)),
		TopologySpreadConstraints: []core.TopologySpreadConstraint{s.spread(labelHostname), s.spread(labelZone)},
		SecurityContext: &core.PodSecurityContext{
			RunAsNonRoot: new(true), SeccompProfile: &core.SeccompProfile{Type: core.SeccompProfileTypeRuntimeDefault},
		},
		Volumes:    []core.Volume{{Name: "scratch", VolumeSource: core.VolumeSource{EmptyDir: &core.EmptyDirVolumeSource{}}}},
		Containers: []core.Container{s.container()},
	}}
}

// spread keeps the pods apart where it can.
func (s Spec) spread(by string) core.TopologySpreadConstraint {
	return core.TopologySpreadConstraint{
		MaxSkew: 1, TopologyKey: by, WhenUnsatisfiable: core.ScheduleAnyway,
		LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{labelRunner: s.Name}},
	}
}

// container runs the image's own program, wherever the image has it, which waits for sessions. The pod is ready when
// the agent is in its place.
func (s Spec) container() core.Container {
	return core.Container{
		Name: Container, Image: s.Image, ImagePullPolicy: core.PullIfNotPresent,
		Args:      []string{Command, (readyLimit + s.Idle).String(), s.Idle.String()},
		Resources: core.ResourceRequirements{Requests: s.Requests, Limits: s.Limits},
		SecurityContext: &core.SecurityContext{
			AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true), RunAsNonRoot: new(true),
			Capabilities: &core.Capabilities{Drop: []core.Capability{"ALL"}},
		},
		StartupProbe: &core.Probe{
			ProbeHandler:  core.ProbeHandler{Exec: &core.ExecAction{Command: []string{AgentPath, "--version"}}},
			PeriodSeconds: 1, TimeoutSeconds: 5, FailureThreshold: int32(readyLimit.Seconds()),
		},
		TerminationMessagePolicy: core.TerminationMessageFallbackToLogsOnError,
		VolumeMounts:             []core.VolumeMount{{Name: "scratch", MountPath: scratch}},
	}
}

// Source is what is known of one of the pods before there is any.
func (s Spec) Source() law.Pod {
	return law.Pod{
		Namespace: s.Namespace, Name: fmt.Sprintf("%s-0 to -%d", s.Name, s.Pods-1), Container: Container,
		ContainerWhy: "of the runner pods", Image: s.Image, AgentPath: AgentPath,
	}
}

// NewName is a name for a Job that no other has.
func NewName() (string, error) {
	var b [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("name a Job: %w", err)
	}
	return fmt.Sprintf("splitbench-%x", b), nil
}

// ParseResources reads amounts such as cpu=100m,memory=64Mi.
func ParseResources(text string) (Resources, error) {
	out := Resources{}
	for part := range strings.SplitSeq(text, ",") {
		name, amount, _ := strings.Cut(strings.TrimSpace(part), "=")
		q, err := resource.ParseQuantity(amount)
		if err != nil || name == "" || q.Sign() < 0 {
			return nil, fmt.Errorf("want amounts such as cpu=100m,memory=64Mi")
		}
		out[core.ResourceName(name)] = q
	}
	return out, nil
}
