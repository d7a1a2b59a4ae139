package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/wire"
)

// inProcess executes the agent in this process, over pipes. It is the real agent; what podexec does around it is tested
// there and on real clusters.
type inProcess struct {
	o    ServeOptions
	mend func(io.Reader, io.Writer) (io.Reader, io.Writer) // what happens to the streams on the way; nil: nothing
	exit atomic.Int32
}

func (x *inProcess) Exec(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if x.mend != nil {
		stdin, stdout = x.mend(stdin, stdout)
	}
	code := Main(ctx, argv[1:], stdin, stdout, stderr, x.o)
	x.exit.Store(int32(code))
	if code != 0 {
		return fmt.Errorf("exit code %d", code)
	}
	return nil
}

var serveArgv = []string{"agent", ArgServe, "1m"}

func backends(t *testing.T) (string, *atomic.Int64) {
	t.Helper()
	var n atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/big" {
			io.WriteString(w, strings.Repeat("x", 300_000))
			return
		}
		fmt.Fprintf(w, `{"hostname":"pod-%d"}`, n.Add(1)%2)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, &n
}

func plan(url string, n uint64) attack.Plan {
	return attack.Plan{
		URL: url, Rate: attack.Rate{Hits: 1000, Per: time.Second}, Requests: n, WarmUp: 10,
		Rules: []attack.Rule{
			{Backend: 0, Kind: attack.RuleJSON, Key: "/hostname", Values: []string{"pod-0"}},
			{Backend: 1, Kind: attack.RuleJSON, Key: "/hostname", Values: []string{"pod-1"}},
		},
	}
}

func run(c *Client, ctx context.Context, p attack.Plan) (rs []attack.Result, totals wire.Totals, err error) {
	for r, e := range c.Attack(ctx, p, &totals) {
		if e != nil {
			return rs, totals, e
		}
		rs = append(rs, r)
	}
	return rs, totals, nil
}

