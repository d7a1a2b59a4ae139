package cluster

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/splitbench/splitbench/internal/report"
)

// scale changes a Deployment of a cluster and says when.
func (l lab) scale(t *testing.T, kubeContext, ns, deployment, replicas string) time.Time {
	t.Helper()
	if out, err := exec.Command("kubectl", "--context", kubeContext, "-n", ns, "scale", "deployment", deployment, "--replicas", replicas).CombinedOutput(); err != nil {
		t.Errorf("scale %s to %s: %v\n%s", deployment, replicas, err, out)
	}
	return time.Now()
}

// rolledOut waits until a Deployment is there again.
func (l lab) rolledOut(t *testing.T, kubeContext, ns, deployment string) {
	t.Helper()
	if out, err := exec.Command("kubectl", "--context", kubeContext, "-n", ns, "rollout", "status", "deployment/"+deployment, "--timeout=60s").CombinedOutput(); err != nil {
		t.Errorf("%s is not back: %v\n%s", deployment, err, out)
	}
}

// probe is a second view of a drill: curl in a pod without a mesh, some ten times a second and each time by a new connection.
type probe struct {
	reached  []bool
	at       []time.Time // of the lines' arrival; read once finished
	finished chan error
}

// startProbe probes url for a while. Curl's exit code says whether it reached something: 0, or 52 for a connection that was taken
// and closed, which is how a gateway treats a client without a mesh. It returns when the probe has reached something: an exec takes a
// second to begin, and a probe that began within the outage could not say when it started.
func (l lab) startProbe(t *testing.T, url string, length time.Duration) *probe {
	t.Helper()
	script := `end=$(( $(date +%s) + ` + strconv.Itoa(int(length.Seconds())) + ` )); while [ $(date +%s) -lt $end ]; do
curl -s -o /dev/null --max-time 1 ` + url + `; echo $?; sleep 0.08; done`
	cmd := exec.CommandContext(t.Context(), "kubectl", "--context", l.west, "-n", namespace, "exec", "deploy/offmesh", "--", "sh", "-c", script)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &probe{finished: make(chan error, 1)}
	first := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			reached := lines.Text() == "0" || lines.Text() == "52"
			p.at, p.reached = append(p.at, time.Now()), append(p.reached, reached)
			if len(p.at) == 1 {
				first <- reached
			}
		}
		close(first)
		p.finished <- cmd.Wait()
	}()
	if !<-first {
		t.Fatalf("the probe of %s reaches nothing before anything is broken", url)
	}
	return p
}

// gone is when the probe reached nothing for the first time, and when it reached something again. An attempt waits up to a second,
// also where what it asks for comes back meanwhile: each instant lies up to so much earlier than it was seen.
type gone struct {
	down, up           time.Time
	downSlack, upSlack time.Duration
}

func (p *probe) outage(t *testing.T) gone {
	t.Helper()
	if err := <-p.finished; err != nil {
		t.Fatalf("the probe: %v", err)
	}
	var g gone
	for i, ok := range p.reached {
		switch {
		case !ok && g.down.IsZero(): // never the first
			g.down, g.downSlack = p.at[i], p.at[i].Sub(p.at[i-1])
		case ok && !g.down.IsZero() && g.up.IsZero():
			g.up, g.upSlack = p.at[i], p.at[i].Sub(p.at[i-2]) // since the attempt began that was the last to fail
		}
	}
	if g.down.IsZero() || g.up.IsZero() {
		t.Fatalf("the probe saw no outage with an end in %d lines", len(p.at))
	}
	return g
}

// drilled is a drill that has ended.
type drilled struct {
	dir    string
	report report.Report
	drill  *report.Drill
	code   int
	began  time.Time // instant 0 of its times, by the test's own mark
	// unconnected are when requests were sent that no connection could be had for. The laboratory lets one in some thousands
	// hang, curl's like ours.
	unconnected []time.Duration
}

// seen is a writer that says when a text has gone by.
type seen struct {
	text string
	once sync.Once
	gone chan struct{}
	mu   sync.Mutex
	all  bytes.Buffer
}

func (s *seen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all.Write(b)
	if strings.Contains(s.all.String(), s.text) {
		s.once.Do(func() { close(s.gone) })
	}
	return len(b), nil
}

