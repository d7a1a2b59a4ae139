package demo

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/exec"
	criremote "k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/klog/v2"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/wsstream"

	"github.com/splitbench/splitbench/internal/agent"
)

const (
	// agentAnnotation is how a pod says that the agent is installed, and where.
	agentAnnotation = "splitbench.io/agent"
	// execIdle is how long an exec may be silent; the kubelet's value.
	execIdle = 4 * time.Hour
	// execSetup is how long a client may take to open its streams; Close may have to wait for it.
	execSetup = 5 * time.Second
	// exitKilled is how a runtime reports a process that SIGKILL ended.
	exitKilled = 137
)

// vantage is where a process runs, as far as its network depends on it.
type vantage struct {
	cluster string
	pod     string
	meshed  bool
}

// serveExec runs a command in a container. The v5 WebSocket is served here as API servers do, because the kubelet's
// code ends at v4; everything else goes to that code.
func (c *cluster) serveExec(w http.ResponseWriter, r *http.Request, t target) error {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		return apierrors.NewMethodNotSupported(t.groupResource(), strings.ToLower(r.Method))
	}
	o, err := c.lookup(t)
	if err != nil {
		return err
	}
	pod, err := decode[corev1.Pod](o)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	q := r.URL.Query()
	container, err := containerOf(pod, q.Get("container"))
	if err != nil {
		return err
	}
	argv := q["command"]
	if len(argv) == 0 {
		return apierrors.NewBadRequest("you must specify at least 1 command for the container")
	}
	if !httpstream.IsUpgradeRequest(r) {
		return apierrors.NewBadRequest("Upgrade request required")
	}
	opts := execOptions(q)
	if !opts.Stdin && !opts.Stdout && !opts.Stderr {
		return apierrors.NewBadRequest("you must specify at least 1 of stdin, stdout, stderr")
	}
	// net/http stops watching a hijacked connection, so its end is found by reading it. What the streaming libraries
	// log is about connections that end, which they do here all the time.
	ctx, cancel := context.WithCancel(klog.NewContext(r.Context(), klog.Logger{}))
	defer cancel()
	h := &hijacker{ResponseWriter: w, life: c.life, gone: cancel}
	defer h.release()
	r = r.WithContext(ctx)
	p := &process{cluster: c, pod: pod, container: container}
	if wsstream.IsWebSocketRequestWithStreamCloseProtocol(r) {
		serveWebSocket(h, r, opts, func(in io.Reader, out, err io.Writer) error { return p.run(ctx, argv, in, out, err) })
		return nil
	}
	criremote.ServeExec(h, r, p, pod.Name, string(pod.UID), container, argv, opts, execIdle, execSetup,
		criremote.SupportedStreamingProtocols)
	return nil
}

// containerOf chooses as the API server does, and refuses in its words.
func containerOf(pod *corev1.Pod, asked string) (string, error) {
	var names []string
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		names = append(names, c.Name)
	}
	switch {
	case asked != "" && slices.Contains(names, asked):
		return asked, nil
	case asked != "":
		return "", apierrors.NewBadRequest(fmt.Sprintf("container %s is not valid for pod %s", asked, pod.Name))
	case len(pod.Spec.Containers) == 1:
		return pod.Spec.Containers[0].Name, nil
	}
	return "", apierrors.NewBadRequest(fmt.Sprintf("a container name must be specified for pod %s, choose one of: %s",
		pod.Name, names))
}

func execOptions(q url.Values) *criremote.Options {
	is := func(name string) bool {
		v, _ := strconv.ParseBool(q.Get(name))
		return v
	}
	o := &criremote.Options{Stdin: is("stdin"), Stdout: is("stdout"), Stderr: is("stderr"), TTY: is("tty")}
	o.Stderr = o.Stderr && !o.TTY
	return o
}

// process is one exec in one container.
type process struct {
	cluster   *cluster
	pod       *corev1.Pod
	container string
}

var _ criremote.Executor = (*process)(nil)

// ExecInContainer is what the kubelet's code calls.
func (p *process) ExecInContainer(ctx context.Context, _, _, _ string, cmd []string, in io.Reader,
	out, stderr io.WriteCloser, _ bool, _ <-chan criremote.TerminalSize, _ time.Duration,
) error {
	return p.run(ctx, cmd, in, out, stderr)
}

// run ends when the agent does; the agent ends when ctx does or its stdin closes. A command that is not the agent
// gives the error that containerd gives, an exit code other than 0 an error of type exec.CodeExitError.
func (p *process) run(ctx context.Context, argv []string, in io.Reader, out, stderr io.Writer) error {
	c := p.cluster
	if argv[0] != p.pod.Annotations[agentAnnotation] || c.proxies[p.container] {
		why := "executable file not found in $PATH"
		if strings.Contains(argv[0], "/") {
			why = "stat " + argv[0] + ": no such file or directory"
		}
		return fmt.Errorf("failed to exec in container: failed to start exec: OCI runtime exec failed: exec failed: "+
			"unable to start container process: exec: %q: %s: unknown", argv[0], why)
	}
	if in == nil {
		in = strings.NewReader("")
	}
	if out == nil {
		out = io.Discard
	}
	if stderr == nil {
		stderr = io.Discard
	}
	if c.runner.mend != nil && len(argv) > 1 && argv[1] == agent.ArgServe {
		in, out = c.runner.mend(p.pod.Name, in, out)
	}
	from := vantage{cluster: c.site.Cluster, pod: p.pod.Name, meshed: slices.ContainsFunc(p.pod.Spec.Containers,
		func(x corev1.Container) bool { return c.proxies[x.Name] })}
	ctx, end := c.whileThere(ctx, p.pod)
	o := agent.ServeOptions{Dial: c.runner.dialer(from)}
	if c.runner.told != nil {
		c.runner.told(&o)
	}
	code := c.runner.main(ctx, argv[1:], in, out, stderr, o)
	if ctx.Err() != nil { // whatever it says: it was cut off, as by a runtime that kills its container
		code = exitKilled
	}
	end()
	if code != 0 {
		return exec.CodeExitError{Err: fmt.Errorf("command terminated with exit code %d", code), Code: code}
	}
	return nil
}

// whileThere ends the context when the pod is gone. The returned function must be called.
func (c *cluster) whileThere(ctx context.Context, pod *corev1.Pod) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		defer cancel()
		for ctx.Err() == nil {
			_, _, changed := c.store.since(math.MaxInt64)
			if o, ok := c.store.get(key{"pods", pod.Namespace, pod.Name}); !ok || o.GetUID() != pod.UID {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	})
	return ctx, func() { cancel(); watching.Wait() }
}
