package mesh

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/splitbench/splitbench/internal/law"
)

// justEnded is how long ago a container's end can be why a process in it was killed now.
const justEnded = 2 * time.Minute

// HowItEnded says what became of a process that was killed in a pod; "" where the API server does not know.
func HowItEnded(ctx context.Context, c Client, p law.Pod) string {
	now, err := c.kube.CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err), err == nil && string(now.UID) != p.UID:
		return "pod " + p.Name + " was deleted"
	case err != nil:
		return ""
	case now.DeletionTimestamp != nil:
		return "pod " + p.Name + " is being deleted"
	}
	for _, s := range now.Status.ContainerStatuses {
		if s.Name != p.Container {
			continue
		}
		if t := s.LastTerminationState.Terminated; t != nil && time.Since(t.FinishedAt.Time) < justEnded {
			return "container " + p.Container + " ended: " + t.Reason
		}
	}
	return ""
}