func (s *seen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

// samplesCome waits until the running command stores samples: then its warm-up is over.
func (l lab) samplesCome(t *testing.T, dir string) {
	t.Helper()
	size := func() (n int64) {
		files, err := filepath.Glob(filepath.Join(dir, "*", "frames.sbw"))
		if err != nil || len(files) != 1 {
			return 0
		}
		if info, err := os.Stat(files[0]); err == nil {
			n = info.Size()
		}
		return n
	}
	began := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	first := size()
	for ; size() <= first+64; <-tick.C { // more than a few control frames
		if first == 0 {
			first = size()
		}
		if time.Since(began) > time.Minute {
			t.Fatal("no samples are stored")
		}
	}
}

// drill runs splitbench drill and does something as soon as requests are under way.
func (l lab) drill(t *testing.T, length time.Duration, act func(dir string), flags ...string) drilled {
	t.Helper()
	d := drilled{dir: t.TempDir()}
	args := l.runArgs(append([]string{"--duration", length.String(), "--rate", "50"}, flags...)...)
	args[0] = "drill"
	cmd := exec.CommandContext(t.Context(), l.binary, args...)
	cmd.Env = append(os.Environ(), "SPLITBENCH_RESULTS_DIR="+d.dir)
	var stdout bytes.Buffer
	stderr := &seen{text: " requests at ", gone: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &stdout, stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-stderr.gone:
	case <-time.After(time.Minute):
		t.Fatalf("the drill does not run: %s", stderr)
	}
	l.samplesCome(t, d.dir)
	const here = "the test is there"
	if e := l.do(t, d.dir, "mark", "latest", here); e.code != 0 {
		t.Errorf("mark: exit %d, %s", e.code, e.stderr)
	}
	marked := time.Now()
	act(d.dir)
	cmd.Wait() // the exit code is looked at
	d.code = cmd.ProcessState.ExitCode()
	r, err := report.ReadJSON(&stdout)
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	if d.report, d.drill = r, r.Drill; d.drill == nil {
		t.Fatalf("%s %q", r.Verdict.Outcome, r.Verdict.Reasons)
	}
	for _, e := range d.drill.Events {
		t.Logf("%+.1fs %s: %s", e.AtSeconds, e.Kind, e.Text)
		if e.Kind == "mark" && e.Text == here {
			d.began = marked.Add(-time.Duration(e.AtSeconds * float64(time.Second)))
		}
	}
	for _, f := range d.drill.Failovers {
		t.Logf("%s by %s: %q", f.Backend, f.By, f.Sentences)
	}
	if d.began.IsZero() {
		t.Fatal("the mark is not among the events")
	}
	d.unconnected = d.accounts(t, int64(length.Seconds())*50)
	return d
}

// accounts counts the stored samples itself, and wants every number of the timeline to be theirs. It returns when those
// were sent that had no connection.
func (d drilled) accounts(t *testing.T, planned int64) (unconnected []time.Duration) {
	t.Helper()
	l := need(t)
	e := l.do(t, d.dir, "results", "export", "latest", "--to", "ndjson")
	line := d.drill.Timeline
	sent, lost := make([]int64, len(line.Sent)), make([]int64, len(line.Sent))
	answered := map[string][]int64{}
	for _, b := range line.Backends {
		answered[b.Backend] = make([]int64, len(line.Sent))
	}
	seqs := map[uint64]bool{}
	var losses int64
	for text := range strings.Lines(e.stdout) {
		var r struct {
			Seq            uint64
			SentNs         int64
			Connection     *int
			StatusCode     *int
			Backend, Error *string
		}
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatalf("%v in %q", err, text)
		}
		if r.Connection == nil {
			unconnected = append(unconnected, time.Duration(r.SentNs))
		}
		seqs[r.Seq] = true
		bin := max(0, r.SentNs) / (line.BinMs * int64(time.Millisecond))
		sent[bin]++
		switch {
		case r.Error != nil || r.StatusCode == nil || *r.StatusCode >= 500:
			lost[bin]++
			losses++
		case r.Backend != nil:
			answered[*r.Backend][bin]++
		}
	}
	x := d.drill
	if int64(len(seqs)) != planned || x.Sent != planned || x.Lost != losses || x.Sent != x.Answered+x.Lost || !x.Accounted {
		t.Errorf("%d requests planned, %d stored, %d of them lost; the report has %d sent, %d answered, %d lost, accounted %v",
			planned, len(seqs), losses, x.Sent, x.Answered, x.Lost, x.Accounted)
	}
	for i := range sent {
		for _, b := range line.Backends {
			if b.Answered[i] != answered[b.Backend][i] {
				t.Errorf("bin %d: %d answers of %s, stored are %d", i, b.Answered[i], b.Backend, answered[b.Backend][i])
			}
		}
		if line.Sent[i] != sent[i] || line.Lost[i] != lost[i] {
			t.Errorf("bin %d: %d sent and %d lost, stored are %d and %d", i, line.Sent[i], line.Lost[i], sent[i], lost[i])
		}
	}
	return unconnected
}

