package podexec

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// Ephemeral is a container to add to a running pod. It shares the pod's network, so that rules which redirect traffic
// into a mesh hold for it too. It cannot be taken away again: when its command has ended, its entry stays in the pod's
// spec.
type Ephemeral struct {
	Image   string
	Command []string // should end by itself
}

// How long an ephemeral container may take to run, which includes the pull of its image, and how often that is looked
// at.
const (
	ephemeralLimit = time.Minute
	ephemeralPause = 100 * time.Millisecond
)

// EphemeralError says why an ephemeral container does not run.
type EphemeralError struct {
	Image  string
	Reason string // the kubelet's word, such as ErrImagePull
	Text   string
}

// Error repeats what the kubelet said.
func (e *EphemeralError) Error() string {
	return fmt.Sprintf("ephemeral container of image %s does not run: %s: %s",
		clean(e.Image), clean(e.Reason), clean(e.Text))
}

// AddEphemeral adds the container to the pod of t, whose Container it names as its target, waits until it runs, and
// returns its name. It needs the verb patch on pods/ephemeralcontainers, and get on pods. Errors: [*ForbiddenError],
// [*NotFoundError], [*EphemeralError], [*UnreachableError], and one that wraps ctx.Err().
func AddEphemeral(ctx context.Context, cfg *rest.Config, t Target, e Ephemeral) (string, error) {
	c, err := New(cfg, t, Options{})
	if err != nil {
		return "", err
	}
	var digits [4]byte
	if _, err := rand.Read(digits[:]); err != nil {
		return "", fmt.Errorf("name an ephemeral container: %w", err)
	}
	name := "splitbench-" + hex.EncodeToString(digits[:])
	no := false
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"ephemeralContainers": []corev1.EphemeralContainer{{
		TargetContainerName: t.Container,
		EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			Name: name, Image: e.Image, Command: e.Command, ImagePullPolicy: corev1.PullIfNotPresent,
			SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: &no},
		},
	}}}})
	if err != nil {
		return "", fmt.Errorf("add ephemeral container to %s: %w", t, err)
	}
	slow := &EphemeralError{e.Image, "slow", "it was not running after " + ephemeralLimit.String()}
	ctx, cancel := context.WithTimeoutCause(ctx, ephemeralLimit, slow)
	defer cancel()
	err = c.base.Patch(types.StrategicMergePatchType).Namespace(t.Namespace).Resource("pods").Name(t.Pod).
		SubResource("ephemeralcontainers").Body(patch).Do(ctx).Error()
	if err != nil {
		return "", fmt.Errorf("add ephemeral container to %s: %w", t, c.refused(err, "patch on pods/ephemeralcontainers"))
	}
	if err := c.awaitEphemeral(ctx, name, e.Image); err != nil {
		return "", fmt.Errorf("start ephemeral container %s in %s: %w", name, t, err)
	}
	return name, nil
}

// refused names the API server's refusals as Exec does.
func (c *Container) refused(err error, verb string) error {
	switch {
	case apierrors.IsForbidden(err):
		return &ForbiddenError{Status: http.StatusForbidden, Verb: verb, Err: err}
	case apierrors.IsUnauthorized(err):
		return &ForbiddenError{Status: http.StatusUnauthorized, Err: err}
	case apierrors.IsNotFound(err):
		return &NotFoundError{Err: err}
	}
	return &UnreachableError{Host: c.cfg.Host, Err: err}
}

// awaitEphemeral looks at the pod until the container runs.
func (c *Container) awaitEphemeral(ctx context.Context, name, image string) error {
	tick := time.NewTicker(ephemeralPause)
	defer tick.Stop()
	for {
		var pod corev1.Pod
		get := c.base.Get().Namespace(c.target.Namespace).Resource("pods").Name(c.target.Pod)
		if err := get.Do(ctx).Into(&pod); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return c.refused(err, "get on pods")
		}
		for _, s := range pod.Status.EphemeralContainerStatuses {
			if s.Name != name {
				continue
			}
			switch w := s.State.Waiting; {
			case s.State.Running != nil:
				return nil
			case s.State.Terminated != nil:
				return &EphemeralError{image, s.State.Terminated.Reason, s.State.Terminated.Message}
			case w != nil && w.Reason != "ContainerCreating" && w.Reason != "PodInitializing" && w.Reason != "":
				return &EphemeralError{image, w.Reason, w.Message}
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
