package agent

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// afterLimit bounds the wait for an agent before this one: less than the client waits for a first sign of life. It has
// to end within two seconds of losing its client; one whose client is only silent takes as long as the client takes to
// notice.
const (
	afterLimit = 8 * time.Second
	afterPause = 10 * time.Millisecond
)

// waitForEnd waits until a process that is an agent has ended. It looks only, it never sends a signal. Where there is
// no /proc nothing can be seen, and nothing is waited for.
func waitForEnd(ctx context.Context, process string) error {
	pid, err := strconv.Atoi(process)
	if err != nil || pid <= 0 {
		return fmt.Errorf("process %q: want its number", process)
	}
	ctx, cancel := context.WithTimeout(ctx, afterLimit)
	defer cancel()
	t := time.NewTicker(afterPause)
	defer t.Stop()
	for pid != os.Getpid() && serves("/proc", pid) {
		select {
		case <-t.C:
		case <-ctx.Done():
			return fmt.Errorf("the agent of the session before, process %d, has not ended", pid)
		}
	}
	return nil
}

// serves reports whether a process is an agent that carries out a session: its number may be another program's by now.
func serves(proc string, pid int) bool {
	b, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "cmdline"))
	return err == nil && bytes.Contains(b, []byte("\x00"+ArgServe+"\x00"))
}

// Serving reports whether any process is an agent that carries out a session, as far as proc shows processes.
func Serving(proc string) bool {
	processes, err := filepath.Glob(filepath.Join(proc, "[0-9]*"))
	return err == nil && slices.ContainsFunc(processes, func(dir string) bool {
		pid, err := strconv.Atoi(filepath.Base(dir))
		return err == nil && serves(proc, pid)
	})
}