// near wants an instant of the report to be that of an independent log, give or take.
func (d drilled) near(t *testing.T, what string, i *report.Instant, want time.Time, early, late time.Duration) {
	t.Helper()
	at := want.Sub(d.began)
	if i == nil {
		t.Errorf("%s: not in the report, it was at %.1fs", what, at.Seconds())
		return
	}
	t.Logf("%s at %.2fs (%.2f to %.2f), by the other log at %.2fs", what, i.AtSeconds, i.LowSeconds, i.HighSeconds, at.Seconds())
	if got := time.Duration(i.AtSeconds * float64(time.Second)); got < at-early || got > at+late {
		t.Errorf("%s at %.1fs, by the other log at %.1fs", what, i.AtSeconds, at.Seconds())
	}
}

// atEvent is when the report has an event of that kind with that text, by the clock of the test.
func (d drilled) atEvent(t *testing.T, kind, text string) time.Time {
	t.Helper()
	for _, e := range d.drill.Events {
		if e.Kind == kind && strings.Contains(e.Text, text) {
			return d.began.Add(time.Duration(e.AtSeconds * float64(time.Second)))
		}
	}
	t.Errorf("no event %s %q", kind, text)
	return time.Time{}
}

func (l lab) podinfoBack(t *testing.T) {
	t.Cleanup(func() { l.nothingLeft(t, 5*time.Second) })
	t.Cleanup(func() {
		l.scale(t, l.west, namespace, "podinfo", "2")
		l.rolledOut(t, l.west, namespace, "podinfo")
	})
}

// TestDrillOfADeadBackend scales podinfo in west to 0 and back while a drill runs. The stand-in mesh does not redistribute: half
// of the requests are lost until it is back, and the report must say that nothing took over. Pods that end answer on old
// connections for up to their grace of 5 s after new ones are refused.
func TestDrillOfADeadBackend(t *testing.T) {
	l := need(t)
	l.podinfoBack(t)
	var p *probe
	var scaled time.Time
	d := l.drill(t, 28*time.Second, func(dir string) {
		p = l.startProbe(t, "http://podinfo:9898/", 24*time.Second)
		scaled = l.scale(t, l.west, namespace, "podinfo", "0")
		l.do(t, dir, "mark", "latest", "scaled podinfo to 0")
		time.Sleep(9 * time.Second) // how long it is away is part of the drill
		l.scale(t, l.west, namespace, "podinfo", "2")
	}, "--max-lost", "0")
	if d.code != report.ExitFail || len(d.drill.Failovers) != 1 {
		t.Fatalf("exit %d, %s %q: %+v", d.code, d.report.Verdict.Outcome, d.report.Verdict.Reasons, d.drill.Failovers)
	}
	f := d.drill.Failovers[0]
	if f.Backend != "podinfo" || f.By != report.ByNobody || f.TakenOver != nil || !strings.Contains(strings.Join(f.Sentences, " "), "Nothing took over") {
		t.Errorf("%+v", f)
	}
	g := p.outage(t)
	d.near(t, "first error", f.FirstError, g.down, time.Second/2+g.downSlack, 7*time.Second)
	d.near(t, "recovery", f.Recovered, g.up, time.Second/2+g.upSlack, 3*time.Second)
	if got := d.atEvent(t, "mark", "scaled podinfo to 0").Sub(scaled); got < -time.Second || got > 2*time.Second {
		t.Errorf("the mark is %s after the deed", got)
	}
	d.atEvent(t, "endpoints", "podinfo")
}

