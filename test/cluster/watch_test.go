package cluster

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/splitbench/splitbench/internal/report"
)

// freeAddress is an address of loopback that nothing listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// scrape reads the page as Prometheus does; false where it is not there.
func scrape(t *testing.T, address string) (map[string]*dto.MetricFamily, bool) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, false
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, false
	}
	text, whole := strings.CutSuffix(string(body), "# EOF\n")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil || !whole {
		t.Fatalf("the page cannot be read: %v\n%s", err, body)
	}
	return families, true
}

// number is the first of a family.
func number(families map[string]*dto.MetricFamily, name string) float64 {
	m := families[name].GetMetric()
	if len(m) == 0 {
		return -1
	}
	return m[0].GetGauge().GetValue() + m[0].GetUntyped().GetValue() + m[0].GetCounter().GetValue()
}

// watching is a watch that runs, and its page.
type watching struct {
	t       *testing.T
	address string
	ended   chan struct{}
	stderr  *bytes.Buffer // once it has ended
}

// until scrapes until what is asked for holds. A share that is called wrong before that is an error.
func (w *watching) until(what string, holds func(map[string]*dto.MetricFamily) bool) {
	w.t.Helper()
	deadline := time.After(45 * time.Second)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if families, ok := scrape(w.t, w.address); ok {
			if number(families, "splitbench_watch_failed") > 0 { // before the first look there is none
				w.t.Fatalf("a right split was called wrong before %s", what)
			}
			if holds(families) {
				return
			}
		}
		select {
		case <-tick.C:
		case <-w.ended:
			w.t.Fatalf("the watch ended before %s:\n%s", what, w.stderr)
		case <-deadline:
			w.t.Fatalf("not within 45 s: %s", what)
		}
	}
}

// sourcePod is the ready pod of the frontend that is not on its way out, and since when it is ready, to the second; "" where there
// is none.
func (l lab) sourcePod(t *testing.T) (name string, ready time.Time) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "kubectl", "--context", l.west, "-n", namespace, "get", "pods", "-l", "app=frontend", "-o",
		`jsonpath={range .items[*]}{.metadata.name} [{.metadata.deletionTimestamp}] {range .status.conditions[?(@.type=="Ready")]}{.status} {.lastTransitionTime}{end}{"\n"}{end}`).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		if len(words) == 4 && words[1] == "[]" && words[2] == "True" {
			ready, err := time.Parse(time.RFC3339, words[3])
			if err != nil {
				t.Fatal(err)
			}
			return words[0], ready
		}
	}
	return "", time.Time{}
}

