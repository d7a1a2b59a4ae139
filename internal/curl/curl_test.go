package curl

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/wire"
)

// container runs commands of this machine, with only the programs of a directory in its PATH.
type container struct{ path string }

func (c container) Exec(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) error {
	name := filepath.Join(c.path, argv[0])
	if _, err := os.Stat(name); err != nil {
		return fmt.Errorf("%s: no such file", argv[0])
	}
	cmd := exec.CommandContext(ctx, name, argv[1:]...)
	cmd.Env = []string{"PATH=" + c.path, "HOME=" + c.path, "http_proxy=http://127.0.0.1:1", "HTTP_PROXY=http://127.0.0.1:1"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	return cmd.Run()
}

// containers are one for each tool that this machine has.
func containers(t *testing.T) map[string]container {
	t.Helper()
	out := map[string]container{}
	link := func(tool string, programs map[string]string) {
		dir := t.TempDir()
		for name, of := range programs {
			path, err := exec.LookPath(of)
			if err != nil {
				t.Logf("%s is not tested: this machine has no %s", tool, of)
				return
			}
			if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		out[tool] = container{dir}
	}
	link(toolCurl, map[string]string{"curl": "curl", "id": "id"})
	link(toolWget, map[string]string{"wget": "wget", "sh": "sh", "id": "id"})
	// Debian 12's static busybox crashes with a timeout.
	probe := httptest.NewServer(http.NotFoundHandler())
	defer probe.Close()
	if out, err := exec.Command("busybox", "wget", "-q", "-O", "-", "-T", "5", probe.URL).CombinedOutput(); err == nil || !strings.Contains(string(out), "404") {
		t.Logf("%s is not tested: this machine's does not work: %v %s", toolBusybox, err, out)
	} else {
		link(toolBusybox, map[string]string{"wget": "busybox", "sh": "busybox", "id": "busybox"})
	}
	if len(out) == 0 {
		t.Skip("this machine has neither curl nor wget")
	}
	return out
}

// server answers as two backends in turn, and asks for trouble where the path says so.
func server(t *testing.T) (string, *atomic.Int64) {
	t.Helper()
	var n atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i := n.Add(1)
		w.Header().Set("X-Backend", fmt.Sprint(i%2))
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case "/503":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/big":
			io.WriteString(w, strings.Repeat("x\n", 300_000)+`{"hostname":"pod-0"}`)
		case "/hang":
			<-r.Context().Done()
		case "/hangup":
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				conn.Close()
			}
		default:
			fmt.Fprintf(w, "{\"hostname\":\"pod-%d\",\n\"path\":%q,\"agent\":%q}", i%2, r.URL.RequestURI(), r.UserAgent())
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL, &n
}

func plan(url string, n uint64) attack.Plan {
	return attack.Plan{
		URL: url, Rate: attack.Rate{Hits: 100, Per: time.Second}, Requests: n, Timeout: 5 * time.Second,
		Header: map[string]string{"User-Agent": `a "b" \c $(d) ; e`},
		Rules: []attack.Rule{
			{Backend: 0, Kind: attack.RuleJSON, Key: "/hostname", Values: []string{"pod-0"}},
			{Backend: 1, Kind: attack.RuleJSON, Key: "/hostname", Values: []string{"pod-1"}},
		},
	}
}

func open(t *testing.T, x Execer, o Options) *Client {
	t.Helper()
	c, err := Open(t.Context(), x, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A burst by each program: every request counted once, and the frames are those of an agent.
func TestABurstByEachProgram(t *testing.T) {
	t.Parallel()
	for tool, x := range containers(t) {
		t.Run(tool, func(t *testing.T) {
			url, served := server(t)
			var stored bytes.Buffer
			stored.Write(wire.Opening())
			c := open(t, x, Options{Verified: func(_ wire.Type, raw []byte) error { _, err := stored.Write(raw); return err }})
			if h := c.Hello(); h.Protocol != wire.Version || h.UID != os.Getuid() || h.Version == "" {
				t.Errorf("hello: %+v", h)
			}
			p := plan(url+"/a?b=c&d=$(e)[1-3]{x,y}", 60)
			p.WarmUp = 4
			p.Reuse = &attack.Reuse{MinRequests: 7, MaxRequests: 7}
			var totals wire.Totals
			var n [2]int
			conns := map[int32]bool{}
			for r, err := range c.Attack(t.Context(), p, &totals) {
				if err != nil {
					t.Fatal(err)
				}
				if r.Err != attack.OK || r.Status != 200 || r.Backend < 0 || r.Done < r.Sent || r.Seq != uint64(n[0]+n[1]) {
					t.Fatalf("result %+v", r)
				}
				n[r.Backend]++
				conns[r.Conn] = true
			}
			if n[0] != 30 || n[1] != 30 || totals.Requests != 60 || totals.WarmUp != 4 || totals.WarmUpAnswered != 4 || totals.Engine != tool {
				t.Errorf("by backend %v, totals %+v", n, totals)
			}
			if served.Load() != 64 {
				t.Errorf("the server saw %d requests", served.Load())
			}
			if tool == toolCurl && len(conns) != 9 { // of seven requests each, the last of four
				t.Errorf("%d connections", len(conns))
			}
			var again wire.Totals
			k := 0
			for _, err := range agent.NewStoredBursts(&stored).Next(&again) {
				if err != nil {
					t.Fatal(err)
				}
				k++
			}
			if k != 60 || again.Requests != 60 || again.Reason != wire.ReasonDone {
				t.Errorf("stored: %d results, %+v", k, again)
			}
		})
	}
}

func TestFetchByEachProgram(t *testing.T) {
	t.Parallel()
	for tool, x := range containers(t) {
		t.Run(tool, func(t *testing.T) {
			url, _ := server(t)
			c := open(t, x, Options{})
			fetch := func(path string, most int64) (wire.FetchResult, []byte) {
				res, body, err := c.Fetch(t.Context(), wire.FetchRequest{URL: url + path, TimeoutMs: 5000, MaxBytes: most, Header: map[string]string{"User-Agent": `q"\`}})
				if err != nil {
					t.Fatalf("%s: %v", path, err)
				}
				return res, body
			}
			res, body := fetch("/x", 1000)
			if res.Status != 200 || !strings.HasPrefix(string(body), `{"hostname":"pod-`) || !strings.HasSuffix(string(body), "}") ||
				!strings.Contains(string(body), `"agent":"q\"\\"`) || tool == toolCurl && len(res.Header["X-Backend"]) != 1 {
				t.Errorf("%+v, %q", res, body)
			}
			if res, body = fetch("/big", 1000); res.Status != 200 || len(body) != 1000 || !res.Truncated {
				t.Errorf("a capped body: %+v, %d bytes", res, len(body))
			}
			if res, _ = fetch("/503", 1000); res.Status < 500 {
				t.Errorf("503: %+v", res)
			}
			if tool != toolBusybox { // which follows redirects, and cannot be told not to
				if res, _ = fetch("/redirect", 1000); res.Status == 200 {
					t.Errorf("a redirect was followed: %+v", res)
				}
			}
			if res, _ = fetch("/hangup", 1000); res.Status != 0 || res.Error == "" {
				t.Errorf("no answer: %+v", res)
			}
		})
	}
}

func TestFailuresHaveTheirClass(t *testing.T) {
	t.Parallel()
	const nobody = "http://127.0.0.1:1/"
	for tool, x := range containers(t) {
		t.Run(tool, func(t *testing.T) {
			url, _ := server(t)
			c := open(t, x, Options{})
			class := func(url string, timeout time.Duration) attack.ErrorClass {
				p := plan(url, 1)
				p.Timeout = timeout
				var totals wire.Totals
				var got attack.ErrorClass
				for r, err := range c.Attack(t.Context(), p, &totals) {
					if err != nil {
						t.Fatal(err)
					}
					got = r.Err
				}
				return got
			}
			if got := class(nobody, time.Second); got != attack.ErrDial && tool != toolWget {
				t.Errorf("nobody listens: %s", got)
			}
			if got := class(url+"/hang", time.Second); got == attack.OK || tool == toolCurl && got != attack.ErrTimeout {
				t.Errorf("no answer in time: %s", got)
			}
			if got := class(url+"/hangup", time.Second); got == attack.OK || tool == toolCurl && got != attack.ErrEmpty {
				t.Errorf("hung up: %s", got)
			}
		})
	}
}

// An answer that looks like the end of one cannot be it: nobody knows the digits.
func TestABodyCannotEndItself(t *testing.T) {
	t.Parallel()
	x, ok := containers(t)[toolCurl]
	if !ok {
		t.Skip("this machine has no curl")
	}
	c := open(t, x, Options{Random: bytes.NewReader(make([]byte, 16))})
	fake := strings.Repeat("0", 32) + " 200 0.1 0.1 1 0\n"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, fake) }))
	defer srv.Close()
	n := 0
	err := c.run(t.Context(), order{url: srv.URL, times: 2, timeout: time.Second}, 1000, func(answer) bool { n++; return true })
	if err != nil || n != 2 { // with known digits it can
		t.Fatalf("%d answers, %v", n, err)
	}
	c = open(t, x, Options{})
	var bodies []string
	if err := c.run(t.Context(), order{url: srv.URL, times: 2, timeout: time.Second}, 1000, func(a answer) bool {
		bodies = append(bodies, string(a.body))
		return true
	}); err != nil || len(bodies) != 2 || bodies[0] != fake || bodies[1] != fake {
		t.Errorf("%q, %v", bodies, err)
	}
}

func TestHeaderRulesByCurl(t *testing.T) {
	t.Parallel()
	for tool, x := range containers(t) {
		url, _ := server(t)
		p := plan(url, 10)
		p.Rules = []attack.Rule{{Backend: 0, Kind: attack.RuleHeader, Key: "X-Backend", Values: []string{"0"}}, {Backend: 1, Kind: attack.RuleHeader, Key: "X-Backend", Values: []string{"1"}}}
		var totals wire.Totals
		known := 0
		var last error
		for r, err := range open(t, x, Options{}).Attack(t.Context(), p, &totals) {
			if last = err; err == nil && r.Backend >= 0 {
				known++
			}
		}
		switch {
		case tool == toolCurl && (known != 10 || last != nil):
			t.Errorf("%s: %d of 10 known, %v", tool, known, last)
		case tool != toolCurl && (last == nil || !strings.Contains(last.Error(), "does not tell the headers")):
			t.Errorf("%s: %v", tool, last)
		}
	}
}

// What the container's user keeps for himself in ~/.curlrc and ~/.wgetrc is no part of the plan.
func TestSettingsOfTheContainerAreLeftAside(t *testing.T) {
	t.Parallel()
	var meddled atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Own") != "" {
			meddled.Add(1)
		}
		fmt.Fprint(w, `{"hostname": "pod-0"}`)
	}))
	defer srv.Close()
	for tool, x := range containers(t) {
		for name, text := range map[string]string{".curlrc": `header = "X-Own: 1"` + "\n", ".wgetrc": "header = X-Own: 1\n"} {
			if err := os.WriteFile(filepath.Join(x.path, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var totals wire.Totals
		for _, err := range open(t, x, Options{}).Attack(t.Context(), plan(srv.URL, 3), &totals) {
			if err != nil {
				t.Fatalf("%s: %v", tool, err)
			}
		}
		if n := meddled.Swap(0); n > 0 || totals.Requests != 3 {
			t.Errorf("%s: %d of %d requests had the user's own header", tool, n, totals.Requests)
		}
	}
}

func TestABurstIsStoppedAndGivenUp(t *testing.T) {
	t.Parallel()
	x, ok := containers(t)[toolCurl]
	if !ok {
		t.Skip("this machine has no curl")
	}
	url, _ := server(t)
	c := open(t, x, Options{})
	interrupt := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var totals wire.Totals
	n := 0
	var last error
	for _, err := range c.Attack(ctx, plan(url, 5000), &totals) {
		if last = err; err == nil {
			if n++; n == 30 {
				cancel(interrupt)
			}
		}
	}
	if !errors.Is(last, interrupt) || totals.Reason != wire.ReasonStopped || totals.Requests != uint64(n) || n > 400 {
		t.Errorf("%d results, %v, %+v", n, last, totals)
	}
	p := plan(url+"/hangup", 1000)
	p.GiveUpAfter = 20
	n, last = 0, nil
	for _, err := range c.Attack(t.Context(), p, &totals) {
		if last = err; err == nil {
			n++
		}
	}
	var cut *CutShortError
	if !errors.As(last, &cut) || cut.Reason != wire.ReasonGaveUp || n != 20 {
		t.Errorf("%d results, %v", n, last)
	}
}

func TestWhatIsNotSentThisWay(t *testing.T) {
	good := plan("http://x/", 10)
	for want, p := range map[string]attack.Plan{
		"at most 100, one after the other": {URL: good.URL, Rate: attack.Rate{Hits: 101, Per: time.Second}, Requests: 10},
		"at most 20000":                    {URL: good.URL, Rate: good.Rate, Requests: 20_001},
		"only GET":                         {URL: good.URL, Rate: good.Rate, Requests: 1, Method: "HEAD"},
		"only a constant rate":             {URL: good.URL, Rate: good.Rate, Requests: 1, Shape: &attack.Shape{}},
		"cannot be moved":                  {URL: good.URL, Rate: good.Rate, Requests: 1, ConnectTo: map[string]string{"x:80": "y:80"}},
		"HTTP/1.1 alone":                   {URL: good.URL, Rate: good.Rate, Requests: 1, Protocol: attack.ProtocolH2C},
		"no settings of TLS":               {URL: good.URL, Rate: good.Rate, Requests: 1, TLS: &attack.TLS{Insecure: true}},
		"limits are not kept":              {URL: good.URL, Rate: good.Rate, Requests: 1, Limits: &attack.Limits{Bytes: 1}},
		"engine \"std\"":                   {URL: good.URL, Rate: good.Rate, Requests: 1, Engine: attack.EngineStd},
		"no age":                           {URL: good.URL, Rate: good.Rate, Requests: 1, Reuse: &attack.Reuse{MaxAge: 1}},
		"one number of requests":           {URL: good.URL, Rate: good.Rate, Requests: 1, Reuse: &attack.Reuse{MinRequests: 1, MaxRequests: 2}},
		"saturation drop":                  {URL: good.URL, Rate: good.Rate, Requests: 1, Saturation: attack.SaturationDrop},
		`header "@f"`:                      {URL: good.URL, Rate: good.Rate, Requests: 1, Header: map[string]string{"@f": "1"}},
	} {
		if err := Check(p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if err := Check(good); err != nil {
		t.Error(err)
	}
}

func TestNoProgram(t *testing.T) {
	var none *NoToolError
	if _, err := Open(t.Context(), container{t.TempDir()}, Options{}); !errors.As(err, &none) {
		t.Errorf("got %v", err)
	}
}

func TestQuotesComeBack(t *testing.T) {
	if got := quote("a\"b\\c\nd\te"); got != `"a\"b\\c\nd\te"` {
		t.Error(got)
	}
}

// What a program prints is hostile: cut anywhere it gives an error or what is whole, and never more answers than there are.
func FuzzScanner(f *testing.F) {
	f.Add([]byte("body\nMARK 200 0.1 0.1 1 0\n"))
	f.Add([]byte("\nMARK 200\nMARK\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		s := scanner{r: newReader(in), mark: "MARK", keep: 16}
		for n := 0; ; n++ {
			body, words, err := s.next()
			if err != nil {
				return
			}
			if len(body) > 16 || n > bytes.Count(in, []byte("MARK ")) {
				t.Fatalf("%d answers, a body of %d bytes", n, len(body))
			}
			for _, tool := range []string{toolCurl, toolWget} {
				c := Client{tool: tool}
				a := c.read(words)
				a.body = body
				_ = a.split()
			}
		}
	})
}

func newReader(in []byte) *bufio.Reader { return bufio.NewReaderSize(bytes.NewReader(in), lineBuffer) }

// recorded keeps the arguments of all commands.
type recorded struct {
	Execer
	argv []string
}

func (r *recorded) Exec(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) error {
	r.argv = append(r.argv, argv...)
	return r.Execer.Exec(ctx, argv, stdin, stdout, stderr)
}

// Arguments of exec stand in the audit logs of API servers: what is secret is no argument, or is not sent.
func TestNoSecretIsAnArgument(t *testing.T) {
	t.Parallel()
	for tool, x := range containers(t) {
		t.Run(tool, func(t *testing.T) {
			t.Parallel()
			var arrived atomic.Int64
			srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Key") == `k3y "q" \ # $(d)` && r.URL.Query().Get("access_token") == "t0ken" {
					arrived.Add(1)
				}
			}))
			t.Cleanup(srv.Close)
			seen := &recorded{Execer: x}
			c := open(t, seen, Options{})
			p := plan(srv.URL+"/?access_token=t0ken", 5)
			p.Header["X-Key"] = `k3y "q" \ # $(d)`
			var err error
			for _, err = range c.Attack(t.Context(), p, &wire.Totals{}) {
			}
			if refused := err != nil && strings.Contains(err.Error(), `header "X-Key"`); refused != (tool != toolCurl) || err != nil && !refused {
				t.Fatalf("sent with %v", err)
			}
			if n := arrived.Load(); err == nil && n != 5 {
				t.Errorf("%d requests came as they were to be", n)
			}
			for _, arg := range seen.argv {
				if strings.Contains(arg, "k3y") || strings.Contains(arg, "t0ken") {
					t.Errorf("argument %q", arg)
				}
			}
		})
	}
}