// TestDrillWithAWeightChange has the weights go to east while podinfo in west is away: they are why the losses end.
func TestDrillWithAWeightChange(t *testing.T) {
	l := need(t)
	if l.weights == "" {
		t.Skip("SPLITBENCH_TEST_WEIGHTS is not set: weights cannot be changed")
	}
	l.podinfoBack(t)
	var p *probe
	var moved, back time.Time
	d := l.drill(t, 36*time.Second, func(string) {
		p = l.startProbe(t, "http://podinfo:9898/", 30*time.Second)
		l.scale(t, l.west, namespace, "podinfo", "0")
		time.Sleep(7 * time.Second) // requests are lost meanwhile
		l.setWeights(t, "0", "100")
		moved = time.Now()
		time.Sleep(5 * time.Second) // east carries all
		l.scale(t, l.west, namespace, "podinfo", "2")
		l.rolledOut(t, l.west, namespace, "podinfo")
		l.setWeights(t, "50", "50")
		back = time.Now()
	})
	// The stand-in proxy is reloaded for each change, and its new workers connect to the gateway anew: on a machine without time
	// to spare that may hold up east's answers for over half a second, which is a silence of its own, without a loss.
	failovers := slices.DeleteFunc(d.drill.Failovers, func(f report.Failover) bool { return f.Backend == "podinfo-east" && f.Lost == 0 })
	if d.report.Verdict.Outcome != report.Measured || len(failovers) != 1 {
		t.Fatalf("exit %d, %s %q: %+v", d.code, d.report.Verdict.Outcome, d.report.Verdict.Reasons, d.drill.Failovers)
	}
	f := failovers[0]
	if f.Backend != "podinfo" || f.By != report.ByWeights || f.Lost == 0 || !strings.Contains(strings.Join(f.Sentences, " "), "the weights did it") {
		t.Errorf("%+v", f)
	}
	g := p.outage(t)
	d.near(t, "first error", f.FirstError, g.down, time.Second/2+g.downSlack, 7*time.Second)
	// The command returns after the proxy was told. Requests that were lost by then may end a moment later. Where one without
	// a connection is lost after that, the others carried all from behind it on.
	for _, sent := range d.unconnected {
		if at := d.began.Add(sent); at.After(moved.Add(2*time.Second)) && at.Before(back) {
			t.Logf("at %.2fs the laboratory let a connection hang", sent.Seconds())
			moved = at
		}
	}
	d.near(t, "takeover", f.TakenOver, moved, 3*time.Second, 2*time.Second)
	// It answers again when the weights come back, or before to requests that waited for it.
	d.near(t, "recovery", f.Recovered, g.up, time.Second/2+g.upSlack, back.Sub(g.up)+2*time.Second)
	d.near(t, "back to the split", f.BackToSplit, back, 3*time.Second, 5*time.Second)
	d.atEvent(t, "weights", "")
}

// TestDrillOfADeadGateway takes the gateway of east away and brings it back.
func TestDrillOfADeadGateway(t *testing.T) {
	l := need(t)
	const ns, gateway = "linkerd-multicluster", "linkerd-gateway"
	t.Cleanup(func() { l.nothingLeft(t, 5*time.Second) })
	t.Cleanup(func() {
		l.scale(t, l.east, ns, gateway, "1")
		l.rolledOut(t, l.east, ns, gateway)
	})
	var p *probe
	d := l.drill(t, 25*time.Second, func(string) {
		p = l.startProbe(t, "http://podinfo-east:9898/", 20*time.Second)
		l.scale(t, l.east, ns, gateway, "0")
		time.Sleep(6 * time.Second) // how long it is away is part of the drill
		l.scale(t, l.east, ns, gateway, "1")
	}, "--max-outage", "1s")
	if d.code != report.ExitFail || len(d.drill.Failovers) != 1 {
		t.Fatalf("exit %d, %s %q: %+v", d.code, d.report.Verdict.Outcome, d.report.Verdict.Reasons, d.drill.Failovers)
	}
	f := d.drill.Failovers[0]
	if f.Backend != "podinfo-east" || f.By != report.ByNobody || f.TakenOver != nil {
		t.Errorf("%+v", f)
	}
	g := p.outage(t)
	d.near(t, "first error", f.FirstError, g.down, time.Second+g.downSlack, 3*time.Second)
	d.near(t, "recovery", f.Recovered, g.up, time.Second/2+g.upSlack, 3*time.Second)
	d.atEvent(t, "endpoints", "gateway")
}

// TestDrillInWhichNothingHappens must not pass.
func TestDrillInWhichNothingHappens(t *testing.T) {
	l := need(t)
	args := l.runArgs("--duration", "5s", "--rate", "50", "--max-lost", "20")
	args[0] = "drill"
	e := l.do(t, t.TempDir(), args...)
	// A request that this machine loses by itself is no failover either, and no pass.
	nothing := strings.Contains(e.stdout, "nothing failed while it ran") || strings.Contains(e.stdout, "no backend fell silent")
	if e.code != report.ExitInconclusive || !nothing {
		t.Errorf("exit %d\n%s%s", e.code, e.stdout, e.stderr)
	}
}
