package bench

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/wire"
	"github.com/splitbench/splitbench/internal/witness"
)

// live runs, and holds the stored run against the report.
func live(t *testing.T, cfg Config) (report.Report, record.Manifest, store.Folder) {
	t.Helper()
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	f := latest(t, cfg.ResultsDir)
	again, err := judge.Analyze(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(r, again, cmpopts.EquateApproxTime(0)); d != "" {
		t.Errorf("live and stored differ (-live +stored):\n%s", d)
	}
	if v, err := f.Verify(); err != nil || v.State == store.Damaged {
		t.Errorf("the folder: %v, %v", v, err)
	}
	m, err := record.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return r, m, f
}

// numbers checks that a run's samples have each number once, from 0, and returns them by error class.
func numbers(t *testing.T, f store.Folder, want, pods uint64) map[attack.ErrorClass]int {
	t.Helper()
	seen := map[uint64]bool{}
	conns := map[int32]map[uint64]bool{} // connection: pods
	classes := map[attack.ErrorClass]int{}
	var totals wire.Totals
	for r, err := range record.Samples(f, &totals) {
		if err != nil {
			t.Fatal(err)
		}
		if seen[r.Seq] || r.Seq >= want {
			t.Errorf("request %d comes twice, or is none of %d", r.Seq, want)
		}
		seen[r.Seq] = true
		classes[r.Err]++
		if conns[r.Conn] == nil {
			conns[r.Conn] = map[uint64]bool{}
		}
		conns[r.Conn][r.Seq%pods] = true
	}
	if uint64(len(seen)) != want || totals.Requests != want {
		t.Errorf("%d requests have a result, the totals say %d, want %d", len(seen), totals.Requests, want)
	}
	delete(conns, attack.UnknownConn)
	for c, pods := range conns {
		if len(pods) > 1 {
			t.Errorf("connection %d is of two pods", c)
		}
	}
	return classes
}

// began is when a stream's agent sent its first request.
func began(t *testing.T, f store.Folder, s record.Stream) time.Time {
	t.Helper()
	file, err := f.OpenStream(s.File)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var totals wire.Totals
	for _, err := range agent.NewStoredBursts(file).Next(&totals) {
		if err != nil {
			t.Fatal(err)
		}
	}
	return time.Unix(0, totals.StartedUnixNs)
}

func TestTwoPodsAddUp(t *testing.T) {
	w := world(t, demo.Options{Seed: 3, Frontends: 3})
	cfg := connect(t, w, 2001)
	cfg.Query.Pods = 2
	r, m, f := live(t, cfg)
	if r.Load == nil || r.Load.Requests != 2001 || r.Run == nil || !r.Run.Complete || r.Verdict.Outcome == report.Invalid {
		t.Fatalf("outcome %s %q, load %+v", r.Verdict.Outcome, r.Verdict.Reasons, r.Load)
	}
	draws := w.Draws()
	probes := draws["podinfo"] + draws["podinfo-east"] - 2006
	if probes < directProbes || probes > rootProbes {
		t.Errorf("the data plane drew %v", draws)
	}
	if c := numbers(t, f, 2001, 2); c[attack.OK] != 2001 {
		t.Errorf("results: %v", c)
	}
	if len(m.Streams) != 2 || m.Streams[0].Name == m.Streams[1].Name || m.Streams[1].File != "frames-1.sbw" {
		t.Errorf("streams: %+v", m.Streams)
	}
	// The rate that was reached is this machine's; that which was asked for is the schedule's: a request each millisecond.
	var totals wire.Totals
	for result, err := range record.Samples(f, &totals) {
		if off := result.Planned - time.Duration(result.Seq)*time.Millisecond; err != nil || off.Abs() > time.Microsecond {
			t.Fatalf("request %d is planned %s too late, %v", result.Seq, off, err)
		}
	}
	if rate := r.Load.RatePerSecond; rate > 1100 {
		t.Errorf("%g requests a second, want 1000", rate)
	}
	// Both pods send for two seconds by their schedules. Were one to wait for the other, it would begin when that is over.
	if apart := began(t, f, m.Streams[1]).Sub(began(t, f, m.Streams[0])); apart.Abs() >= 2*time.Second {
		t.Errorf("the pods began %s apart: one after the other", apart)
	}
	pods := r.Source.Pods
	if len(pods) != 2 || pods[0].Requests+pods[1].Requests != 2001 || pods[0].Requests != 1001 ||
		pods[0].Pod != m.Before.Source.Name {
		t.Errorf("by source pod: %+v", pods)
	}
	found := false
	for _, d := range r.Diagnostics {
		found = found || d.Name == "source-pods"
	}
	if !found {
		t.Errorf("pods were not compared: %+v", r.Diagnostics)
	}
}

func TestAllPods(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 3, Frontends: 3})
	cfg := connect(t, w, 300)
	cfg.Query.Pods = mesh.AllPods
	r, _, f := live(t, cfg)
	if len(r.Source.Pods) != 3 || r.Load.Requests != 300 {
		t.Errorf("pods %+v, load %+v", r.Source.Pods, r.Load)
	}
	var totals wire.Totals
	n := 0
	for _, err := range record.Samples(f, &totals) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 300 {
		t.Errorf("%d samples", n)
	}
	cfg.Query.Pods = 4
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Outcome != report.Invalid || !strings.Contains(strings.Join(r.Verdict.Reasons, " "),
		"3 pods are ready, --pods asks for 4") {
		t.Errorf("more pods than there are: %s %q", r.Verdict.Outcome, r.Verdict.Reasons)
	}
}

