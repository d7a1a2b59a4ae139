package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/splitbench/splitbench/internal/wire"
)

// Execer runs a command in the pod. A nil error says that the stream ended, not that it is whole.
type Execer interface {
	Exec(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) error
}

// ClientOptions tunes a session.
type ClientOptions struct {
	Stderr   io.Writer           // what the agent says on stderr; nil: dropped
	Progress func(wire.Progress) // called for each TICK, from the goroutine that reads; may be nil
	Silence  time.Duration       // read for so long without a frame the stream is given up; 0: DefaultSilence
	// Running is closed when the agent is there and begins to run: until then its command has only ctx to end it. It may
	// be nil.
	Running <-chan struct{}
	// Deadline is when the stream is cut, whatever comes: later than the agent was told to end by itself. 0: never.
	Deadline time.Duration
	// Verified is called with HELLO and every verified frame of a burst (SAMPLES, its TICKs, END) in its raw form, before
	// its results are handed on; an error stops the burst. It may be nil.
	Verified func(t wire.Type, raw []byte) error
}

// Client is the near end of one session. Its methods are called one at a time.
type Client struct {
	o     ClientOptions
	hello wire.HelloMessage

	cancel  context.CancelCauseFunc
	reader  *wire.Reader
	stdout  *io.PipeWriter // the end that the command writes to: closing it ends our reads with an error of our own
	stdin   *io.PipeWriter
	writeMu sync.Mutex
	writer  *wire.Writer

	running  sync.WaitGroup // exec stream, heartbeat
	execDone chan struct{}
	execErr  error // valid after execDone
	silence  *silence
	limit    *time.Timer // of the whole session
	began    time.Time
	signs    int   // TICK and LOG frames, less those of an order of their own
	broken   error // the session cannot be used any more
}

// StreamError says that a session broke: the stream was cut, the agent died or the two ends do not understand each
// other.
type StreamError struct {
	Op    string // what was going on
	Cause error
	Exec  error // how the command ended, nil where it had not ended or had no error
}

func (e *StreamError) Error() string {
	if e.Exec != nil {
		return fmt.Sprintf("%s: %v (command: %v)", e.Op, e.Cause, e.Exec)
	}
	return fmt.Sprintf("%s: %v", e.Op, e.Cause)
}

// Unwrap returns both causes.
func (e *StreamError) Unwrap() []error {
	if e.Exec != nil {
		return []error{e.Cause, e.Exec}
	}
	return []error{e.Cause}
}

var (
	errSilent  = errors.New("no sign of life from the agent")
	errEndless = errors.New("the agent sends on after the session's deadline, at which it was to end")
)

// The agent says TICK once a second and at the end of a burst, and LOG seldom: signs of life beyond that fill disks.
const (
	signsAtOnce    = 100
	signsPerSecond = 4
	signsPerOrder  = 4
)

// Open starts the agent by argv and waits for its HELLO, as long as ctx lets it. The session lives until Close.
func Open(ctx context.Context, x Execer, argv []string, o ClientOptions) (*Client, error) {
	if o.Silence <= 0 {
		o.Silence = DefaultSilence
	}
	if o.Deadline <= 0 {
		o.Deadline = math.MaxInt64
	}
	if o.Stderr == nil {
		o.Stderr = io.Discard
	}
	session, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	c := &Client{
		o: o, cancel: cancel, reader: wire.NewReader(outR), stdout: outW, stdin: inW,
		writer: wire.NewWriter(inW), execDone: make(chan struct{}), began: time.Now(),
	}
	c.running.Go(func() {
		defer close(c.execDone)
		c.execErr = x.Exec(session, argv, inR, outW, o.Stderr)
		// Whoever still reads or writes learns that the command has ended.
		outW.Close()
		inR.CloseWithError(io.ErrClosedPipe)
	})
	if err := c.waitUntilItRuns(ctx); err != nil {
		cancel(err)
		c.running.Wait()
		return nil, err
	}
	c.silence = newSilence(o.Silence, func() { c.cut(errSilent) })
	c.limit = time.AfterFunc(o.Deadline, func() { c.cut(errEndless) })
	c.running.Go(func() { c.beat(session) })
	defer context.AfterFunc(ctx, func() { c.cut(context.Cause(ctx)) })()

	f, err := c.read()
	switch {
	case err != nil:
		err = c.failed("start agent", err)
	case f.Type != wire.Hello:
		err = &StreamError{Op: "start agent", Cause: fmt.Errorf("%s before HELLO", f.Type)}
	}
	if err == nil {
		err = json.Unmarshal(f.Payload, &c.hello)
	}
	if err == nil && c.hello.Protocol != wire.Version {
		err = fmt.Errorf("start agent: it speaks protocol %d, this program %d", c.hello.Protocol, wire.Version)
	}
	if err == nil && c.o.Verified != nil {
		err = c.o.Verified(wire.Hello, f.Raw)
	}
	if err != nil {
		c.abandon()
		return nil, err
	}
	return c, nil
}

func (c *Client) waitUntilItRuns(ctx context.Context) error {
	if c.o.Running == nil {
		return nil
	}
	select {
	case <-c.o.Running:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("start agent: %w", context.Cause(ctx))
	case <-c.execDone:
	}
	select {
	case <-c.o.Running: // and has ended since
		return nil
	default:
		return c.execErr
	}
}

// read returns the next frame. Only here can the agent be silent: while nobody reads, because a session waits for
// others or a frame is being stored on a slow disk, what it says waits.
func (c *Client) read() (wire.Frame, error) {
	c.silence.listen()
	defer c.silence.rest()
	return c.reader.Next()
}

// Hello is what the agent said of itself.
func (c *Client) Hello() wire.HelloMessage { return c.hello }

