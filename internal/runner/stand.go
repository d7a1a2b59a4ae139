package runner

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/agentbin"
)

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
	for _, step := range []func() error{
		func() error { return f.Chmod(0o555) }, f.Close, func() error { return os.Rename(f.Name(), dir+"/agent") },
	} {
		if stepErr := step(); err == nil {
			err = stepErr
		}
	}
	return err
}

// look is how often it is looked whether a session is open.
const look = time.Second

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
