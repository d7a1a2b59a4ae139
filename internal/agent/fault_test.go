package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/wire"
)

// recorder keeps what passes.
type recorder struct {
	w io.Writer
	b []byte
}

func (r *recorder) Write(p []byte) (int, error) {
	r.b = append(r.b, p...)
	return r.w.Write(p)
}

// The one thing that must never happen: a burst that was cut short and looks whole. A real session is recorded, and
// played to the client cut at every byte before the end of its END frame; the stream then ends as exec streams do,
// without an error.
func TestATruncatedStreamIsNeverSuccess(t *testing.T) {
	t.Parallel()
	url, _ := backends(t)
	session := func(x Execer) (int, error) {
		c, err := Open(t.Context(), x, serveArgv, ClientOptions{})
		if err != nil {
			return 0, err
		}
		p := plan(url, 40)
		p.WarmUp = 0
		rs, _, err := run(c, t.Context(), p)
		c.abandon()
		return len(rs), err
	}
	tape := &recorder{}
	if n, err := session(&inProcess{mend: func(in io.Reader, out io.Writer) (io.Reader, io.Writer) {
		tape.w = out
		return in, tape
	}}); n != 40 || err != nil {
		t.Fatalf("the whole stream: %d results, %v", n, err)
	}
	hello, end := endOf(t, tape.b, wire.Hello), endOf(t, tape.b, wire.End)
	if n, err := session(player{tape.b[:end], hello}); n != 40 || err != nil {
		t.Fatalf("the recorded stream: %d results, %v", n, err)
	}
	for cut := range end {
		if n, err := session(player{tape.b[:cut], hello}); err == nil {
			t.Errorf("cut at %d of %d: %d results and no error", cut, end, n)
		}
	}
}

// player plays a recorded stream, takes the PLAN that a client sends after HELLO, and ends.
type player struct {
	tape  []byte
	hello int // bytes up to the end of HELLO
}

func (p player) Exec(_ context.Context, _ []string, stdin io.Reader, stdout, _ io.Writer) error {
	if _, err := stdout.Write(p.tape[:min(p.hello, len(p.tape))]); err != nil || len(p.tape) < p.hello {
		return err
	}
	orders := wire.NewReader(stdin)
	for {
		f, err := orders.Next()
		if err != nil {
			return err // the client has gone
		}
		if f.Type == wire.Plan {
			break
		}
	}
	_, err := stdout.Write(p.tape[p.hello:])
	return err
}

// endOf is where the first frame of a type ends in a recorded stream.
func endOf(t *testing.T, stream []byte, of wire.Type) int {
	t.Helper()
	r := wire.NewReader(bytes.NewReader(stream))
	at := len(wire.Opening())
	for {
		f, err := r.Next()
		if err != nil {
			t.Fatalf("the recorded stream has no %s: %v", of, err)
		}
		if at += len(f.Raw); f.Type == of {
			return at
		}
	}
}

// scripted is a far end that says what a test wants it to say.
type scripted func(w *wire.Writer, orders *wire.Reader) error

func (s scripted) Exec(_ context.Context, _ []string, stdin io.Reader, stdout, _ io.Writer) error {
	w := wire.NewWriter(stdout)
	if err := w.Write(wire.Hello, fmt.Appendf(nil, `{"protocol":%d}`, wire.Version)); err != nil {
		return err
	}
	return s(w, wire.NewReader(stdin))
}

// untilHungUp reads until the client closes the stream.
func untilHungUp(orders *wire.Reader) {
	for {
		if _, err := orders.Next(); err != nil {
			return
		}
	}
}

