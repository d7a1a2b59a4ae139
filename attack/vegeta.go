//go:build !splitbench_agent

package attack

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"strconv"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// Vegeta is the engine on vegeta's Attacker. Its connections outlive a burst, so that a warm-up warms the next one.
type Vegeta struct {
	o     EngineOptions
	trace *tracer
}

var _ ClosableEngine = (*Vegeta)(nil)

const hasVegeta = true

func newVegeta(o EngineOptions, connections int) ClosableEngine { return NewVegeta(o, connections) }

// NewVegeta returns an engine with no connections yet. Close it to close them.
func NewVegeta(o EngineOptions, connections int) *Vegeta {
	return &Vegeta{o: o, trace: newTracer(o.Dial, connections)}
}

// Close closes idle connections. No burst may be running.
func (e *Vegeta) Close() { e.trace.transport.CloseIdleConnections() }

// Dialled is how many connections were opened so far.
func (e *Vegeta) Dialled() int64 { return e.trace.dialled.Load() }

// Dials implements ClosableEngine: net/http's pool dials when it likes, and not for a request.
func (e *Vegeta) Dials() Dials { return Dials{Opened: e.trace.dialled.Load()} }

// Bytes implements ClosableEngine.
func (e *Vegeta) Bytes() int64 { return 0 }

// Attack implements Engine.
func (e *Vegeta) Attack(ctx context.Context, p Plan) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		p = p.WithDefaults()
		if err := p.Validate(); err != nil {
			yield(Result{}, err)
			return
		}
		classifier, err := NewClassifier(p.Rules)
		if err != nil {
			yield(Result{}, err)
			return
		}
		b := &burst{engine: e, plan: p, schedule: p.Schedule(), classifier: classifier}
		b.run(ctx, yield)
	}
}

// burst is one use of one Attacker, which ends for good with its first attack: a second returns nothing.
type burst struct {
	engine     *Vegeta
	plan       Plan
	schedule   Schedule // of the results; the pacer has its own, since it is another goroutine
	classifier *Classifier
	specimens  int
}

func (b *burst) run(ctx context.Context, yield func(Result, error) bool) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	guard := newGuard(b.plan)
	if t := guard.l.Time; t > 0 {
		var stop context.CancelFunc
		inner, stop = context.WithTimeoutCause(inner, t, abort(AbortTime, "%s are over", t))
		defer stop()
	}
	b.engine.trace.begin(inner, b.plan)

	pacer := &pacer{ctx: inner, schedule: b.plan.Schedule(), requests: b.plan.Requests}
	attacker := vegeta.NewAttacker(
		vegeta.Workers(uint64(min(b.plan.Connections, 8))),
		vegeta.MaxWorkers(uint64(b.plan.Connections)),
		vegeta.MaxBody(maxBody),
		// Client goes last and is complete: the options for transports panic on any but their own.
		vegeta.Client(&http.Client{Transport: b.engine.trace, CheckRedirect: useLastResponse}),
	)
	stop := context.AfterFunc(inner, func() { attacker.Stop() })
	defer stop()
	target := vegeta.Target{Method: b.plan.Method, URL: b.plan.URL, Header: header(b.plan.Header)}
	// Duration 0: only the pacer ends the attack, after exactly the planned number of requests.
	results := attacker.Attack(vegeta.NewStaticTargeter(target), pacer, 0, "")
	defer func() { // the results channel is unbuffered: left alone, its writers would hang
		cancel()
		for range results {
		}
	}()

	for vr := range results {
		r := b.result(vr, pacer.start())
		if !yield(r, nil) {
			return
		}
		if cause := guard.see(r); cause != nil {
			cancel()
			for vr := range results {
				if !yield(b.result(vr, pacer.start()), nil) {
					return
				}
			}
			yield(Result{}, cause)
			return
		}
	}
	var limit *AbortError
	switch cause := context.Cause(inner); {
	case errors.As(cause, &limit):
		yield(Result{}, limit)
	case ctx.Err() != nil:
		yield(Result{}, ctx.Err())
	}
}

// result joins what vegeta says with what the tracer saw of the same request.
func (b *burst) result(vr *vegeta.Result, began time.Time) Result {
	t := b.engine.trace.take(vr.Seq)
	sent := vr.Timestamp.Sub(began)
	r := Result{
		Seq:     vr.Seq,
		Planned: b.schedule.At(vr.Seq),
		Sent:    sent,
		Done:    sent + vr.Latency,
		Conn:    t.conn.Load(),
		Backend: Unattributed,
		Err:     ErrorClass(t.err.Load()),
	}
	if b.plan.closed() {
		r.Planned = sent
	}
	if ns := t.firstByte.Load(); ns != 0 {
		r.FirstByte = b.engine.trace.epoch.Add(time.Duration(ns)).Sub(began)
	}
	if r.Err != OK {
		return r
	}
	if vr.Code == 0 { // vegeta failed where the tracer saw nothing, before or after the round trip
		r.Err = ErrProtocol
		return r
	}
	r.Status = vr.Code
	r.Backend = b.classifier.Classify(vr.Headers, vr.Body)
	if r.Backend == Unattributed && b.engine.o.Unmatched != nil && b.specimens < MaxSpecimens {
		b.specimens++
		body := vr.Body[:min(len(vr.Body), MaxSpecimenBody)]
		b.engine.o.Unmatched(Specimen{Seq: r.Seq, Status: r.Status, Body: string(body)})
	}
	return r
}

func useLastResponse(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// pacer gives vegeta's pacer goroutine a Schedule. It does the waiting itself, in Pace, because the wait that vegeta
// does with what Pace returns cannot be cut short: at one request a minute, stopping would take a minute.
type pacer struct {
	ctx      context.Context // of the burst: Pace has no context of its own
	schedule Schedule
	requests uint64
	began    time.Time // the start of the burst: the first Pace
}

var _ vegeta.Pacer = (*pacer)(nil)

// Pace implements vegeta.Pacer.
func (p *pacer) Pace(_ time.Duration, hits uint64) (time.Duration, bool) {
	// Not by vegeta's elapsed time: who computes a start from it is late by what passed since it was taken, and requests
	// then seem to leave before their time.
	if p.began.IsZero() {
		p.began = time.Now()
	}
	if hits >= p.requests || p.ctx.Err() != nil {
		return 0, true
	}
	wait := p.schedule.At(hits) - time.Since(p.began)
	if wait <= 0 {
		return 0, false
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return 0, false
	case <-p.ctx.Done():
		return 0, true
	}
}

// Rate implements vegeta.Pacer; only vegeta's reports would ask.
func (p *pacer) Rate(time.Duration) float64 { return 0 }

// start is the start of the burst. Call it only with a result in hand: no result exists before the first Pace,
// and the channels between the two order that write before this read.
func (p *pacer) start() time.Time { return p.began }

// tracedBody notes how reading a body ended and gives up the request's deadline when it is closed.
type tracedBody struct {
	io.ReadCloser
	ctx    context.Context // the burst's
	trace  *trace
	cancel context.CancelFunc
}

func (b *tracedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		class := classifyError(b.ctx, err)
		if errors.Is(err, io.ErrUnexpectedEOF) || class == ErrOther {
			class = ErrProtocol
		}
		b.trace.err.Store(uint32(class))
	}
	return n, err
}

func (b *tracedBody) Close() error {
	err := b.ReadCloser.Close()
	b.cancel()
	return err
}

const seqHeader = "X-Vegeta-Seq"

func seqOf(r *http.Request) uint64 {
	n, err := strconv.ParseUint(r.Header.Get(seqHeader), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
