package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/splitbench/splitbench/internal/wire"
)

// Exit codes of the agent.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// Arguments of the agent's command line.
const (
	ArgServe   = "serve"
	ArgVersion = "--version"
)

// uploadName is the name that an upload gives the agent's file. Only a file of such a name is ever unlinked.
var uploadName = regexp.MustCompile(`^\.splitbench-[0-9a-f]{12}-[0-9a-z]+$`)

// maxUploadAge is how old an upload may be before a later agent in the same directory takes it for a leftover.
const maxUploadAge = time.Hour

// Main is the agent's command line: `serve [DEADLINE [PROCESS]]` or `--version`. PROCESS is the agent of a session
// before this one: serve begins when that has ended, so that two never send the same part of a schedule. It returns the
// exit code. Only serve unlinks anything.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, o ServeOptions) int {
	switch {
	case len(args) == 1 && args[0] == ArgVersion:
		fmt.Fprintf(stdout, "splitbench-agent %s protocol %d %s/%s\n", Version(), wire.Version, runtime.GOOS, runtime.GOARCH)
		return exitOK
	case len(args) >= 1 && len(args) <= 3 && args[0] == ArgServe:
		if len(args) >= 2 {
			d, err := time.ParseDuration(args[1])
			if err != nil || d <= 0 {
				fmt.Fprintf(stderr, "splitbench-agent: deadline %q: want a duration above 0, such as 90s\n", args[1])
				return exitUsage
			}
			o.Deadline = d
		}
		if len(args) == 3 {
			if err := waitForEnd(ctx, args[2]); err != nil {
				fmt.Fprintf(stderr, "splitbench-agent: %v\n", err)
				return exitError
			}
		}
		if o.Alone {
			beGuest(cgroupRoot)
		}
		if err := Serve(ctx, stdin, stdout, o); err != nil {
			fmt.Fprintf(stderr, "splitbench-agent: %v\n", err)
			return exitError
		}
		return exitOK
	}
	fmt.Fprintf(stderr, "usage: splitbench-agent serve [DEADLINE [PROCESS]] | --version\n")
	return exitUsage
}

// Version is the version of the program that this package was built into.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

// greeting gathers what HELLO says, and unlinks the agent's file: from here on nothing of it is left in the pod, even
// after SIGKILL.
func greeting(executable string) wire.HelloMessage {
	h := wire.HelloMessage{
		Protocol: wire.Version, Version: Version(),
		UID: os.Getuid(), GID: os.Getgid(), PID: os.Getpid(),
		OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.GOMAXPROCS(0), OpenFiles: openFiles(),
	}
	limits := readLimits(cgroupRoot)
	h.CPUQuota, h.MemoryLimit = limits.cpus, limits.memory
	if sum, err := fileHash(executable); err == nil {
		h.SHA256 = sum
	}
	if uploadName.MatchString(filepath.Base(executable)) {
		os.Remove(executable) //nolint:errcheck // a file that cannot be unlinked is found by the next agent's sweep
		sweep(filepath.Dir(executable), time.Now())
	}
	return h
}

// sweep unlinks uploads that nobody started: their client died between uploading and serving.
func sweep(dir string, now time.Time) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !uploadName.MatchString(e.Name()) {
			continue
		}
		if info, err := e.Info(); err == nil && now.Sub(info.ModTime()) > maxUploadAge {
			os.Remove(filepath.Join(dir, e.Name())) //nolint:errcheck // somebody else's file, or a read-only directory: leave it
		}
	}
}

func fileHash(path string) (string, error) {
	if path == "" {
		return "", os.ErrNotExist
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
