package runner

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/splitbench/splitbench/internal/agentbin"
)

// A runner waits for its first session as long as it may, lasts as long as one is open, and ends soon after the last.
func TestARunnerThatHearsNothingEnds(t *testing.T) {
	for name, c := range map[string]struct {
		sessions [][2]time.Duration // from when to when
		want     time.Duration
	}{
		"nobody ever comes": {nil, 150 * time.Second},
		"one session":       {[][2]time.Duration{{time.Minute, 5 * time.Minute}}, 5*time.Minute + 30*time.Second},
		"one of less than a second": {
			[][2]time.Duration{{time.Minute + 100*time.Millisecond, time.Minute + 900*time.Millisecond}}, 90*time.Second + 900*time.Millisecond,
		},
		"resumed in time": {[][2]time.Duration{{0, time.Minute}, {80 * time.Second, 2 * time.Minute}}, 150 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				open := func() bool {
					for _, s := range c.sessions {
						if at := time.Since(began); at >= s[0] && at <= s[1] {
							return true
						}
					}
					return false
				}
				if err := await(t.Context(), open, 150*time.Second, 30*time.Second); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); (took - c.want).Abs() > 2*look {
					t.Errorf("it lasted %s, want %s", took, c.want)
				}
			})
		})
	}
}

func TestARunnerEndsWhenItIsTold(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := await(ctx, func() bool { return true }, time.Hour, time.Hour); err != nil {
		t.Fatal(err)
	}
}

// What is put in its place runs, and is the agent that this program has inside.
func TestTheAgentIsInItsPlace(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := stand(ctx, dir, "/proc", []string{"1m", "1m"})
	if digests, _ := agentbin.Digests(); digests[runtime.GOOS+"/"+runtime.GOARCH] == "" {
		if err == nil || !strings.Contains(err.Error(), "none is embedded") {
			t.Errorf("without an agent: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(dir, "agent"), "--version").Output()
	if err != nil || !bytes.HasPrefix(out, []byte("splitbench-agent ")) {
		t.Errorf("%v: %s", err, out)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestArgumentsOfARunner(t *testing.T) {
	for _, args := range [][]string{nil, {"1m"}, {"1m", "x"}, {"0s", "1m"}, {"1m", "-1m"}} {
		var stderr bytes.Buffer
		if code := Stand(t.Context(), args, &stderr); code != exitError || !strings.Contains(stderr.String(), "splitbench runner: ") {
			t.Errorf("%q: exit %d, %s", args, code, stderr.String())
		}
	}
}