// beat sends a PING each second: for the agent a silent client is a dead one.
func (c *Client) beat(ctx context.Context) {
	t := time.NewTicker(heartbeat)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if c.send(wire.Ping, nil) != nil {
				return
			}
		case <-c.execDone:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (c *Client) send(t wire.Type, payload []byte) error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	return c.writer.Write(t, payload)
}

func (c *Client) sendJSON(t wire.Type, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %s frame: %w", t, err)
	}
	return c.send(t, b)
}

// next returns the next frame that is not a sign of life. The end of the stream is an error wherever it comes: only a
// BYE may be followed by it.
func (c *Client) next(op string) (wire.Frame, error) {
	for {
		f, _, err := c.nextOrTick(op)
		if err != nil || f.Type != wire.Tick {
			return f, err
		}
	}
}

// nextOrTick is next, but for a TICK, which it returns with what it says.
func (c *Client) nextOrTick(op string) (f wire.Frame, p wire.Progress, err error) {
	for {
		if f, err = c.read(); err != nil {
			return wire.Frame{}, p, c.failed(op, err)
		}
		if f.Type == wire.Tick || f.Type == wire.Log {
			if c.signs++; c.signs > signsAtOnce+signsPerSecond*int(time.Since(c.began)/time.Second) {
				return f, p, c.protocol(op, "signs of life without end")
			}
		}
		switch f.Type {
		case wire.Tick:
			if err := json.Unmarshal(f.Payload, &p); err != nil {
				return wire.Frame{}, p, c.protocol(op, err.Error())
			}
			if c.o.Progress != nil {
				c.o.Progress(p)
			}
			return f, p, nil
		case wire.Log:
			io.WriteString(c.o.Stderr, string(f.Payload)+"\n") //nolint:errcheck // a log that cannot be kept must not end a run
		default:
			return f, p, nil
		}
	}
}

// failed turns the reader's error into a StreamError that also says how the command ended, if it has.
func (c *Client) failed(op string, err error) error {
	e := &StreamError{Op: op, Cause: err}
	if errors.Is(err, io.EOF) {
		e.Cause = errors.New("the stream ended before the agent did")
	}
	if !errors.Is(err, errSilent) && !errors.Is(err, errEndless) {
		// The stream's end and the command's exit code come one shortly after the other.
		select {
		case <-c.execDone:
			e.Exec = c.execErr
		case <-time.After(time.Second):
		}
	}
	c.broken = e
	return e
}

// Fetch gets one URL from the pod. An answer of any status is no error; FetchResult.Class tells of the others.
func (c *Client) Fetch(ctx context.Context, q wire.FetchRequest) (wire.FetchResult, []byte, error) {
	var res wire.FetchResult
	if c.broken != nil {
		return res, nil, c.broken
	}
	stop := context.AfterFunc(ctx, func() { c.cut(context.Cause(ctx)) })
	defer stop()
	op := fmt.Sprintf("fetch %q", q.URL)
	c.signs -= signsPerOrder
	if err := c.sendJSON(wire.Fetch, q); err != nil {
		return res, nil, c.failed(op, err)
	}
	var body []byte
	for {
		f, err := c.next(op)
		if err != nil {
			return res, nil, err
		}
		switch f.Type {
		case wire.Body:
			if q.MaxBytes > 0 && int64(len(body)+len(f.Payload)) > q.MaxBytes {
				return res, nil, c.protocol(op, "more body than was asked for")
			}
			body = append(body, f.Payload...)
		case wire.Fetched:
			if err := json.Unmarshal(f.Payload, &res); err != nil {
				return res, nil, c.protocol(op, err.Error())
			}
			return res, body, nil
		default:
			return res, nil, c.protocol(op, f.Type.String()+" frame")
		}
	}
}

func (c *Client) protocol(op, what string) error {
	c.broken = &StreamError{Op: op, Cause: fmt.Errorf("the agent does not keep to the protocol: %s", what)}
	return c.broken
}

// goodbyeLimit is how long Close waits for the agent to end by itself.
const goodbyeLimit = 3 * time.Second

// Close ends the session and waits until nothing of it runs any more. The agent ends by itself within two seconds even
// if nothing of this reaches it, because its stdin closes.
func (c *Client) Close() error {
	defer c.abandon()
	if c.broken != nil {
		return nil // reported already
	}
	limit := time.AfterFunc(goodbyeLimit, func() { c.cut(errSilent) })
	defer limit.Stop()
	if err := c.send(wire.Bye, nil); err != nil {
		return c.failed("end session", err)
	}
	for {
		f, err := c.next("end session")
		if err != nil {
			return err
		}
		if f.Type == wire.Bye {
			break
		}
	}
	if err := c.send(wire.Ack, nil); err != nil {
		return c.failed("end session", err)
	}
	// The agent ends now; give its exit code the time to arrive.
	select {
	case <-c.execDone:
		if c.execErr != nil {
			return &StreamError{Op: "end session", Cause: errors.New("the agent did not end well"), Exec: c.execErr}
		}
	case <-time.After(goodbyeLimit):
	}
	return nil
}

// cut ends whatever read or write of the stream is under way, with err.
func (c *Client) cut(err error) {
	c.stdout.CloseWithError(err)
	c.stdin.CloseWithError(err)
}

// abandon closes stdin, which ends the agent, then the stream.
func (c *Client) abandon() {
	c.limit.Stop()
	c.stdin.Close()
	c.stdout.CloseWithError(io.ErrClosedPipe)
	select {
	case <-c.execDone:
	case <-time.After(goodbyeLimit):
	}
	c.cancel(nil)
	c.running.Wait()
}
