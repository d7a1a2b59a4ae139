package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/agentbin"
	"github.com/splitbench/splitbench/internal/curl"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
	"github.com/splitbench/splitbench/podexec"
)

// Via is a way to get the load generator into the pod.
type Via string

// The ways, in the order in which ViaAuto tries them; an ephemeral container stays in the pod's spec for ever, so only
// somebody who asks for it gets it.
const (
	ViaAuto      Via = "auto"
	ViaPresent   Via = "present"   // the agent is installed in the image, as the pod's annotation says
	ViaUpload    Via = "upload"    // a file that is put into the container and unlinks itself
	ViaCurl      Via = "curl"      // curl or wget of the image: few requests, one after the other
	ViaEphemeral Via = "ephemeral" // an ephemeral container, in which the agent is put
)

// Vias are all ways that a run may be told to take.
func Vias() []Via { return []Via{ViaAuto, ViaPresent, ViaUpload, ViaCurl, ViaEphemeral} }

// session is the near end of the generator in one pod: the agent's client, or one that drives what the image has.
type session interface {
	fetcher
	// Hello is what the far end said of itself.
	Hello() wire.HelloMessage
	// AttackFrom is as agent.Client's.
	AttackFrom(context.Context, attack.Plan, agent.Start, *wire.Totals) iter.Seq2[attack.Result, error]
	Close() error
}

var _ session = (*agent.Client)(nil)

// sessionMargin is how much longer than the planned sending the agent may live: probes, warm-up, stragglers.
const sessionMargin = 2 * time.Minute

// deadlineGrace is how much later this side gives up: an agent may wait for the one before it to end.
const deadlineGrace = 15 * time.Second

// openSession gets a generator into a pod and starts it. The session lives until it is closed, also after ctx: a run
// that is interrupted still fetches what the agent has, and says goodbye.
func (r *run) openSession(ctx context.Context, l ladder) (session, record.AgentFacts, error) {
	l.cfg, l.options.Stderr, l.agents = r.cfg, r.log, r.agents
	s, facts, err := l.provide(ctx)
	if err != nil {
		return nil, facts, err
	}
	if uid := s.Hello().UID; uid == law.UserOf(r.m.Law().Provider) && r.m.Before.Through == nil {
		err = fmt.Errorf("start agent in container %q: it runs as user %d, whose requests bypass the mesh; "+
			"name another container with -c", l.pod.Container, uid)
		return nil, facts, errors.Join(err, s.Close())
	}
	if err := r.ofThisVersion(s.Hello()); err != nil {
		return nil, facts, errors.Join(err, s.Close())
	}
	return s, facts, nil
}

// ladder is what is needed to get a load generator into a pod and to open a session with it.
type ladder struct {
	cfg     Config
	pod     law.Pod
	plan    attack.Plan
	length  time.Duration // of the sending
	after   int           // process that must have ended; 0: none
	options agent.ClientOptions

	agents    *agents
	container *podexec.Container // the pod's own
}

// errNotThere says that a way is not open in this pod, which is no failure.
type errNotThere struct{ why string }

func (e *errNotThere) Error() string { return e.why }

// provide goes down the ladder until a session is open. The facts are what was tried, also after an error.
func (l ladder) provide(ctx context.Context) (s session, facts record.AgentFacts, err error) {
	if l.container, err = l.containerOf(l.pod.Container); err != nil {
		return nil, facts, err
	}
	ways := []Via{l.cfg.Via}
	if l.cfg.Via == "" || l.cfg.Via == ViaAuto {
		ways = []Via{ViaPresent, ViaUpload, ViaCurl}
	}
	var failed []error
	for _, way := range ways {
		s, how, err := l.open(ctx, way)
		if err == nil {
			facts.Steps = append(facts.Steps, record.Step{Via: string(way), Used: true, Seen: how})
			facts.How, facts.Transport, facts.Hello = how, string(l.container.Protocol()), s.Hello()
			return s, facts, nil
		}
		facts.Steps = append(facts.Steps, record.Step{Via: string(way), Seen: untrusted.Error(err)})
		more := len(ways) > 1 && ctx.Err() == nil
		if _, absent := errors.AsType[*errNotThere](err); absent && more {
			continue
		}
		failed = append(failed, err)
		if !more || !nextMayDo(err) {
			break
		}
	}
	return nil, facts, errors.Join(failed...)
}

// containerOf is a container of the pod.
func (l ladder) containerOf(name string) (*podexec.Container, error) {
	return podexec.New(l.cfg.REST, podexec.Target{Namespace: l.pod.Namespace, Pod: l.pod.Name, Container: name},
		podexec.Options{Protocol: l.cfg.Protocol})
}

