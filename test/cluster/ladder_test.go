package cluster

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/splitbench/splitbench/internal/agentbin"
	"github.com/splitbench/splitbench/internal/report"
)

// wide is 2,400 requests with a tolerance of 15 points: the share must be off by 0.15-2.33*0.0102 = 0.126, 12 standard deviations.
var wide = []string{"--requests", "2400", "--rate", "400", "--tolerance", "15pt"}

// usedStep is the way by which the generator got into the pod.
func usedStep(r report.Report) report.SourceStep {
	if r.Source != nil {
		for _, s := range r.Source.Steps {
			if s.Used {
				return s
			}
		}
	}
	return report.SourceStep{}
}

// An ephemeral container shares the pod's network, and so its mesh. It cannot be removed, so the pod is a clone.
func TestEphemeralContainer(t *testing.T) {
	l := need(t)
	image := l.kubectl(t, "", "get", "deploy", "frontend", "-o", `jsonpath={.spec.template.spec.containers[?(@.name=="nginx")].image}`)
	l.clone(t, "frontend-ephemeral", func(map[string]any) {})
	args := append([]string{"--from", "deploy/frontend-ephemeral", "--via", "ephemeral", "--ephemeral-image"}, image)
	e := l.do(t, t.TempDir(), l.runArgs(append(args, wide...)...)...)
	e.want(t, "pass", 0)
	if s := usedStep(e.report); s.Via != "ephemeral" || !strings.Contains(s.Seen, "ephemeral container splitbench-") {
		t.Errorf("steps: %+v", e.report.Source)
	}
	e = l.do(t, t.TempDir(), l.runArgs("--from", "deploy/frontend-ephemeral", "--via", "ephemeral", "--ephemeral-image", "docker.io/splitlab/nothing:1")...)
	e.want(t, "invalid", 4)
	if text := strings.Join(e.report.Verdict.Reasons, " "); !strings.Contains(text, "ephemeral container of image docker.io/splitlab/nothing:1 does not run") {
		t.Errorf("an image that is not there: %s", text)
	}
}

func TestCurlOfTheImage(t *testing.T) {
	l := need(t)
	// 600 requests at 15 points: 0.15-2.33*0.0204 = 0.102 is 5 standard deviations.
	e := l.do(t, t.TempDir(), l.runArgs("--via", "curl", "--requests", "600", "--rate", "100", "--tolerance", "15pt")...)
	e.want(t, "pass", 0)
	if s := usedStep(e.report); s.Via != "curl" || e.report.Load.Engine != "curl" || e.report.Load.OnTime {
		t.Errorf("steps %+v, load %+v", e.report.Source.Steps, e.report.Load)
	}
	e = l.do(t, t.TempDir(), l.runArgs("--via", "curl", "--rate", "1000", "--requests", "1000")...)
	e.want(t, "invalid", 4)
	if text := strings.Join(e.report.Verdict.Reasons, " "); !strings.Contains(text, "at most 100, one after the other") {
		t.Errorf("too fast for curl: %s", text)
	}
	l.nothingLeft(t, 0)
}

func TestTwoPodsOfTheCluster(t *testing.T) {
	l := need(t)
	scale := func(n string) {
		l.kubectl(t, "", "scale", "deploy/frontend", "--replicas="+n)
		l.kubectl(t, "", "rollout", "status", "deploy/frontend", "--timeout=60s")
	}
	t.Cleanup(func() { scale("1") })
	scale("2")
	e := l.do(t, t.TempDir(), l.runArgs(append(wide, "--pods", "all")...)...)
	e.want(t, "pass", 0)
	if p := e.report.Source.Pods; len(p) != 2 || p[0].Requests != 1200 || p[1].Requests != 1200 || e.report.Load.Requests != 2400 {
		t.Errorf("pods: %+v", p)
	}
}

// stamped notes when lines came.
type stamped struct {
	mu   sync.Mutex
	text string
	came map[string]time.Time
}

func (s *stamped) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text += string(p)
	for line := range strings.Lines(string(p)) {
		s.came[strings.TrimSpace(strings.TrimPrefix(line, "splitbench: "))] = time.Now()
	}
	return len(p), nil
}

