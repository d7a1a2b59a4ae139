package agentbin

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestEmbeddedAgentsAreWhatTheySay(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		if _, err := files.ReadFile(Name("linux", arch)); err != nil {
			t.Skipf("no agent for linux/%s is embedded: run make agents", arch)
		}
		a, err := For("linux", arch, "")
		if err != nil {
			t.Fatal(err)
		}
		digests, err := Digests()
		if want := fmt.Sprintf("%x", sha256.Sum256(a.Data)); err != nil || digests["linux/"+arch] != want {
			t.Errorf("digests %v, %v, want %s of linux/%s", digests, err, want, arch)
		}
		if err := checkStatic(a.Data); err != nil || a.Source != "embedded" {
			t.Errorf("linux/%s: %s, %v", arch, a.Source, err)
		}
		if arch != runtime.GOARCH || runtime.GOOS != "linux" {
			continue
		}
		path := filepath.Join(t.TempDir(), "agent")
		if err := os.WriteFile(path, a.Data, 0o700); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), path, "--version").Output()
		if err != nil || !strings.HasPrefix(string(out), "splitbench-agent ") {
			t.Errorf("--version: %q, %v", out, err)
		}
	}
}

func TestNoAgentSaysWhatToDo(t *testing.T) {
	var none *NoAgentError
	if _, err := For("plan9", "mips", "/bin/sh"); !errors.As(err, &none) || !strings.Contains(err.Error(), "make build") {
		t.Errorf("another platform: %v", err)
	}
}

func TestOnlyAStaticProgramUploadsItself(t *testing.T) {
	if err := checkStatic([]byte("#!/bin/sh\n")); err == nil {
		t.Error("a script was taken for a program")
	}
	if runtime.GOOS != "linux" {
		t.Skip("the program of this test is no ELF file here")
	}
	static := filepath.Join(t.TempDir(), "static")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", static, "github.com/splitbench/splitbench/cmd/splitbench-agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(static)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkStatic(b); err != nil {
		t.Errorf("a static program was refused: %v", err)
	}
	if sh, err := os.ReadFile("/bin/sh"); err == nil && bytes.HasPrefix(sh, []byte("\x7fELF")) && bytes.Contains(sh, []byte("/ld-linux")) {
		if err := checkStatic(sh); err == nil || !strings.Contains(err.Error(), "CGO_ENABLED=0") {
			t.Errorf("a dynamically linked program was taken: %v", err)
		}
	}
}

func TestDamagedAgentIsRefused(t *testing.T) {
	if _, err := unpack([]byte("not zstd")); err == nil {
		t.Error("garbage was unpacked")
	}
}