// nextMayDo reports whether another way may do better: not where nothing can be run in the pod at all.
func nextMayDo(err error) bool {
	var upload *podexec.UploadError
	var noShell *podexec.NoShellError
	var start *podexec.StartError
	var noAgent *agentbin.NoAgentError
	var version *wire.VersionError
	var noTool *curl.NoToolError
	return errors.As(err, &noTool) || errors.As(err, &upload) || errors.As(err, &noShell) ||
		errors.As(err, &start) || errors.As(err, &noAgent) || errors.As(err, &version)
}

// open opens a session and says how.
func (l ladder) open(ctx context.Context, way Via) (session, string, error) {
	switch way {
	case ViaPresent:
		return l.present(ctx)
	case ViaUpload:
		return l.upload(ctx, l.container)
	case ViaCurl:
		return l.curl(ctx)
	case ViaEphemeral:
		return l.ephemeral(ctx)
	case ViaAuto:
	}
	return nil, "", record.Usagef("--via %q: want auto, present, upload, curl or ephemeral", string(way))
}

// present starts the agent that the pod says it has.
func (l ladder) present(ctx context.Context) (session, string, error) {
	path := l.pod.AgentPath
	if path == "" {
		return nil, "", &errNotThere{"the pod has no annotation splitbench.io/agent"}
	}
	s, err := l.serve(ctx, l.container, path)
	if err != nil {
		return nil, "", fmt.Errorf("use the agent that pod %s says is installed at %q: %w", l.pod.Name, untrusted.Safe(path),
			err)
	}
	h := s.Hello()
	return s, untrusted.Safe(fmt.Sprintf("installed: splitbench-agent %s protocol %d %s/%s", h.Version, h.Protocol, h.OS,
		h.Arch)), nil
}

// uploadLimit is how long it may take to get the agent into a pod and to hear from it.
const uploadLimit = 5 * time.Minute

// upload puts the agent into a container and starts it.
func (l ladder) upload(ctx context.Context, c *podexec.Container) (session, string, error) {
	goos, arch, err := platform(ctx, c, l.pod)
	if err != nil {
		return nil, "", err
	}
	bin, err := l.agents.get(goos, arch, l.cfg.Self)
	if err != nil {
		return nil, "", err
	}
	name, err := podexec.UploadName(bin.Data, rand.Reader)
	if err != nil {
		return nil, "", err
	}
	u := podexec.Upload{Data: bin.Data, Packed: bin.Packed, Name: name}
	if c == l.container { // another one has other mounts
		u.Dirs, u.Shared = l.pod.WritableDirs, l.pod.SharedDirs
	}
	program, err := c.Upload(u)
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, uploadLimit, fmt.Errorf("the agent is not there after %s", uploadLimit))
	defer cancel()
	l.options.Running = program.Running()
	s, err := l.serve(ctx, program)
	sent := program.Sent()
	if err != nil {
		err = fmt.Errorf("upload the agent to container %s of pod %s: %w", c.Target().Container, l.pod.Name, err)
		return nil, "", errors.Join(err, remove(ctx, c, sent.Path))
	}
	travelled := "as it is"
	if sent.By != "" {
		travelled = fmt.Sprintf("as %d bytes, unpacked by %s,", sent.Bytes, sent.By)
	}
	return s, fmt.Sprintf("uploaded to %s (%s, %s/%s, %d bytes, sent %s in %.2gs, SHA-256 checked)",
		untrusted.Safe(sent.Path), bin.Source, goos, arch, len(bin.Data), travelled, sent.Took.Seconds()), nil
}

// agents are the programs that were prepared for pods of a run; nil: each is prepared anew.
type agents struct {
	mu sync.Mutex
	by map[string]agentbin.Agent
}

