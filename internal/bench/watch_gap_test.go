package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/podexec"
)

// cuts are the streams of sessions that can be cut from outside, as the death of a pod does.
type cuts struct {
	mu   sync.Mutex
	open map[string][]func()
}

func (c *cuts) mend(pod string, in io.Reader, out io.Writer) (io.Reader, io.Writer) {
	inR, inW := io.Pipe()
	go func() {
		_, err := io.Copy(inW, in)
		inW.CloseWithError(err)
	}()
	s := &switched{w: out}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[string][]func(){}
	}
	c.open[pod] = append(c.open[pod], func() { s.off(); inW.Close() })
	return inR, s
}

// cut cuts all streams of a pod, or of every pod.
func (c *cuts) cut(pod string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, streams := range c.open {
		if pod != "" && name != pod {
			continue
		}
		for _, end := range streams {
			end()
		}
		delete(c.open, name)
	}
}

type switched struct {
	mu   sync.Mutex
	w    io.Writer
	dead bool
}

func (s *switched) off() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = true
}

func (s *switched) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return 0, errCut
	}
	return s.w.Write(p)
}

// deleteObject deletes an object of a cluster as anybody would.
func deleteObject(t *testing.T, cfg *rest.Config, path string) {
	t.Helper()
	request(t, cfg, http.MethodDelete, path, "", "")
}

func request(t *testing.T, cfg *rest.Config, method, path, contentType, body string) {
	t.Helper()
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		t.Error(err)
		return
	}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), method, cfg.Host+path, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Error(err)
		return
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		t.Errorf("%s %s: %s", method, path, res.Status)
	}
}

// atLook calls f once, after so many looks.
func atLook(cfg *WatchConfig, look int64, f func(WatchState)) {
	done := false
	before := cfg.State
	cfg.State = func(s WatchState) {
		if before != nil {
			before(s)
		}
		if s.Watch.Looks == look && s.Up && !done {
			done = true
			f(s)
		}
	}
}

// neverFails makes a look that calls a right split wrong an error of the test.
func neverFails(t *testing.T, cfg *WatchConfig) {
	cfg.State = func(s WatchState) {
		if s.Outcome == report.Fail {
			t.Errorf("a right split failed at look %d: %+v", s.Watch.Looks, s.Watch.Failure)
		}
	}
}

// The pod that sends is deleted, twice: each time the watch goes on from the next ready one, with a gap that says so,
// and nothing of the looks that broke off is counted.
func TestWatchMovesOnToTheNextPod(t *testing.T) {
	t.Parallel()
	var c cuts
	w := world(t, demo.Options{Seed: 41, Frontends: 3, Mend: c.mend})
	cfg := watchOf(t, w)
	cfg.For = 8 * time.Second
	neverFails(t, &cfg)
	var said []string
	cfg.Progress = func(p Progress) { said = append(said, p.Text) }
	var down int
	before := cfg.State
	cfg.State = func(s WatchState) {
		before(s)
		if !s.Up {
			down++
		}
	}
	var began [2]time.Time
	for i, look := range []int64{3, 6} {
		atLook(&cfg, look, func(s WatchState) {
			began[i] = time.Now()
			deleteObject(t, cfg.REST, "/api/v1/namespaces/test/pods/"+s.Pod)
			c.cut(s.Pod)
		})
	}
	r, err := Watch(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	x := r.Watch
	if r.Verdict.Outcome != report.Pass && r.Verdict.Outcome != report.Inconclusive || x.GapCount != 2 ||
		len(x.Gaps) != 2 || len(x.Pods) != 3 {
		t.Fatalf("%s %q: %+v\n%s", r.Verdict.Outcome, r.Verdict.Reasons, x, strings.Join(said, "\n"))
	}
	if down < 2 {
		t.Errorf("%d states of a gap were told", down)
	}
	for i, g := range x.Gaps {
		if g.From != x.Pods[i] || g.To != x.Pods[i+1] || g.From == g.To || g.Why == "" || g.Seconds <= 0 || g.Seconds > 5 {
			t.Errorf("gap %+v, pods %q", g, x.Pods)
		}
		if d := g.At.Sub(began[i]).Abs(); d > 2*time.Second {
			t.Errorf("gap %d began %s from the deletion", i, d)
		}
		if !strings.Contains(strings.Join(said, "\n"), "from pod "+g.To+", after pod "+g.From) {
			t.Errorf("nobody was told of pod %s: %q", g.To, said)
		}
	}
	log, err := latest(t, cfg.ResultsDir).ReadFile(record.LogFile)
	if err != nil || strings.Count(string(log), "gap: ") != 2 {
		t.Errorf("the log has no gaps: %v\n%s", err, log)
	}
}

// front is a door to an API server that can be shut: what is behind it is the same as before when it opens again.
type front struct {
	t      *testing.T
	target string
	addr   string

	mu    sync.Mutex
	l     net.Listener
	conns map[net.Conn]bool
	wg    sync.WaitGroup
}

func openFront(t *testing.T, target string) *front {
	f := &front{t: t, target: target, addr: "127.0.0.1:0", conns: map[net.Conn]bool{}}
	f.open()
	t.Cleanup(func() { f.shut(); f.wg.Wait() })
	return f
}

func (f *front) open() {
	l, err := (&net.ListenConfig{}).Listen(f.t.Context(), "tcp", f.addr)
	if err != nil {
		f.t.Error(err)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.l, f.addr = l, l.Addr().String()
	f.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f.wg.Go(func() { f.carry(c) })
		}
	})
}

