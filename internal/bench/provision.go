package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/agentbin"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/podexec"
)

// program is an agent that is ready to be started in the pod.
type program struct {
	argv     []string
	how      string // how it came there, for the report
	uploaded string // path of the file that was put there, "" where none was
}

// provision makes an agent available in the pod. One that is installed already is used; else one is uploaded.
func provision(ctx context.Context, c *podexec.Container, pod mesh.Pod, self string, deadline time.Duration) (program, error) {
	serve := []string{agent.ArgServe, deadline.Round(time.Second).String()}
	if pod.AgentPath != "" {
		version, err := output(ctx, c, []string{pod.AgentPath, agent.ArgVersion})
		if err != nil {
			return program{}, fmt.Errorf("use the agent that pod %s says is installed at %q: %w", pod.Name, mesh.Safe(pod.AgentPath), err)
		}
		return program{argv: append([]string{pod.AgentPath}, serve...), how: "installed: " + mesh.Safe(strings.TrimSpace(version))}, nil
	}
	goos, arch, err := platform(ctx, c, pod)
	if err != nil {
		return program{}, err
	}
	bin, err := agentbin.For(goos, arch, self)
	if err != nil {
		return program{}, err
	}
	name, err := podexec.UploadName(bin.Data, rand.Reader)
	if err != nil {
		return program{}, err
	}
	path, err := c.Upload(ctx, podexec.Upload{Data: bin.Data, Name: name, Dirs: pod.WritableDirs, HashArgs: []string{agent.ArgSelfHash}})
	if err != nil {
		return program{}, fmt.Errorf("upload the agent to container %s of pod %s: %w", pod.Container, pod.Name, err)
	}
	return program{
		argv: append([]string{path}, serve...), uploaded: path,
		how: fmt.Sprintf("uploaded to %s (%s, %s/%s, %d bytes, SHA-256 checked)", mesh.Safe(path), bin.Source, goos, arch, len(bin.Data)),
	}, nil
}

// removeLimit bounds taking back an upload.
const removeLimit = 5 * time.Second

// remove takes back an upload whose agent did not come up and unlink itself.
func (p program) remove(ctx context.Context, c *podexec.Container) error {
	if p.uploaded == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeLimit)
	defer cancel()
	if err := c.Exec(ctx, []string{"rm", "-f", "--", p.uploaded}, nil, io.Discard, io.Discard); err != nil {
		return fmt.Errorf("the uploaded agent %s may still be in the pod: %w", mesh.Safe(p.uploaded), err)
	}
	return nil
}

// platform is the node's, or what the container's uname says where the node may not be read.
func platform(ctx context.Context, c *podexec.Container, pod mesh.Pod) (goos, arch string, err error) {
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