// The sessions of many pods are opened side by side, and the report says how far apart they started.
func TestManyPodsStartTogether(t *testing.T) {
	t.Parallel()
	const pods = 16
	w := world(t, demo.Options{Seed: 3, Frontends: pods})
	cfg := connect(t, w, 2000)
	cfg.Query.Pods, cfg.Witness = mesh.AllPods, witness.Off
	var began, opened time.Time
	cfg.Progress = func(p Progress) {
		switch {
		case strings.HasPrefix(p.Text, "starting the agent"):
			began = time.Now()
		case strings.HasPrefix(p.Text, "learning"):
			opened = time.Now()
		}
	}
	r, m, _ := live(t, cfg)
	if len(m.Streams) != pods || r.Load.Requests != 2000 {
		t.Fatalf("%d streams, load %+v, %q", len(m.Streams), r.Load, r.Verdict.Reasons)
	}
	for i, s := range m.Streams {
		if s.Pod != i || i > 0 && s.File != fmt.Sprintf("frames-%d.sbw", i) {
			t.Errorf("stream %d is %s of pod %d", i, s.File, s.Pod)
		}
	}
	// All of them are this process: what holds one up holds all up.
	if r.Source.StartSkewMs <= 0 || r.Source.StartSkewMs > 5000 {
		t.Errorf("they started within %g ms", r.Source.StartSkewMs)
	}
	t.Logf("%d sessions in %s, started within %g ms", pods, opened.Sub(began), r.Source.StartSkewMs)
}

// A pod that is lost in mid-burst is named and leaves the others' results: what it did not send, or what did not arrive of
// it, is unattributed, and the verdict has no more than that allows.
func TestALostPodIsNamedAndTheOthersStand(t *testing.T) {
	t.Parallel()
	// Whichever pod is the second to open, and it may be the one that learns the rules, the cut is in the burst.
	cuts := &cutting{after: 9000, pod: 1}
	w := world(t, demo.Options{Seed: 3, Frontends: 4, Mend: cuts.mend})
	cfg := connect(t, w, 8000)
	cfg.Query.Pods = 4
	cfg.Witness = witness.Off // its page would come within the bytes before the cut
	r, m, f := live(t, cfg)
	classes := numbers(t, f, 8000, 4)
	lost := classes[attack.ErrLost]
	if classes[attack.OK]+lost != 8000 || lost == 0 || lost >= 2000 {
		t.Fatalf("results: %v, %q", classes, r.Verdict.Reasons)
	}
	var named []string
	for i, p := range r.Source.Pods {
		if p.Why == "" && (p.Requests != 2000 || p.Lost != 0) || p.Why != "" && p.Lost != int64(lost) {
			t.Errorf("pod %d: %+v", i, p)
		}
		if p.Why != "" {
			named = append(named, p.Pod)
		}
	}
	if len(named) != 1 || !strings.Contains(strings.Join(r.Warnings, " "), "pod "+named[0]+" was lost") {
		t.Errorf("lost pods %q, warnings %q", named, r.Warnings)
	}
	// Nearly a quarter of all requests may have gone anywhere: that is no pass, and the counts of the three others stand.
	if r.Verdict.Outcome == report.Pass || r.Unattributed.Requests != int64(lost) || len(m.Streams) != 4 {
		t.Errorf("outcome %s with %d unattributed, %d streams", r.Verdict.Outcome, r.Unattributed.Requests, len(m.Streams))
	}
}

