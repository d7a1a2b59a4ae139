package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/rest"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/agentbin"
	"github.com/splitbench/splitbench/internal/curl"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
	"github.com/splitbench/splitbench/podexec"
)

// Via is a way in which the generator comes to the pod.
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

// ladder is what is needed to get a load generator into a pod and to open a session with it.
type ladder struct {
	container *podexec.Container
	rest      *rest.Config
	pod       law.Pod
	self      string // path of this program
	via       Via
	image     string // of an ephemeral container
	protocol  podexec.Protocol
	plan      attack.Plan
	deadline  time.Duration
	after     int // process that must have ended; 0: none
	options   agent.ClientOptions
}

// ladder is the one to a pod, without a plan.
func (c Config) ladder(pod law.Pod) (ladder, error) {
	container, err := podexec.New(c.REST, podexec.Target{Namespace: pod.Namespace, Pod: pod.Name, Container: pod.Container},
		podexec.Options{Protocol: c.Protocol})
	return ladder{
		container: container, rest: c.REST, pod: pod, self: c.Self, via: c.Via, image: c.Image, protocol: c.Protocol,
	}, err
}

// errNotThere says that a way is not open in this pod, which is no failure.
type errNotThere struct{ why string }

func (e *errNotThere) Error() string { return e.why }

// provide goes down the ladder until a session is open. The facts are what was tried, also after an error.
func (l ladder) provide(ctx, life context.Context) (session, record.AgentFacts, error) {
	var facts record.AgentFacts
	ways := []Via{l.via}
	if l.via == "" || l.via == ViaAuto {
		ways = []Via{ViaPresent, ViaUpload, ViaCurl}
	}
	var failed []error
	for _, way := range ways {
		s, how, err := l.open(ctx, life, way)
		if err == nil {
			facts.Steps = append(facts.Steps, record.Step{Via: string(way), Used: true, Seen: how})
			facts.How, facts.Transport, facts.Hello = how, string(l.container.Protocol()), s.Hello()
			return s, facts, nil
		}
		facts.Steps = append(facts.Steps, record.Step{Via: string(way), Seen: untrusted.Safe(err.Error())})
		var none *errNotThere
		if len(ways) > 1 && (errors.As(err, &none) || nextMayDo(err)) && ctx.Err() == nil {
			if !errors.As(err, &none) {
				failed = append(failed, err)
			}
			continue
		}
		failed = append(failed, err)
		break
	}
	return nil, facts, errors.Join(failed...)
}

// nextMayDo reports whether another way may do better: not where nothing can be run in the pod at all.
func nextMayDo(err error) bool {
	var upload *podexec.UploadError
	var noShell *podexec.NoShellError
	var start *podexec.StartError
	var noAgent *agentbin.NoAgentError
	var version *wire.VersionError
	var noTool *curl.NoToolError
	return errors.As(err, &noTool) || errors.As(err, &upload) || errors.As(err, &noShell) || errors.As(err, &start) || errors.As(err, &noAgent) || errors.As(err, &version)
}

func (l ladder) open(ctx, life context.Context, way Via) (session, string, error) {
	switch way {
	case ViaPresent:
		return l.present(ctx, life)
	case ViaUpload:
		return l.upload(ctx, life, l.container)
	case ViaCurl:
		return l.curl(ctx, life)
	case ViaEphemeral:
		return l.ephemeral(ctx, life)
	case ViaAuto:
	}
	return nil, "", record.Usagef("--via %q: want auto, present, upload, curl or ephemeral", string(way))
}

// serve are the agent's arguments.
func (l ladder) serve(path string) []string {
	argv := []string{path, agent.ArgServe, l.deadline.Round(time.Second).String()}
	if l.after > 0 {
		argv = append(argv, strconv.Itoa(l.after))
	}
	return argv
}

// present starts the agent that the pod says it has.
func (l ladder) present(ctx, life context.Context) (session, string, error) {
	path := l.pod.AgentPath
	if path == "" {
		return nil, "", &errNotThere{"the pod has no annotation splitbench.io/agent"}
	}
	version, err := output(ctx, l.container, []string{path, agent.ArgVersion})
	if err != nil {
		return nil, "", fmt.Errorf("use the agent that pod %s says is installed at %q: %w", l.pod.Name, untrusted.Safe(path), err)
	}
	c, err := agent.Open(life, l.container, l.serve(path), l.options)
	if err != nil {
		return nil, "", err
	}
	return c, "installed: " + untrusted.Safe(strings.TrimSpace(version)), nil
}

// upload puts the agent into a container and starts it.
func (l ladder) upload(ctx, life context.Context, c *podexec.Container) (session, string, error) {
	goos, arch, err := platform(ctx, c, l.pod)
	if err != nil {
		return nil, "", err
	}
	bin, err := agentbin.For(goos, arch, l.self)
	if err != nil {
		return nil, "", err
	}
	name, err := podexec.UploadName(bin.Data, rand.Reader)
	if err != nil {
		return nil, "", err
	}
	dirs := l.pod.WritableDirs
	if c.Target().Container != l.pod.Container {
		dirs = nil // another container's mounts
	}
	path, err := c.Upload(ctx, podexec.Upload{Data: bin.Data, Name: name, Dirs: dirs, HashArgs: []string{agent.ArgSelfHash}})
	if err != nil {
		return nil, "", fmt.Errorf("upload the agent to container %s of pod %s: %w", c.Target().Container, l.pod.Name, err)
	}
	client, err := agent.Open(life, c, l.serve(path), l.options)
	if err != nil {
		return nil, "", errors.Join(err, remove(ctx, c, path))
	}
	return client, fmt.Sprintf("uploaded to %s (%s, %s/%s, %d bytes, SHA-256 checked)", untrusted.Safe(path), bin.Source, goos, arch, len(bin.Data)), nil
}

// removeLimit bounds taking back an upload.
const removeLimit = 5 * time.Second

// remove takes back an upload whose agent did not come up and unlink itself.
func remove(ctx context.Context, c *podexec.Container, path string) error {
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
	out, err := output(ctx, c, []string{"uname", "-sm"})
	if err != nil {
		return "", "", fmt.Errorf("find the platform of pod %s: its node may not be read, and uname failed: %w", pod.Name, err)
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
func output(ctx context.Context, c *podexec.Container, argv []string) (string, error) {
	var out capped
	if err := c.Exec(ctx, argv, nil, &out, io.Discard); err != nil {
		return "", err
	}
	return out.b.String(), nil
}

// capped does not embed its buffer: io.Copy would find ReadFrom and pass the cap by.
type capped struct{ b bytes.Buffer }

func (c *capped) Write(p []byte) (int, error) {
	if c.b.Len()+len(p) > maxOutput {
		return 0, errTooMuch
	}
	return c.b.Write(p)
}