// All of 32 pods take part, those to which the agent must be brought and those that have it; what each sent adds up, and
// their bursts began within three seconds. How long it takes to open so many sessions is said, not judged: two processors
// serve all pods, both clusters and this program.
func TestThirtyTwoPodsOfTheCluster(t *testing.T) {
	l := need(t)
	const pods, path = 32, "/tmp/splitbench-agent"
	l.clone(t, "frontends", func(spec map[string]any) {
		spec["containers"] = slices.DeleteFunc(spec["containers"].([]any), func(c any) bool { // they call podinfo all the time
			name := c.(map[string]any)["name"]
			return name == "internal" || name == "external"
		})
	})
	l.kubectl(t, "", "scale", "deploy/frontends", "--replicas="+strconv.Itoa(pods))
	l.kubectl(t, "", "rollout", "status", "deploy/frontends", "--timeout=120s")
	agent, err := agentbin.For("linux", "amd64", "")
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Fields(l.kubectl(t, "", "get", "pods", "-l", "app=frontends", "-o", "jsonpath={.items[*].metadata.name}"))
	for _, with := range []string{"brought", "there"} {
		if with == "there" {
			for _, pod := range names {
				l.kubectl(t, string(agent.Data), "exec", "-i", pod, "-c", "nginx", "--", "sh", "-c", "cat > "+path+" && chmod 0755 "+path)
				l.kubectl(t, "", "annotate", "pod", pod, "splitbench.io/agent="+path)
			}
		}
		said := &stamped{came: map[string]time.Time{}}
		cmd := exec.CommandContext(t.Context(), l.binary, l.runArgs("--from", "deploy/frontends", "--pods", "all",
			"--requests", "6400", "--rate", "640")...)
		cmd.Env, cmd.Stderr = append(os.Environ(), "SPLITBENCH_RESULTS_DIR="+t.TempDir()), said
		out, err := cmd.Output()
		r, readErr := report.ReadJSON(bytes.NewReader(out))
		if err != nil || readErr != nil {
			t.Fatalf("%s: %v, %v\n%s", with, err, readErr, said.text)
		}
		var sent int64
		for _, p := range r.Source.Pods {
			sent += p.Requests
		}
		if r.Verdict.Outcome != "pass" || len(r.Source.Pods) != pods || sent != 6400 || r.Source.StartSkewMs > 3000 {
			t.Errorf("%s: %s, %d pods, %d sent, started within %.0f ms", with, r.Verdict.Outcome, len(r.Source.Pods), sent, r.Source.StartSkewMs)
		}
		opened := said.came["learning which backend answers how"].Sub(said.came["starting the agent in "+strconv.Itoa(pods)+" pods"])
		t.Logf("the agent is %s: %d sessions open in %.1f s, bursts began within %.0f ms", with, pods, opened.Seconds(), r.Source.StartSkewMs)
	}
	l.nothingLeft(t, 0)
}

// An agent that is killed, and a run that may be resumed: the rest is a second segment, and both add up.
func TestResumeAfterAKilledAgent(t *testing.T) {
	l := need(t)
	dir := t.TempDir()
	cmd, stdout, stderr := l.start(t, dir, l.runArgs("--requests", "5000", "--rate", "500", "--tolerance", "15pt", "--resume")...)
	waitForSamples(t, dir)
	l.inPod(t, t.Context(), "deploy/frontend", `for p in $(`+agentsScript+`); do kill -9 "$p"; done`)
	if err := cmd.Wait(); err != nil {
		if _, ok := err.(*exec.ExitError); !ok {
			t.Fatal(err)
		}
	}
	var r report.Report
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	if r.Load == nil || r.Load.Requests != 5000 || len(r.Source.Pods) != 1 || r.Source.Pods[0].Segments != 2 || !r.Run.Complete {
		t.Fatalf("load %+v, source %+v, reasons %q", r.Load, r.Source, r.Verdict.Reasons)
	}
	lost := r.Source.Pods[0].Lost
	if lost == 0 || lost > 2500 || r.Unattributed.Requests != lost {
		t.Errorf("%d lost, %+v", lost, r.Unattributed)
	}
	l.nothingLeft(t, 10*time.Second)
}