// A pod whose session cannot be opened is left out of a dozen, as one that is lost later is: the other eleven wait for
// nobody. Of two pods both are needed.
func TestAPodThatCannotBeOpenedIsLeftOut(t *testing.T) {
	t.Parallel()
	for _, pods := range []int{12, 2} {
		var sick string
		w := world(t, demo.Options{Seed: 3, Frontends: pods, Mend: func(pod string, in io.Reader, out io.Writer) (io.Reader, io.Writer) {
			if pod == sick {
				return in, &cutWriter{w: out, cut: func() {}}
			}
			return in, out
		}})
		cfg := connect(t, w, 1200)
		cfg.Query.Pods, cfg.Witness, cfg.Via = pods, witness.Off, ViaPresent
		snap, err := Discover(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		sick = snap.Others[0].Name
		r, _, f := live(t, cfg)
		if pods == 2 {
			if r.Verdict.Outcome != report.Invalid || r.Load != nil && r.Load.Requests > 0 {
				t.Errorf("one of two: outcome %s, load %+v", r.Verdict.Outcome, r.Load)
			}
			continue
		}
		if c := numbers(t, f, 1200, 12); c[attack.ErrLost] != 100 || c[attack.OK] != 1100 {
			t.Errorf("results %v, %q", c, r.Verdict.Reasons)
		}
		if p := r.Source.Pods[1]; p.Pod != sick || p.Why == "" || p.Lost != 100 {
			t.Errorf("the pod that is left out: %+v", p)
		}
	}
}

// A pod whose stream broke and that cannot be resumed has its samples once, and loses the rest.
func TestAPodThatCannotBeResumedKeepsItsSamples(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var sick string
	first := &cutting{after: 9000}
	gone := &cutting{more: 100}
	w := world(t, demo.Options{Seed: 3, Frontends: 4, Mend: func(pod string, in io.Reader, out io.Writer) (io.Reader, io.Writer) {
		mu.Lock()
		defer mu.Unlock()
		if pod != sick {
			return in, out
		}
		if first.sessions == 0 {
			return first.mend(pod, in, out)
		}
		return gone.mend(pod, in, out)
	}})
	cfg := connect(t, w, 8000)
	cfg.Query.Pods, cfg.Witness, cfg.Via, cfg.Resume = 4, witness.Off, ViaPresent, true
	snap, err := Discover(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	sick = snap.Others[0].Name
	r, m, f := live(t, cfg)
	c := numbers(t, f, 8000, 4)
	if c[attack.OK]+c[attack.ErrLost] != 8000 || c[attack.OK] <= 6000 || c[attack.ErrLost] == 0 || len(m.Streams) != 4 {
		t.Errorf("%v, %d streams, %q, %q", c, len(m.Streams), r.Verdict.Reasons, r.Warnings)
	}
}

// Where all pods are lost there is no run, and the first reason is said.
func TestAllPodsLostIsTheEnd(t *testing.T) {
	t.Parallel()
	cuts := &cutting{after: 9000, more: 1}
	w := world(t, demo.Options{Seed: 3, Frontends: 2, Mend: cuts.mend})
	cfg := connect(t, w, 20_000)
	cfg.Query.Pods, cfg.Witness = 2, witness.Off
	r, _, _ := live(t, cfg)
	if r.Verdict.Outcome != report.Invalid || !strings.Contains(strings.Join(r.Verdict.Reasons, " "), "all 2 pods were lost") {
		t.Errorf("outcome %s %q", r.Verdict.Outcome, r.Verdict.Reasons)
	}
}

// cutting breaks the n-th agent's session, as a connection that is gone does, when its stdout has carried so many
// bytes.
type cutting struct {
	after int
	pod   int
	more  int // sessions after it that are cut too

	mu       sync.Mutex
	sessions int
}

func (c *cutting) mend(_ string, in io.Reader, out io.Writer) (io.Reader, io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.sessions
	c.sessions++
	if n < c.pod || n > c.pod+c.more {
		return in, out
	}
	inR, inW := io.Pipe()
	go func() {
		_, err := io.Copy(inW, in)
		inW.CloseWithError(err)
	}()
	return inR, &cutWriter{w: out, left: c.after, cut: func() { inW.Close() }}
}

type cutWriter struct {
	w    io.Writer
	left int
	cut  func()
}

var errCut = errors.New("the connection is gone")

func (c *cutWriter) Write(p []byte) (int, error) {
	n := min(len(p), c.left)
	c.left -= n
	if _, err := c.w.Write(p[:n]); err != nil {
		return 0, err
	}
	if n < len(p) {
		c.cut()
		return n, errCut
	}
	return n, nil
}

// A stream that broke and was resumed: both segments and what was lost between them are the plan, and the report
// says so.
func TestTwoSegmentsAddUp(t *testing.T) {
	t.Parallel()
	cuts := &cutting{after: 20_000}
	w := world(t, demo.Options{Seed: 5, Mend: cuts.mend})
	cfg := connect(t, w, 3000)
	cfg.Resume = true
	r, m, f := live(t, cfg)
	if len(m.Streams) != 2 || m.Streams[0].Next == 0 || m.Streams[1].First != m.Streams[0].Next ||
		m.Streams[1].Segment != 1 || m.Streams[0].Broken == "" {
		t.Fatalf("streams: %+v, reasons %q", m.Streams, r.Verdict.Reasons)
	}
	classes := numbers(t, f, 3000, 1)
	lost := classes[attack.ErrLost]
	if classes[attack.OK]+lost != 3000 || lost == 0 || lost > 1500 || classes[attack.OK] < 1000 {
		t.Errorf("results: %v", classes)
	}
	if r.Load == nil || r.Load.Requests != 3000 || !r.Run.Complete {
		t.Fatalf("load %+v, run %+v", r.Load, r.Run)
	}
	if got := r.Unattributed.Errors["lost"]; got != int64(lost) {
		t.Errorf("the report says %d lost, the samples %d", got, lost)
	}
	if text := strings.Join(r.Warnings, " "); !strings.Contains(text,
		fmt.Sprintf("%d requests whose fate is not known were not sent again", lost)) {
		t.Errorf("warnings: %q", r.Warnings)
	}
	// No request was sent twice: the data plane drew for each at most once.
	draws := w.Draws()
	if n := draws["podinfo"] + draws["podinfo-east"]; n > 3000+5+rootProbes {
		t.Errorf("%d requests reached the data plane", n)
	}
	if len(r.Source.Pods) != 1 || r.Source.Pods[0].Segments != 2 || r.Source.Pods[0].Lost != int64(lost) {
		t.Errorf("by source pod: %+v", r.Source.Pods)
	}
}

// Each break tells its own losses, which add up to the run's.
func TestLossesOfSeveralBreaksAddUpOnce(t *testing.T) {
	t.Parallel()
	cuts := &cutting{after: 20_000, more: 1}
	w := world(t, demo.Options{Seed: 6, Mend: cuts.mend})
	cfg := connect(t, w, 5000)
	cfg.Resume = true
	r, m, _ := live(t, cfg)
	if len(m.Streams) != 3 {
		t.Fatalf("streams: %+v, reasons %q", m.Streams, r.Verdict.Reasons)
	}
	told, breaks := int64(0), 0
	for _, text := range r.Warnings {
		if _, rest, ok := strings.Cut(text, "of its part: "); ok {
			var n int64
			if _, err := fmt.Sscan(rest, &n); err != nil {
				t.Fatal(err)
			}
			told, breaks = told+n, breaks+1
		}
	}
	if all := r.Unattributed.Errors["lost"]; breaks != 2 || told != all || all == 0 || r.Source.Pods[0].Lost != all {
		t.Errorf("%d breaks tell of %d lost, the report of %d, the pod of %d", breaks, told, all, r.Source.Pods[0].Lost)
	}
}

// Without --resume a broken stream is the end.
func TestABrokenStreamIsNoPass(t *testing.T) {
	t.Parallel()
	cuts := &cutting{after: 20_000}
	w := world(t, demo.Options{Seed: 5, Mend: cuts.mend})
	r, m, _ := live(t, connect(t, w, 3000))
	if r.Verdict.Outcome != report.Invalid || r.Load == nil || r.Load.Requests == 0 || r.Run.Complete ||
		len(m.Streams) != 0 {
		t.Errorf("outcome %s, load %+v, streams %+v", r.Verdict.Outcome, r.Load, m.Streams)
	}
}