// TestWatchMovesOnAndSeesADrift deletes the source pod twice while a watch runs: it goes on from the next one, with gaps that
// agree with what kubectl saw, and calls nothing wrong. Then the data plane moves to 70/30 and no object says so: that is a
// failure within 4,000 requests (see analyze.Monitor's test: five standard deviations), the last thing the watch does.
func TestWatchMovesOnAndSeesADrift(t *testing.T) {
	l := need(t)
	dir, address := t.TempDir(), freeAddress(t)
	t.Cleanup(func() { l.nothingLeft(t, 5*time.Second) })
	args := l.runArgs("--rate", "50", "--every", "1s", "--metrics", address)
	args[0] = "watch"
	cmd := exec.CommandContext(t.Context(), l.binary, args...)
	cmd.Env = append(os.Environ(), "SPLITBENCH_RESULTS_DIR="+dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w := &watching{t: t, address: address, ended: make(chan struct{}), stderr: &stderr}
	var waiting sync.WaitGroup
	waiting.Go(func() {
		defer close(w.ended)
		cmd.Wait() // its code is looked at
	})
	t.Cleanup(func() { cmd.Process.Kill(); waiting.Wait() })
	pods := []string{}
	var deleted, ready []time.Time
	looks := 0.0
	for range 2 {
		w.until("three more looks", func(f map[string]*dto.MetricFamily) bool {
			return number(f, "splitbench_watch_looks_total") >= looks+3
		})
		pod, _ := l.sourcePod(t)
		pods, deleted = append(pods, pod), append(deleted, time.Now())
		kubectl(t, "", "--context", l.west, "-n", namespace, "delete", "pod", pod, "--wait=false")
		w.until("a gap", func(f map[string]*dto.MetricFamily) bool {
			return number(f, "splitbench_watch_gaps_total") == float64(len(pods)) && number(f, "splitbench_watch_up") == 0
		})
		w.until("the end of the gap", func(f map[string]*dto.MetricFamily) bool {
			looks = number(f, "splitbench_watch_looks_total")
			return number(f, "splitbench_watch_up") == 1
		})
		_, since := l.sourcePod(t)
		ready = append(ready, since)
	}
	last, _ := l.sourcePod(t)
	l.setWeights(t, "--quiet-drift", "70", "30")
	drifted := time.Now()
	select {
	case <-w.ended:
	case <-time.After(90 * time.Second): // 4,000 requests
		t.Fatal("the drift was not seen")
	}
	r, err := report.ReadJSON(bytes.NewReader(stdout.Bytes()))
	if err != nil {
		t.Fatalf("%v\n%s%s", err, stdout.String(), stderr.String())
	}
	x := r.Watch
	if r.Verdict.Outcome != report.Fail || cmd.ProcessState.ExitCode() != report.ExitFail || x == nil || x.Failure == nil {
		t.Fatalf("exit %d, %s %q: %+v\n%s", cmd.ProcessState.ExitCode(), r.Verdict.Outcome, r.Verdict.Reasons, x, stderr.String())
	}
	t.Logf("the drift was seen after %.1fs: %s", time.Since(drifted).Seconds(), x.Failure)
	if d := x.Failure.Since.Sub(drifted); d < -10*time.Second || d > 60*time.Second || x.Failure.Requests > 8000 {
		t.Errorf("seen since %s from the drift: %+v", d, x.Failure)
	}
	pods = append(pods, last)
	if x.GapCount != 2 || len(x.Gaps) != 2 || strings.Join(x.Pods, " ") != strings.Join(pods, " ") {
		t.Fatalf("gaps %+v, pods %q, want %q", x.Gaps, x.Pods, pods)
	}
	for i, g := range x.Gaps {
		t.Logf("deleted %s, ready again %s: %s", deleted[i].UTC().Format(time.TimeOnly), ready[i].Format(time.TimeOnly), g)
		end := g.At.Add(time.Duration(g.Seconds * float64(time.Second)))
		// The last sign of life is up to a second older than the deletion, and a pod ends some time after it. The next one is found
		// in at most four seconds after it is ready, then a session is opened.
		if d := g.At.Sub(deleted[i]); g.From != pods[i] || g.To != pods[i+1] || d < -2*time.Second || d > 10*time.Second {
			t.Errorf("gap %s: it began %s from the deletion", g, d)
		}
		if d := end.Sub(ready[i]); d < -time.Second || d > 15*time.Second {
			t.Errorf("gap %s: it ended %s from when the next pod was ready", g, d)
		}
		if !strings.Contains(stderr.String(), "from pod "+g.To+", after pod "+g.From) {
			t.Errorf("it was not said that the watch moved to %s:\n%s", g.To, stderr.String())
		}
	}
	if runs := l.runFolders(t, dir); len(runs) != 1 || runs[0].Status != "complete" || runs[0].Outcome != report.Fail {
		t.Errorf("stored: %+v", runs)
	}
}

// Two splits are measured at once, each by itself and both within one budget, and one from runner pods, of which nothing stays.
// What a session learns with comes on top of the budget.
func TestWatchOfTwoSplitsAndFromRunnerPods(t *testing.T) {
	l := need(t)
	const objects = `{apiVersion: v1, kind: List, items: [
{apiVersion: v1, kind: Service, metadata: {name: podinfo-b, namespace: test}, spec: {selector: {app: podinfo}, ports: [{name: http, port: 9898}]}},
{apiVersion: v1, kind: Service, metadata: {name: podinfo-c, namespace: test}, spec: {selector: {app: podinfo}, ports: [{name: http, port: 9898}]}},
{apiVersion: split.smi-spec.io/v1alpha2, kind: TrafficSplit, metadata: {name: podinfo-b, namespace: test}, spec: {service: podinfo-b, backends: [
  {service: podinfo-c, weight: 50}, {service: podinfo-east, weight: 50}]}},
{apiVersion: linkerd.io/v1alpha2, kind: ServiceProfile, metadata: {name: podinfo-b.test.svc.cluster.local, namespace: test}, spec: {dstOverrides: [
  {authority: podinfo-c.test.svc.cluster.local, weight: "50"}, {authority: podinfo-east.test.svc.cluster.local, weight: "50"}]}}]}`
	l.create(t, l.west, objects)
	l.setWeights(t, "50", "50") // and once more in the end, which writes the proxy's configuration anew
	l.kubectl(t, "", "exec", "deploy/frontend", "-c", "linkerd-proxy", "--", "sh", "-c",
		`sed -i 's/map $host $backend {/& podinfo-b $leaf; podinfo-c podinfo;/' /tmp/mesh.conf && nginx -e stderr -c /tmp/mesh.conf -s reload`)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	l.inPod(t, ctx, "deploy/frontend", "n=0; until [ $n = 20 ]; do n=$((n+1)); curl -fs http://podinfo-b:9898/ > /dev/null || n=0; done")
	watch := func(length time.Duration, more ...string) []struct{ ID, Status, Outcome string } {
		t.Helper()
		dir := t.TempDir()
		e := l.do(t, dir, append([]string{
			"watch", "--context", l.west, "--remote-context", l.east, "-n", namespace, "--from", "deploy/frontend", "-c", "nginx",
			"--tolerance", "20pt", "--rate", "100", "--every", "2s", "--for", length.String(),
		}, more...)...)
		if e.code != 0 {
			t.Errorf("%q: exit %d\n%s%s", more, e.code, e.stdout, e.stderr)
		}
		return l.runFolders(t, dir)
	}
	began := time.Now()
	runs := watch(20*time.Second, "ts/podinfo", "ts/podinfo-b")
	if len(runs) != 2 || runs[0].Outcome != report.Pass || runs[1].Outcome != report.Pass {
		t.Errorf("two splits: %+v", runs)
	}
	t.Logf("two splits for 20 s: %s, %+v", time.Since(began).Round(time.Second), runs)

	l = needRunners(t)
	l.inject(t, injectorOf{Name: "standin-classic", Namespace: namespace, Init: true})
	runs = watch(10*time.Second, "ts/podinfo", "--runners", "2", "--runner-image", runnerImage)
	if len(runs) != 1 || runs[0].Outcome != report.Pass {
		t.Errorf("from runner pods: %+v", runs)
	}
	took := l.gone(t, namespace, "splitbench-", time.Minute)
	t.Logf("runner pods were gone %s after the watch", took.Round(time.Second))
}

// latency, drill and watch print the role of run, and work with it. (That none of its rules is too much is tested of run.)
func TestRunsRoleSufficesForLatencyDrillAndWatch(t *testing.T) {
	l := need(t)
	for _, c := range []struct {
		command  string
		args     []string
		measured string
	}{
		{"latency", []string{"svc/podinfo-east", "--against", "svc/podinfo", "--rate", "100", "--rounds", "20", "--round-duration", "100ms"}, "svc/podinfo is the root of split"},
		{"drill", []string{"ts/podinfo", "--duration", "3s", "--rate", "50"}, "nothing failed while it ran"},
		{"watch", []string{"ts/podinfo", "--for", "3s", "--rate", "50", "--every", "1s"}, "at all looks together"},
		{"watch", []string{"-A", "--for", "12s", "--rate", "50", "--every", "1s"}, "0 invalid"},
	} {
		t.Run(c.command+" "+c.args[0], func(t *testing.T) {
			scope := []string{"--from", "deploy/frontend"}
			if c.args[0] == "-A" {
				scope = append(scope, "-A")
			}
			for _, r := range l.grant(t, c.command, scope...) {
				r.write(t, r.rules, r.rules[len(r.rules)-1], true) // waits until what was granted holds
			}
			args := append([]string{c.command}, c.args...)
			e := l.do(t, t.TempDir(), append(args, "--context", l.west, "--remote-context", l.east, "-n", namespace, "--from", "deploy/frontend",
				"-c", "nginx", "--as", auditor(c.command), "--fail-on", "never")...)
			said := strings.Join(strings.Fields(e.stdout+e.stderr), " ")
			if e.code != 0 || !strings.Contains(said, c.measured) {
				t.Fatalf("with its role: exit %d\n%s%s", e.code, e.stdout, e.stderr)
			}
			// The laboratory has no namespace linkerd, so no role could be applied there: its ConfigMaps stay unread, and its
			// control plane is not asked.
			for _, missing := range []string{" is not allowed", " is forbidden"} {
				parts := strings.Split(said, missing)
				for i, before := range parts[:len(parts)-1] {
					if !strings.HasSuffix(before, "configmaps") && !strings.HasPrefix(parts[i+1], " in namespace linkerd (for: ") {
						t.Errorf("with its role something%s: ...%s", missing, before[max(0, len(before)-200):])
					}
				}
			}
		})
	}
	l.nothingLeft(t, 5*time.Second)
}