func TestSessionFromHelloToBye(t *testing.T) {
	t.Parallel()
	url, served := backends(t)
	x := &inProcess{}
	var stored bytes.Buffer
	stored.Write(wire.Opening())
	c, err := Open(t.Context(), x, serveArgv, ClientOptions{Verified: func(_ wire.Type, raw []byte) error {
		_, err := stored.Write(raw)
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	if h := c.Hello(); h.Protocol != wire.Version || h.Arch == "" || h.UID < 0 {
		t.Errorf("HELLO: %+v", h)
	}
	res, body, err := c.Fetch(t.Context(), wire.FetchRequest{URL: url, TimeoutMs: 2000, MaxBytes: 1000})
	if err != nil || res.Status != 200 || !strings.HasPrefix(string(body), `{"hostname"`) {
		t.Errorf("fetch: %+v, %q, %v", res, body, err)
	}
	res, body, err = c.Fetch(t.Context(), wire.FetchRequest{URL: url + "/big", TimeoutMs: 2000, MaxBytes: 100_000})
	if err != nil || len(body) != 100_000 || !res.Truncated {
		t.Errorf("capped fetch: %d bytes, %+v, %v", len(body), res, err)
	}
	res, _, err = c.Fetch(t.Context(), wire.FetchRequest{URL: "http://127.0.0.1:1/", TimeoutMs: 2000})
	if err != nil || res.Status != 0 || res.Error == "" {
		t.Errorf("fetch from nobody: %+v, %v", res, err)
	}
	served.Store(0)
	for range 2 { // one session, two bursts
		rs, totals, err := run(c, t.Context(), plan(url, 1500))
		if err != nil {
			t.Fatal(err)
		}
		if len(rs) != 1500 || totals.Requests != 1500 || totals.Samples != 1500 || totals.Reason != wire.ReasonDone ||
			totals.WarmUp != 10 || totals.WarmUpAnswered != 10 || totals.Connections < 1 {
			t.Errorf("%d results, totals %+v", len(rs), totals)
		}
	}
	if n := served.Load(); n != 2*1510 {
		t.Errorf("the server saw %d requests, want %d", n, 2*1510)
	}
	if err := c.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if x.exit.Load() != 0 {
		t.Errorf("the agent ended with %d", x.exit.Load())
	}
	var totals wire.Totals
	n := 0
	for _, err := range NewStoredBursts(&stored).Next(&totals) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 1500 || totals.Requests != 1500 {
		t.Errorf("%d results stored of the first burst, totals %+v", n, totals)
	}
}

func TestStopKeepsWhatArrived(t *testing.T) {
	t.Parallel()
	url, _ := backends(t)
	c, err := Open(t.Context(), &inProcess{}, serveArgv, ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	interrupt := errors.New("interrupted")
	var rs []attack.Result
	var totals wire.Totals
	var last error
	for r, err := range c.Attack(ctx, plan(url, 60_000), &totals) {
		if err != nil {
			last = err
			continue
		}
		if rs = append(rs, r); len(rs) == 100 {
			cancel(interrupt)
		}
	}
	if !errors.Is(last, interrupt) || totals.Reason != wire.ReasonStopped || uint64(len(rs)) != totals.Requests {
		t.Errorf("%d results, totals %+v, error %v", len(rs), totals, last)
	}
	// The session outlives a stopped burst.
	if rs, _, err := run(c, t.Context(), plan(url, 50)); err != nil || len(rs) != 50 {
		t.Errorf("the next burst: %d results, %v", len(rs), err)
	}
}

// A burst that is given up before it began sends nothing, and the session stays usable.
func TestAStopBeforeTheBurst(t *testing.T) {
	url, served := backends(t)
	c, err := Open(t.Context(), &inProcess{}, serveArgv, ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := run(c, ctx, plan(url, 5000)); !errors.Is(err, context.Canceled) || served.Load() != 0 {
		t.Errorf("%v, %d requests were sent", err, served.Load())
	}
	// STOP right behind PLAN: the burst may have begun, and ends at once.
	b, err := json.Marshal(plan(url, 60_000))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.send(wire.Plan, b), c.send(wire.Stop, nil)); err != nil {
		t.Fatal(err)
	}
	var totals wire.Totals
	burst := &clientBurst{c: c, totals: &totals}
	if err := burst.read(t.Context(), func(attack.Result, error) bool { return true }, func() {}); err != nil || totals.Reason != wire.ReasonStopped || totals.Requests > 5000 {
		t.Errorf("%v, %+v", err, totals)
	}
	if rs, _, err := run(c, t.Context(), plan(url, 50)); err != nil || len(rs) != 50 {
		t.Errorf("the next burst: %d results, %v", len(rs), err)
	}
}

func TestABadPlanIsAnErrorAndNothingIsSent(t *testing.T) {
	url, served := backends(t)
	c, err := Open(t.Context(), &inProcess{}, serveArgv, ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p := plan(url, 10)
	p.Method = "POST"
	_, _, err = run(c, t.Context(), p)
	var cut *CutShortError
	if !errors.As(err, &cut) || cut.Reason != wire.ReasonError || !strings.Contains(err.Error(), "POST") || served.Load() != 0 {
		t.Errorf("got %v, %d requests", err, served.Load())
	}
}

func TestTheAgentEndsWhenStdinCloses(t *testing.T) {
	url, _ := backends(t)
	inR, inW := io.Pipe()
	var out lockedBuffer
	ended := make(chan error, 1)
	go func() { ended <- Serve(t.Context(), inR, &out, ServeOptions{}) }()
	w := wire.NewWriter(inW)
	b := []byte(fmt.Sprintf(`{"url":%q,"method":"GET","rate":{"hits":100,"perNs":1000000000},"requests":50000}`, url))
	if err := w.Write(wire.Plan, b); err != nil {
		t.Fatal(err)
	}
	inW.Close()
	select {
	case err := <-ended:
		if !errors.Is(err, errClientGone) {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(2 * time.Second):
		t.Fatal("still alive 2 s after stdin closed")
	}
}

func TestTheAgentEndsByItself(t *testing.T) {
	for name, tt := range map[string]struct {
		o    ServeOptions
		want error
	}{
		"at its deadline":    {ServeOptions{Deadline: 50 * time.Millisecond}, errDeadline},
		"when nobody speaks": {ServeOptions{Silence: 50 * time.Millisecond}, errClientGone},
	} {
		inR, inW := io.Pipe()
		defer inW.Close()
		if err := Serve(t.Context(), inR, io.Discard, tt.o); !errors.Is(err, tt.want) {
			t.Errorf("%s: ended with %v", name, err)
		}
	}
}

// A reader that stops reading must not keep the agent alive, nor its load waiting.
func TestTheAgentEndsWithAStuckStdout(t *testing.T) {
	t.Parallel()
	inR, inW := io.Pipe()
	_, stuck := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- Serve(t.Context(), inR, stuck, ServeOptions{}) }()
	inW.Close()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("ended without an error")
		}
	case <-time.After(3 * time.Second):
		t.Fatal("still alive")
	}
}

func TestDroppedBlocksAreCounted(t *testing.T) {
	t.Parallel()
	_, stuck := io.Pipe()
	out := newOutbox(stuck, func(error) {})
	b := newBatch(out)
	const n = 3_000_000 // at 8 to 9 bytes each more than the queue holds
	r := attack.Result{Sent: time.Second, Done: time.Hour, Backend: 1, Status: 200}
	for i := range uint64(n) {
		r.Seq = i
		b.add(r)
	}
	b.flush()
	if b.totals.Dropped == 0 || b.totals.Dropped+b.totals.Samples != n || b.tally.Len() != n {
		t.Errorf("sent %d, dropped %d, counted %d of %d", b.totals.Samples, b.totals.Dropped, b.tally.Len(), n)
	}
	stuck.Close()
	if err := out.close(); err == nil {
		t.Error("a broken stdout was not reported")
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}
