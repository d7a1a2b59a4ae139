package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/internal/wire"
)

// TestMain lets a copy of this test's program be the agent, under any name.
func TestMain(m *testing.M) {
	if os.Getenv("SPLITBENCH_TEST_IS_AGENT") == "1" {
		os.Exit(run(context.Background(), os.Args[1:]))
	}
	os.Exit(m.Run())
}

const uploadName = ".splitbench-0123456789ab-0a1b2c3d"

// install copies the program to a directory of its own.
func install(t *testing.T, name string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func agentCommand(t *testing.T, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), "SPLITBENCH_TEST_IS_AGENT=1")
	return cmd
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestOnlyServeUnlinks(t *testing.T) {
	path := install(t, uploadName)
	out, err := agentCommand(t, path, "--version").Output()
	if err != nil || !strings.HasPrefix(string(out), "splitbench-agent ") {
		t.Errorf("--version: %q, %v", out, err)
	}
	if !exists(path) {
		t.Fatal("--version unlinked the file")
	}
	old := filepath.Join(filepath.Dir(path), ".splitbench-ffffffffffff-00")
	young := filepath.Join(filepath.Dir(path), ".splitbench-eeeeeeeeeeee-00")
	for _, f := range []string{old, young} {
		if err := os.WriteFile(f, nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(old, time.Time{}, time.Now().Add(-2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	agentCommand(t, path, "serve").Run() // stdin is empty: it ends at once
	if exists(path) {
		t.Error("serve did not unlink its upload")
	}
	if exists(old) || !exists(young) {
		t.Error("of two leftovers only the old one must go")
	}
}

func TestServeNeverUnlinksAnInstalledAgent(t *testing.T) {
	path := install(t, "splitbench-agent")
	agentCommand(t, path, "serve").Run()
	if !exists(path) {
		t.Error("serve unlinked a file that is no upload")
	}
}

func TestServeDiesWithItsClient(t *testing.T) {
	cmd := agentCommand(t, install(t, uploadName), "serve", "1m")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if f, err := wire.NewReader(stdout).Next(); err != nil || f.Type != wire.Hello {
		t.Fatalf("no HELLO: %v, %v", f.Type, err)
	}
	stdin.Close()
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(2 * time.Second):
		cmd.Process.Kill()
		t.Fatal("still alive 2 s after stdin closed")
	}
	if code := cmd.ProcessState.ExitCode(); code == 0 {
		t.Error("it ended as if all were well")
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"help"}, {"serve", "soon"}, {"serve", "-1s"}, {"--version", "x"}} {
		cmd := agentCommand(t, install(t, "splitbench-agent"), args...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		cmd.Run()
		if cmd.ProcessState.ExitCode() != 2 || stderr.Len() == 0 {
			t.Errorf("%q: exit code %d, %q", args, cmd.ProcessState.ExitCode(), stderr.String())
		}
	}
}