func (a *agents) get(goos, arch, self string) (agentbin.Agent, error) {
	if a == nil {
		return agentbin.For(goos, arch, self)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	key := goos + "/" + arch
	if have, ok := a.by[key]; ok {
		return have, nil
	}
	bin, err := agentbin.For(goos, arch, self)
	if err == nil {
		a.by[key] = bin
	}
	return bin, err
}

// curl drives the image's own curl or wget.
func (l ladder) curl(ctx context.Context) (session, string, error) {
	if err := curl.Check(l.plan); err != nil {
		return nil, "", err
	}
	c, err := curl.Open(ctx, l.container, curl.Options{Progress: l.options.Progress, Verified: l.options.Verified})
	if err != nil {
		return nil, "", err
	}
	return curlSession{c}, untrusted.Safe(c.Hello().Version) + " of the image, one request after the other", nil
}

// ephemeral adds an ephemeral container to the pod, puts the agent there and starts it. The container ends by itself
// with the session's deadline; Kubernetes keeps its entry in the pod's spec.
func (l ladder) ephemeral(ctx context.Context) (session, string, error) {
	name, err := podexec.AddEphemeral(ctx, mesh.Guarded(l.cfg.REST), l.container.Target(), podexec.Ephemeral{
		Image: l.cfg.Image, Command: []string{"sleep", fmt.Sprint(int((l.length + sessionMargin).Seconds()) + 1)},
	})
	if err != nil {
		return nil, "", err
	}
	c, err := l.containerOf(name)
	if err != nil {
		return nil, "", err
	}
	s, how, err := l.upload(ctx, c)
	return s, fmt.Sprintf("ephemeral container %s of image %s, which stays in the pod's spec: %s",
		name, untrusted.Safe(l.cfg.Image), how), err
}

// serve starts the agent that program, and what is told to it, run.
func (l ladder) serve(ctx context.Context, x agent.Execer, program ...string) (session, error) {
	deadline := (l.length + sessionMargin).Round(time.Second)
	l.options.Deadline = deadline + deadlineGrace
	argv := append(program, agent.ArgServe, deadline.String())
	if l.after > 0 {
		argv = append(argv, strconv.Itoa(l.after))
	}
	client, err := agent.Open(ctx, x, argv, l.options)
	if err != nil {
		return nil, err // no client in the interface
	}
	return client, nil
}

// removeLimit bounds taking back an upload.
const removeLimit = 5 * time.Second

// remove takes back an upload whose agent ran, but did not come up and unlink itself.
func remove(ctx context.Context, c *podexec.Container, path string) error {
	if path == "" {
		return nil // nothing ran, and the command that was to put it there took it along
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeLimit)
	defer cancel()
	if err := c.Exec(ctx, []string{"rm", "-f", "--", path}, nil, io.Discard, io.Discard); err != nil {
		return fmt.Errorf("the uploaded agent %s may still be in the pod: %w", untrusted.Safe(path), err)
	}
	return nil
}

// platform is the node's, or what the container's uname says where the node may not be read.
func platform(ctx context.Context, c *podexec.Container, pod law.Pod) (goos, arch string, err error) {
	if pod.OS != "" && pod.Arch != "" {
		return pod.OS, pod.Arch, nil
	}
	out, err := output(ctx, c, "uname", "-sm")
	if err != nil {
		return "", "", fmt.Errorf("find the platform of pod %s: its node may not be read, and uname failed: %w", pod.Name,
			err)
	}
	system, machine, _ := strings.Cut(strings.ToLower(strings.TrimSpace(out)), " ")
	switch machine {
	case "x86_64":
		machine = "amd64"
	case "aarch64":
		machine = "arm64"
	}
	return system, machine, nil
}

// maxOutput bounds the output of a small command, in bytes.
const maxOutput = 4096

var errTooMuch = errors.New("more output than expected")

// output runs a small command to its end.
func output(ctx context.Context, c *podexec.Container, argv ...string) (string, error) {
	var out capped
	if err := c.Exec(ctx, argv, nil, &out, io.Discard); err != nil {
		return "", err
	}
	return out.b.String(), nil
}

// capped does not embed its buffer: io.Copy would find ReadFrom and bypass the cap.
type capped struct{ b bytes.Buffer }

func (c *capped) Write(p []byte) (int, error) {
	if c.b.Len()+len(p) > maxOutput {
		return 0, errTooMuch
	}
	return c.b.Write(p)
}

// curlSession makes a session of the image's own curl or wget.
type curlSession struct{ *curl.Client }

var _ session = curlSession{}

// AttackFrom starts when the gate opens and the delay is over; the warm-up belongs to the burst.
func (c curlSession) AttackFrom(
	ctx context.Context, plan attack.Plan, start agent.Start, totals *wire.Totals,
) iter.Seq2[attack.Result, error] {
	return func(yield func(attack.Result, error) bool) {
		var err error
		if start.Gate != nil {
			err = start.Gate(ctx)
		}
		if err == nil {
			err = pause(ctx, start.Delay)
		}
		if err != nil {
			yield(attack.Result{}, err)
			return
		}
		c.Attack(ctx, plan, totals)(yield)
	}
}

// pause waits for d, or less where ctx ends, whose cause it returns.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
