package mesh

import (
	"context"
	"fmt"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// AllPods asks for every ready pod, up to law.MaxPods.
const AllPods = -1

// otherSources takes further pods that send, in the order in which the first was chosen. Only ready ones can be waited
// for at a start, so others are passed over, and their number is said.
func (d *finder) otherSources(candidates []core.Pod, ready int, label string) error {
	want := d.t.Pods
	if want == AllPods {
		want = law.MaxPods
	}
	for i := range candidates {
		if len(d.snap.Others)+1 >= want {
			break
		}
		if !usable(&candidates[i]) {
			continue
		}
		p, _, err := readPod(&candidates[i], d.t.Container)
		if err != nil {
			return err
		}
		p.Workload = untrusted.Safe(label)
		d.snap.Others = append(d.snap.Others, p)
	}
	if d.t.Pods != AllPods && len(d.snap.Others)+1 < d.t.Pods {
		return notFound("find source pods", untrusted.Safe(label)+" in namespace "+d.t.FromNamespace,
			fmt.Sprintf("%d pods are ready, --pods asks for %d", ready, d.t.Pods), "wait for more, or lower --pods")
	}
	d.note("%d pods fit %s and are ready; %d of them send", ready, untrusted.Safe(label), len(d.snap.Others)+1)
	return nil
}

// pinnedSources reads the further pods of a pinned query again. One that is gone shows as a change.
func (d *finder) pinnedSources(ctx context.Context) error {
	for _, name := range d.t.others {
		pod, err := d.local.kube.CoreV1().Pods(d.t.FromNamespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return apiError(d.local, "read", "pod "+name+" in namespace "+d.t.FromNamespace, err)
		}
		p, _, err := readPod(pod, d.t.Container)
		if err != nil {
			return err
		}
		d.snap.Others = append(d.snap.Others, p)
	}
	return nil
}
