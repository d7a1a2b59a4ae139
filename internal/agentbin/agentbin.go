// Package agentbin knows which program to upload as the agent: the one that was embedded for the node's platform, or,
// in a splitbench that was built by a plain `go install`, this very program.
//
// It never guesses a platform: a file of the wrong one gives "exec format error" in somebody's production pod.
package agentbin

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// The pattern names a directory because a plain `go install` has nothing but the README in it.
//
//go:embed all:bin
var files embed.FS

// maxAgent bounds what an embedded agent may unpack to, in bytes.
const maxAgent = 64 << 20

// Agent is a program that can be uploaded.
type Agent struct {
	Data   []byte
	Packed []byte // Data as gzip has it
	Source string // "embedded" or "this program"
}

// NoAgentError says that there is no program for a platform, and what to do.
type NoAgentError struct {
	OS, Arch string
	Cause    string
}

func (e *NoAgentError) Error() string {
	return fmt.Sprintf("agent for %s/%s: %s; build splitbench with `make build`, or install the agent in the image and "+
		"name it in the pod's annotation splitbench.io/agent", e.OS, e.Arch, e.Cause)
}

// For returns the agent for a node's platform, as GOOS and GOARCH name them. self is the path of the running program,
// for the fallback.
func For(goos, goarch, self string) (Agent, error) {
	file, err := files.ReadFile(Name(goos, goarch))
	if err == nil {
		data, err := unpack(file)
		if err != nil {
			return Agent{}, fmt.Errorf("unpack embedded agent for %s/%s: %w", goos, goarch, err)
		}
		return packed(data, "embedded")
	}
	if goos != runtime.GOOS || goarch != runtime.GOARCH {
		why := "none is embedded, and this program is for " + runtime.GOOS + "/" + runtime.GOARCH
		return Agent{}, &NoAgentError{goos, goarch, why}
	}
	data, err := os.ReadFile(self)
	if err != nil {
		return Agent{}, &NoAgentError{goos, goarch, "none is embedded, and this program cannot be read: " + err.Error()}
	}
	if err := checkStatic(data); err != nil {
		return Agent{}, &NoAgentError{goos, goarch, "none is embedded, and this program " + err.Error()}
	}
	return packed(data, "this program")
}

func packed(data []byte, source string) (Agent, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	if err = errors.Join(err, w.Close()); err != nil {
		return Agent{}, fmt.Errorf("pack the agent: %w", err)
	}
	return Agent{Data: data, Packed: b.Bytes(), Source: source}, nil
}

// Digests are the SHA-256 of the agents that are embedded, unpacked as they run in pods, by their platforms.
func Digests() (map[string]string, error) {
	names, err := fs.Glob(files, Name("*", "*"))
	out := map[string]string{}
	for _, name := range names {
		platform := strings.TrimSuffix(strings.TrimPrefix(name, "bin/splitbench-agent-"), ".zst")
		goos, goarch, _ := strings.Cut(platform, "-")
		a, forErr := For(goos, goarch, "")
		err = errors.Join(err, forErr)
		out[goos+"/"+goarch] = fmt.Sprintf("%x", sha256.Sum256(a.Data))
	}
	return out, err
}

// Name is the name of an embedded agent.
func Name(goos, goarch string) string { return "bin/splitbench-agent-" + goos + "-" + goarch + ".zst" }

// checkStatic refuses a program that needs an interpreter: the container may not have it.
func checkStatic(program []byte) error {
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return fmt.Errorf("is not an ELF file")
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("is dynamically linked (build it with CGO_ENABLED=0)")
		}
	}
	return nil
}

func unpack(packed []byte) ([]byte, error) {
	d, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxAgent))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	data, err := io.ReadAll(io.LimitReader(d, maxAgent+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxAgent {
		return nil, fmt.Errorf("more than %d bytes", maxAgent)
	}
	return data, nil
}
