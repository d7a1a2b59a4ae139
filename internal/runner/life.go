package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"slices"
	"time"

	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/agentbin"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// readyLimit bounds the wait for the pods, which pull an image and may need a node that is not there yet.
const readyLimit = 2 * time.Minute

const (
	lookPause   = 300 * time.Millisecond
	patience    = 2 * time.Second // with a Job that makes no more pods
	deleteLimit = 10 * time.Second
)

// cannot is how an authorizer refuses.
var cannot = regexp.MustCompile(`cannot (create|get|list|delete) resource`)

// Start makes the Job and waits until all of its pods are ready. say is told how far that is. What was made is there
// also after an error: End takes it away.
func Start(ctx context.Context, kube kubernetes.Interface, s Spec, say func(string)) error {
	if _, err := kube.BatchV1().Jobs(s.Namespace).Create(ctx, s.Job(), metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("make Job %s: %s", s.Name, law.Brief(err))
	}
	limit := time.NewTimer(readyLimit)
	defer limit.Stop()
	t := time.NewTicker(lookPause)
	defer t.Stop()
	var now state
	made, since := 0, time.Now() // pods, and since when so many
	for {
		select {
		case <-t.C:
		case <-limit.C:
			return fmt.Errorf("start runner pods: %d of %d were ready after %s: %s", now.ready, s.Pods, readyLimit,
				cmp.Or(now.waiting, "the others did not say why not"))
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		pods, err := kube.CoreV1().Pods(s.Namespace).List(ctx, metav1.ListOptions{LabelSelector: s.Selector()})
		if err != nil {
			now.waiting = law.Brief(err)
			continue
		}
		before := now
		now = stateOf(pods.Items)
		switch {
		case now.failed != "":
			return fmt.Errorf("start runner pods: %s", now.failed)
		case now.ready >= s.Pods:
			return nil
		case now != before:
			say(fmt.Sprintf("%d of %d runner pods are ready", now.ready, s.Pods))
		}
		if len(pods.Items) != made {
			made, since = len(pods.Items), time.Now()
		}
		if made < s.Pods && time.Since(since) > patience { // the Job's controller tries again by itself
			if why := refusal(ctx, kube, s); why != "" {
				return fmt.Errorf("start runner pods: the Job makes none: %s", why)
			}
		}
	}
}

// state is how far the pods are.
type state struct {
	ready   int
	waiting string // why one of the others is not
	failed  string // why one never will be
}

func stateOf(pods []core.Pod) (s state) {
	for i := range pods {
		p := &pods[i]
		name := untrusted.Safe(p.Name)
		for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			if why := hopeless(c); why != "" {
				s.failed = fmt.Sprintf("pod %s, container %s, image %s: %s", name, untrusted.Safe(c.Name),
					untrusted.Short(c.Image, 200), why)
			}
		}
		if p.Status.Phase == core.PodFailed && s.failed == "" {
			s.failed = fmt.Sprintf("pod %s has failed: %s", name,
				untrusted.Short(cmp.Or(p.Status.Message, p.Status.Reason, "nobody says why"), 300))
		}
		for _, c := range p.Status.Conditions {
			switch {
			case c.Type == core.PodReady && c.Status == core.ConditionTrue:
				s.ready++
			case c.Type == core.PodScheduled && c.Status == core.ConditionFalse:
				s.waiting = fmt.Sprintf("pod %s has no node (%s: %s)", name, untrusted.Short(c.Reason, 100),
					untrusted.Short(c.Message, 300))
			}
		}
		if s.waiting == "" && p.Status.Phase == core.PodPending && p.Spec.NodeName != "" {
			s.waiting = fmt.Sprintf("pod %s on node %s has not started", name, untrusted.Safe(p.Spec.NodeName))
		}
	}
	return s
}