func TestLiesAreFound(t *testing.T) {
	rs := []attack.Result{{Seq: 0, Done: time.Millisecond, Status: 200}, {Seq: 1, Done: time.Millisecond, Status: 200, Backend: 1}}
	block := wire.AppendSamples(nil, rs)
	crc := wire.Checksum(0, block)
	tally := `[{"backend":0,"status":200,"class":"ok","n":1},{"backend":1,"status":200,"class":"ok","n":1}]`
	end := func(requests, samples, dropped, blocks int, crc uint32, tally string) string {
		return fmt.Sprintf(`{"reason":"done","requests":%d,"samples":%d,"dropped":%d,"blocks":%d,"samplesCrc":%d,"tally":%s}`,
			requests, samples, dropped, blocks, crc, tally)
	}
	tests := []struct {
		name, end, want string
	}{
		{"the truth", end(2, 2, 0, 1, crc, tally), ""},
		{"a sample too few", end(3, 3, 0, 1, crc, tally), "the agent sent 3 samples, 2 arrived"},
		{"a block too few", end(2, 2, 0, 2, crc, tally), "the agent sent 2 blocks, 1 arrived"},
		{"another checksum", end(2, 2, 0, 1, crc+1, tally), "checksum differs"},
		{"requests that are nowhere", end(5, 2, 2, 1, crc, tally), "5 requests are not 2 samples and 2 dropped"},
		{"another tally", end(2, 2, 0, 1, crc, strings.Replace(tally, `"n":1`, `"n":2`, 1)), "counts differ"},
		{"not JSON", "{", "does not keep to the protocol"},
		{"six specimens", strings.Replace(end(2, 2, 0, 1, crc, tally), "{", `{"specimens":[{},{},{},{},{},{}],`, 1), "6 specimens, at most 5"},
		{"a specimen without end", strings.Replace(end(2, 2, 0, 1, crc, tally), "{", `{"specimens":[{"body":"`+strings.Repeat("x", 9999)+`"}],`, 1), "a specimen of 9999 bytes"},
		{"more dropped than ordered", end(9, 2, 7, 1, crc, strings.Replace(tally, `"n":1`, `"n":8`, 1)), "9 requests and 0 before them, of a plan of 2"},
		{"dropped with a status of 65535", end(3, 2, 1, 1, crc, strings.TrimSuffix(tally, "]")+`,{"backend":1,"status":65535,"class":"ok","n":1}]`), "status 65535"},
		{"dropped with an unknown class", end(3, 2, 1, 1, crc, strings.TrimSuffix(tally, "]")+`,{"backend":1,"status":200,"class":"x","n":1}]`), `class "x"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Open(t.Context(), scripted(func(w *wire.Writer, orders *wire.Reader) error {
				if f, err := orders.Next(); err != nil || f.Type != wire.Plan {
					return fmt.Errorf("want PLAN, got %v, %v", f.Type, err)
				}
				if err := errors.Join(w.Write(wire.Samples, block), w.Write(wire.End, []byte(tt.end))); err != nil {
					return err
				}
				untilHungUp(orders)
				return nil
			}), serveArgv, ClientOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer c.abandon()
			got, _, err := run(c, t.Context(), plan("http://x", 2))
			if len(got) != 2 {
				t.Errorf("%d results, want both", len(got))
			}
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestOpenSaysWhatWentWrong(t *testing.T) {
	tests := []struct {
		name string
		x    Execer
		want string
	}{
		{"nothing comes", execFunc(func(io.Writer) error { return nil }), "the stream ended before the agent did"},
		{"the command fails", execFunc(func(io.Writer) error { return errors.New("exit code 126") }), "exit code 126"},
		{"another program", execFunc(func(w io.Writer) error { io.WriteString(w, "Hello!"); return nil }), `not a splitbench stream: it starts with "Hell"`},
		{"another version", execFunc(func(w io.Writer) error { io.WriteString(w, "SBW\x09"); return nil }), "protocol version 9"},
	}
	for _, tt := range tests {
		_, err := Open(t.Context(), tt.x, serveArgv, ClientOptions{})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestASilentAgentIsGivenUp(t *testing.T) {
	c, err := Open(t.Context(), scripted(func(_ *wire.Writer, orders *wire.Reader) error {
		untilHungUp(orders)
		return nil
	}), serveArgv, ClientOptions{Silence: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.abandon()
	if _, _, err := run(c, t.Context(), plan("http://x", 2)); !errors.Is(err, errSilent) {
		t.Errorf("got %v", err)
	}
}

func TestAFullDiskStopsTheBurst(t *testing.T) {
	t.Parallel()
	url, served := backends(t)
	full := errors.New("no space left on device")
	n := 0
	c, err := Open(t.Context(), &inProcess{}, serveArgv, ClientOptions{Verified: func(wire.Type, []byte) error {
		if n++; n > 2 {
			return full
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = run(c, t.Context(), plan(url, 60_000))
	if !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("the session could not be ended in order: %v", err)
	}
	if got := served.Load(); got > 10_000 {
		t.Errorf("%d requests were sent after the disk was full", got)
	}
}

type execFunc func(stdout io.Writer) error

func (f execFunc) Exec(_ context.Context, _ []string, _ io.Reader, stdout, _ io.Writer) error {
	return f(stdout)
}

// A far end that is hostile ends when the plan says so, on this side too, and fills neither the disk nor the memory.
func TestNoBurstIsEndless(t *testing.T) {
	t.Parallel()
	block := wire.AppendSamples(nil, []attack.Result{{Seq: 0, Done: time.Millisecond, Status: 200}})
	const hello = `{"protocol":2}`
	tick := func(w *wire.Writer) error { return w.Write(wire.Tick, []byte(`{"burst":{}}`)) }
	for _, tt := range []struct {
		name  string
		hello bool
		send  func(w *wire.Writer, i int) error // again and again
		pause time.Duration
		want  string
	}{
		{"ticks before HELLO", false, func(w *wire.Writer, _ int) error { return tick(w) }, 0, "TICK before HELLO"},
		{"ticks without end", true, func(w *wire.Writer, _ int) error { return tick(w) }, 0, "signs of life without end"},
		{"logs without end", true, func(w *wire.Writer, _ int) error { return w.Write(wire.Log, nil) }, 0, "signs of life without end"},
		{"a tick a second, for ever", true, func(w *wire.Writer, _ int) error { return tick(w) }, 300 * time.Millisecond, errEndless.Error()},
		{"samples beyond the plan", true, func(w *wire.Writer, _ int) error { return w.Write(wire.Samples, block) }, 0, "3 samples of a plan of 2"},
		{"blocks without samples", true, func(w *wire.Writer, _ int) error { return w.Write(wire.Samples, []byte{0, 0}) }, 0, "a block without samples"},
		{"a request beyond the plan", true, func(w *wire.Writer, _ int) error {
			return w.Write(wire.Samples, wire.AppendSamples(nil, []attack.Result{{Seq: 2, Done: time.Millisecond, Status: 200}}))
		}, 0, "request 2"},
		{"a backend beyond the rules", true, func(w *wire.Writer, _ int) error {
			return w.Write(wire.Samples, wire.AppendSamples(nil, []attack.Result{{Backend: 2, Done: time.Millisecond, Status: 200}}))
		}, 0, "backend 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			stored := 0
			x := streaming(func(stdout io.Writer) {
				w := wire.NewWriter(stdout)
				if tt.hello && w.Write(wire.Hello, []byte(hello)) != nil {
					return
				}
				for i := 0; tt.send(w, i) == nil; i++ {
					<-time.After(tt.pause)
				}
			})
			c, err := Open(t.Context(), x, serveArgv, ClientOptions{
				Deadline: 2 * time.Second, Verified: func(wire.Type, []byte) error { stored++; return nil },
			})
			if err == nil {
				_, _, err = run(c, t.Context(), plan("http://x", 2))
				c.abandon()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if stored > 1+signsAtOnce+2*signsPerSecond+signsPerOrder {
				t.Errorf("%d frames were stored", stored)
			}
		})
	}
}

// streaming writes until nobody reads any more.
type streaming func(stdout io.Writer)

func (s streaming) Exec(_ context.Context, _ []string, stdin io.Reader, stdout, _ io.Writer) error {
	go io.Copy(io.Discard, stdin)
	s(stdout)
	return nil
}

// Of several sessions the first wait for the others to be opened, and all but one for what that one learns. Nobody reads
// meanwhile, and none may be given up for it; an agent that is silent when it is asked for something is.
func TestOnlyAnAgentThatIsAskedCanBeSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		c, err := Open(t.Context(), scripted(func(w *wire.Writer, orders *wire.Reader) error {
			for {
				f, err := orders.Next()
				if err != nil {
					return err
				}
				if f.Type == wire.Fetch {
					if asked++; asked == 1 {
						err = w.Write(wire.Fetched, []byte(`{"status":200}`))
					}
				}
				if err != nil {
					return err
				}
			}
		}), serveArgv, ClientOptions{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // on the bubble's clock
		if res, _, err := c.Fetch(t.Context(), wire.FetchRequest{URL: "http://podinfo:9898/"}); err != nil || res.Status != 200 {
			t.Errorf("after an hour: %+v, %v", res, err)
		}
		began := time.Now()
		if _, _, err := c.Fetch(t.Context(), wire.FetchRequest{URL: "http://podinfo:9898/"}); !errors.Is(err, errSilent) {
			t.Errorf("an agent that does not answer: %v", err)
		}
		if took := time.Since(began); took != DefaultSilence {
			t.Errorf("it was given up after %s", took)
		}
		c.abandon()
	})
}
