package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/internal/store"
)

func TestRunPassesAtTheDeclaredWeights(t *testing.T) {
	l := need(t)
	dir := t.TempDir()
	e := l.do(t, dir, l.runArgs(burst...)...)
	e.want(t, "pass", 0)
	if e.took > 15*time.Second {
		t.Errorf("10,000 requests at 1,000 a second took %s, want 15 s at most", e.took)
	}
	r := e.report
	if r.Load == nil || len(r.Backends) != 2 {
		t.Fatalf("no load or backends in %s", e.stdout)
	}
	// The client's count, the agent's totals and the stored samples are the same 10,000.
	if got := r.Backends[0].Observed + r.Backends[1].Observed + r.Unattributed.Requests; got != 10_000 || r.Load.Requests != 10_000 || r.Load.Dropped != 0 {
		t.Errorf("counted %d, load %d, dropped %d; want 10000, 10000, 0", got, r.Load.Requests, r.Load.Dropped)
	}
	exported := filepath.Join(dir, "samples.ndjson")
	if x := l.do(t, dir, "results", "export", "latest", "--to", "ndjson", "--out", exported); x.code != 0 {
		t.Fatalf("export: exit %d, %s", x.code, x.stderr)
	}
	b, err := os.ReadFile(exported)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), "\n"); n != 10_000 {
		t.Errorf("%d samples exported", n)
	}
	if s := r.Source; s == nil || s.Container != "nginx" || !s.Meshed || !strings.HasPrefix(s.Agent, "uploaded to /tmp/.splitbench-") {
		t.Errorf("source: %+v", s)
	}
	if again := l.do(t, dir, "analyze", "latest", "-q"); again.code != 0 {
		t.Errorf("judged again: exit %d, %s", again.code, again.stderr)
	}
	runs := l.runFolders(t, dir)
	if len(runs) != 1 || runs[0].Status != "complete" || runs[0].Outcome != "pass" {
		t.Errorf("stored: %+v", runs)
	}
	l.nothingLeft(t, 0)
}

func TestRunPassesAfterAWeightChange(t *testing.T) {
	l := need(t)
	l.setWeights(t, "90", "10")
	e := l.do(t, t.TempDir(), l.runArgs(burst...)...)
	e.want(t, "pass", 0)
	if b := e.report.Backends; len(b) != 2 || b[0].Weight != 90 || b[1].Weight != 10 {
		t.Errorf("weights: %+v", b)
	}
}

func TestRunFailsWhenTheDataPlaneDrifts(t *testing.T) {
	l := need(t)
	l.setWeights(t, "--quiet-drift", "65", "35")
	l.do(t, t.TempDir(), l.runArgs(burst...)...).want(t, "fail", 1)
}

func TestRunIsInvalidOffMesh(t *testing.T) {
	l := need(t)
	dir := t.TempDir()
	e := l.do(t, dir, l.runArgs(append(burst, "--from", "deploy/offmesh")...)...)
	e.want(t, "invalid", 4)
	if text := strings.Join(e.report.Verdict.Reasons, " "); !strings.Contains(text, "linkerd-proxy") {
		t.Errorf("the missing proxy is not named: %s", text)
	}
	folder, err := store.Open(dir, "latest")
	if err != nil || folder.Status != store.Refused {
		t.Errorf("a run that was refused left a folder of status %q, %v", folder.Status, err)
	}
}

func TestRunThroughAnotherService(t *testing.T) {
	l := need(t)
	e := l.do(t, t.TempDir(), l.runArgs(append(burst, "--url", "http://frontend:8080", "--through", "svc/frontend")...)...)
	e.want(t, "pass", 0)
	if e.report.Source == nil || e.report.Source.Through == "" {
		t.Errorf("the report does not say who drew: %+v", e.report.Source)
	}
}

func TestRunOverEachProtocolAlone(t *testing.T) {
	l := need(t)
	for _, protocol := range []string{"websocket", "spdy"} {
		t.Run(protocol, func(t *testing.T) {
			e := l.do(t, t.TempDir(), l.runArgs(append(short, "--exec-protocol", protocol)...)...)
			e.want(t, "pass", 0)
			if e.report.Source == nil || e.report.Source.Transport != protocol {
				t.Errorf("transport: %+v", e.report.Source)
			}
		})
	}
}

func TestRunNeedsNoRemoteContext(t *testing.T) {
	l := need(t)
	e := l.do(t, t.TempDir(), append([]string{
		"run", "ts/podinfo", "--context", l.west, "-n", namespace, "--from", "deploy/frontend", "-o", "json",
	}, short...)...)
	e.want(t, "pass", 0)
}

func TestRunWithGivenRules(t *testing.T) {
	l := need(t)
	e := l.do(t, t.TempDir(), l.runArgs(append(short,
		"--classify", "podinfo=json:/message=greetings from west", "--classify", "podinfo-east=regexp:greetings from east")...)...)
	e.want(t, "pass", 0)
	if e := l.do(t, t.TempDir(), l.runArgs("--classify", "podinfo=json:/message=greetings from west")...); e.code != 2 || !strings.Contains(e.stderr, `no rule for backend "podinfo-east"`) {
		t.Errorf("a rule too few: exit %d, %s", e.code, e.stderr)
	}
}

func TestDryRunSendsNothing(t *testing.T) {
	l := need(t)
	dir := t.TempDir()
	e := l.do(t, dir, l.runArgs("--dry-run", "-o", "text")...)
	if e.code != 0 {
		t.Fatalf("exit %d, %s", e.code, e.stderr)
	}
	for _, want := range []string{"container    nginx", "requests     2", "podinfo=50,podinfo-east=50", "create pods/exec in namespace test: allowed", "nothing was sent"} {
		if !strings.Contains(e.stdout, want) {
			t.Errorf("%q is not in:\n%s", want, e.stdout)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("a dry run left %v", entries)
	}
	l.nothingLeft(t, 0)
}