// hopeless says why a container will not run, "" where it may.
func hopeless(c core.ContainerStatus) string {
	switch w, end := c.State.Waiting, c.State.Terminated; {
	case w != nil && slices.Contains([]string{
		"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError",
		"CreateContainerError", "RunContainerError", "CrashLoopBackOff",
	}, w.Reason):
		return w.Reason + ": " + untrusted.Short(w.Message, 300)
	case end != nil && c.Name == Container:
		return fmt.Sprintf("it ended with exit code %d (%s): %s", end.ExitCode, untrusted.Short(end.Reason, 100),
			cmp.Or(untrusted.Short(end.Message, 300), "it said nothing"))
	}
	return ""
}

// refusal is why the Job's controller cannot make pods, as far as its events and its conditions tell; "" where they do
// not, or may not be read.
func refusal(ctx context.Context, kube kubernetes.Interface, s Spec) string {
	job, err := kube.BatchV1().Jobs(s.Namespace).Get(ctx, s.Name, metav1.GetOptions{})
	if err == nil {
		for _, c := range job.Status.Conditions {
			if c.Status == core.ConditionTrue && (c.Type == batch.JobFailed || c.Type == batch.JobSuspended) {
				return fmt.Sprintf("it is %s: %s", c.Type, untrusted.Short(cmp.Or(c.Message, c.Reason), 300))
			}
		}
	}
	events, err := kube.CoreV1().Events(s.Namespace).List(ctx, metav1.ListOptions{
		FieldSelector: "involvedObject.kind=Job,involvedObject.name=" + s.Name + ",reason=FailedCreate",
	})
	if err != nil || len(events.Items) == 0 {
		return ""
	}
	return untrusted.Short(events.Items[len(events.Items)-1].Message, 600)
}

// End takes the Job and its pods away, also where ctx has ended. A Job that is not there is as it should be.
func End(ctx context.Context, kube kubernetes.Interface, s Spec) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteLimit)
	defer cancel()
	err := kube.BatchV1().Jobs(s.Namespace).Delete(ctx, s.Name,
		metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)})
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	return errors.New("delete Job " + s.Name + ": " + law.Brief(err))
}

// Command is the first argument of the program in a runner pod; those after it are how long it waits for its first
// session, and for another one after that.
const Command = "runner"

// Exit codes of the program in the pod.
const (
	exitOK    = 0
	exitError = 1
)

// Stand is the program in a runner pod: it puts the agent where it can be run and waits until ctx ends, or until no
// session has been open for too long, which is how it learns that whoever made the pod is gone.
func Stand(ctx context.Context, args []string, stderr io.Writer) int {
	if err := stand(ctx, scratch, "/proc", args); err != nil {
		fmt.Fprintf(stderr, "splitbench %s: %v\n", Command, err)
		return exitError
	}
	return exitOK
}

func stand(ctx context.Context, dir, proc string, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("want FIRST IDLE, two durations: this program runs in pods that splitbench run --runners makes")
	}
	first, err1 := time.ParseDuration(args[0])
	idle, err2 := time.ParseDuration(args[1])
	if err1 != nil || err2 != nil || first <= 0 || idle <= 0 {
		return fmt.Errorf("durations %q and %q: want two above 0, such as 2m0s 30s", args[0], args[1])
	}
	bin, err := agentbin.For(runtime.GOOS, runtime.GOARCH, "")
	if err != nil {
		return err
	}
	if err := install(dir, bin.Data); err != nil {
		return err
	}
	return await(ctx, func() bool { return agent.Serving(proc) }, first, idle)
}

// install puts the agent under its name when it is whole.
func install(dir string, program []byte) error {
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(program)
	if err = errors.Join(err, f.Chmod(0o555), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), dir+"/agent")
}

// look is how often it is looked whether a session is open. One that nobody saw leaves the pod waiting for its first
// for minutes, and an agent whose client was killed may have lived for less than a second.
const look = 50 * time.Millisecond

// await returns when ctx ends or no session has been open for as long as may be.
func await(ctx context.Context, serving func() bool, first, idle time.Duration) error {
	t := time.NewTicker(min(look, idle))
	defer t.Stop()
	patience := time.NewTimer(first)
	defer patience.Stop()
	for {
		select {
		case <-t.C:
			if serving() {
				patience.Reset(idle)
			}
		case <-patience.C:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}