func (f *front) carry(c net.Conn) {
	b, err := (&net.Dialer{}).DialContext(f.t.Context(), "tcp", f.target)
	if err != nil {
		c.Close()
		return
	}
	f.mu.Lock()
	f.conns[c], f.conns[b] = true, true
	f.mu.Unlock()
	var both sync.WaitGroup
	for _, pair := range [][2]net.Conn{{c, b}, {b, c}} {
		both.Go(func() {
			io.Copy(pair[0], pair[1])
			pair[0].Close()
			pair[1].Close()
		})
	}
	both.Wait()
	f.mu.Lock()
	delete(f.conns, c)
	delete(f.conns, b)
	f.mu.Unlock()
}

func (f *front) shut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.l.Close()
	for c := range f.conns {
		c.Close()
	}
}

// The API server goes away in the middle and comes back: a gap as long as that, the same pod, the same evidence as
// before.
func TestWatchOutlivesTheAPIServer(t *testing.T) {
	t.Parallel()
	const away = 2 * time.Second
	w := world(t, demo.Options{Seed: 42})
	cfg := watchOf(t, w)
	cfg.For = 9 * time.Second
	neverFails(t, &cfg)
	f := openFront(t, strings.TrimPrefix(cfg.REST.Host, "https://"))
	cfg.REST = rest.CopyConfig(cfg.REST)
	cfg.REST.Host = "https://" + f.addr
	var err error
	if cfg.Local, err = mesh.Connect(cfg.REST, "west"); err != nil {
		t.Fatal(err)
	}
	var returned sync.WaitGroup
	atLook(&cfg, 3, func(WatchState) {
		f.shut()
		returned.Go(func() {
			time.Sleep(away) // how long it is away is what is tested
			f.open()
		})
	})
	r, err := Watch(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	returned.Wait()
	x := r.Watch
	if r.Verdict.Outcome != report.Pass && r.Verdict.Outcome != report.Inconclusive || x.GapCount != 1 || x.Looks < 6 {
		t.Fatalf("%s %q: %+v", r.Verdict.Outcome, r.Verdict.Reasons, x)
	}
	// The pauses are 0.5, 1 and 2 seconds, so it is found back within 1.5 s; opening a session takes some more.
	if g := x.Gaps[0]; g.Seconds < away.Seconds()-1 || g.Seconds > away.Seconds()+4 || g.From != g.To {
		t.Errorf("%+v", g)
	}
}

// A watch whose first session cannot be had ends there: what never worked is not waited for.
func TestWatchThatCannotBegin(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 43, Mend: func(_ string, in io.Reader, out io.Writer) (io.Reader, io.Writer) {
		return in, &cutWriter{w: out, cut: func() {}}
	}})
	cfg := watchOf(t, w)
	cfg.For = 0 // it would go on without end
	r, err := Watch(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Outcome != report.Invalid || r.Watch.GapCount != 0 || len(r.Verdict.Reasons) != 1 || errors.Is(err,
		errCut) {
		t.Errorf("%s %q: %+v", r.Verdict.Outcome, r.Verdict.Reasons, r.Watch)
	}
}

// A session is renewed when it is old, without a gap: nothing in a pod lives on without end.
func TestWatchRenewsItsSession(t *testing.T) {
	t.Parallel()
	var sessions atomic.Int64
	w := world(t, demo.Options{Seed: 44, Mend: func(_ string, in io.Reader, out io.Writer) (io.Reader, io.Writer) {
		sessions.Add(1)
		return in, out
	}})
	cfg := watchOf(t, w)
	cfg.Session, cfg.For = time.Second, time.Minute // at most: it ends when there was enough to see
	neverFails(t, &cfg)
	ctx, enough := context.WithCancel(t.Context())
	defer enough()
	seen := cfg.State
	cfg.State = func(s WatchState) {
		if seen(s); s.Watch.Looks >= 4 && sessions.Load() >= 2 {
			enough()
		}
	}
	r, err := Watch(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if n := sessions.Load(); n < 2 || r.Watch.GapCount != 0 || len(r.Watch.Pods) != 1 || r.Watch.Looks < 4 ||
		r.Watch.SetAside != 0 {
		t.Errorf("%d sessions: %+v", n, r.Watch)
	}
}

// What broke is told as what it means, in few words.
func TestWhyAGapBegan(t *testing.T) {
	t.Parallel()
	exit := &podexec.ExitError{Command: "/tmp/.splitbench-0123", Code: 137}
	for want, err := range map[string]error{
		"the agent's exit code 137 (killed: container stopped, or out of memory)": fmt.Errorf("run burst: %w", exit),
		"pod or container not there or not running: no such pod": fmt.Errorf("upload: %w",
			&podexec.NotFoundError{Err: errors.New("no such pod")}),
		"find source pod: there is no such pod": errors.New("find source pod: there is " +
			"no such pod"),
		strings.Repeat("x", 200) + "...": errors.New(strings.Repeat("x", 1000)),
	} {
		if got := whyOf(err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
