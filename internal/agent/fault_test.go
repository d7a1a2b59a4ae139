package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/wire"
)

// limited passes n bytes on and then ends the stream the way exec streams end: without an error for the reader.
type limited struct {
	w io.Writer
	n int
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.n {
		l.w.Write(p[:l.n])
		l.n = 0
		return 0, io.ErrClosedPipe
	}
	l.n -= len(p)
	return l.w.Write(p)
}

// The one thing that must never happen: a burst that was cut short and looks whole.
func TestATruncatedStreamIsNeverSuccess(t *testing.T) {
	url, _ := backends(t)
	count := &counter{}
	whole := func(x *inProcess) (int, error) {
		c, err := Open(t.Context(), x, serveArgv, ClientOptions{Silence: 2 * time.Second})
		if err != nil {
			return 0, err
		}
		p := plan(url, 40)
		p.WarmUp = 0
		p.Rate.Hits = 1000
		rs, _, err := run(c, t.Context(), p)
		c.abandon()
		return len(rs), err
	}
	x := &inProcess{mend: func(in io.Reader, out io.Writer) (io.Reader, io.Writer) { count.w = out; return in, count }}
	if n, err := whole(x); n != 40 || err != nil {
		t.Fatalf("the whole stream: %d results, %v", n, err)
	}
	// The stream is not the same each time (instants differ), so the cut is at the same place only roughly; every cut that
	// is short of the shortest possible stream must be noticed.
	size := count.n - 40
	step := max(1, size/60)
	for cut := 0; cut < size; cut += step {
		x := &inProcess{mend: func(in io.Reader, out io.Writer) (io.Reader, io.Writer) { return in, &limited{out, cut} }}
		if n, err := whole(x); err == nil {
			t.Errorf("cut at %d of %d: %d results and no error", cut, count.n, n)
		}
	}
}

type counter struct {
	w io.Writer
	n int
}

func (c *counter) Write(p []byte) (int, error) { c.n += len(p); return c.w.Write(p) }

// scripted is a far end that says what a test wants it to say.
type scripted func(w *wire.Writer, orders *wire.Reader) error

func (s scripted) Exec(_ context.Context, _ []string, stdin io.Reader, stdout, _ io.Writer) error {
	w := wire.NewWriter(stdout)
	if err := w.Write(wire.Hello, []byte(`{"protocol":1}`)); err != nil {
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
