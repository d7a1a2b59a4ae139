package mesh

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	core "k8s.io/api/core/v1"
)

// Who else can write where an upload would lie: another container, one that was added for debugging, whoever has the
// volume. One that only reads, or has ended, cannot.
func TestSharedDirs(t *testing.T) {
	empty := func(name string) core.Volume {
		return core.Volume{Name: name, VolumeSource: core.VolumeSource{EmptyDir: &core.EmptyDirVolumeSource{}}}
	}
	mounts := func(names ...string) (all []core.VolumeMount) {
		for _, n := range names {
			all = append(all, core.VolumeMount{Name: n, MountPath: "/" + n})
		}
		return all
	}
	always := core.ContainerRestartPolicyAlways
	pod := &core.Pod{Spec: core.PodSpec{
		Volumes: []core.Volume{
			empty("own"), empty("both"), empty("read"), empty("init"), empty("native"), empty("debug"),
			{Name: "host", VolumeSource: core.VolumeSource{HostPath: &core.HostPathVolumeSource{}}},
		},
		Containers: []core.Container{
			{Name: "app", VolumeMounts: mounts("own", "both", "read", "init", "native", "debug", "host")},
			{Name: "other", VolumeMounts: append(mounts("both"), core.VolumeMount{Name: "read", ReadOnly: true})},
		},
		InitContainers: []core.Container{
			{Name: "ended", VolumeMounts: mounts("init")}, {Name: "sidecar", RestartPolicy: &always, VolumeMounts: mounts("native")},
		},
		EphemeralContainers: []core.EphemeralContainer{
			{EphemeralContainerCommon: core.EphemeralContainerCommon{Name: "debugger", VolumeMounts: mounts("debug")}},
		},
	}}
	want := []string{"/both", "/native", "/debug", "/host"}
	if diff := cmp.Diff(want, sharedDirs(pod, &pod.Spec.Containers[0])); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
