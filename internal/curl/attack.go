package curl

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/wire"
)

// Bounds of one answer that is kept for classification, and of one run of the program.
const (
	maxKept  = 128 << 10 // bytes of header and body
	maxBatch = 200       // requests
	maxFetch = 1 << 20   // bytes of a fetched body
)

// Fetch gets one URL from the pod, as the agent would, but for what the program does not tell: wget gives no headers.
func (c *Client) Fetch(ctx context.Context, q wire.FetchRequest) (wire.FetchResult, []byte, error) {
	var res wire.FetchResult
	if q.Like != nil {
		if err := checkRequest(*q.Like); err != nil {
			return res, nil, err
		}
	}
	if err := c.checkHeader(q.Header); err != nil {
		return res, nil, err
	}
	limit := int64(maxFetch)
	if q.MaxBytes > 0 {
		limit = min(limit, q.MaxBytes)
	}
	timeout := cmp.Or(time.Duration(max(q.TimeoutMs, 0))*time.Millisecond, defaultTimeout)
	o := order{url: q.URL, header: q.Header, times: 1, timeout: timeout, include: c.tool == toolCurl}
	began := time.Now()
	var body []byte
	err := c.run(ctx, o, int(limit)+maxKept, func(a answer) bool {
		res.Status, res.Header, res.Class = int(a.status), a.header, a.class.String()
		body = append([]byte(nil), a.body[:min(len(a.body), int(limit))]...)
		res.Truncated = a.truncated || len(a.body) > int(limit)
		if a.status == 0 {
			res.Error = c.tool + ": " + a.class.String()
		}
		return true
	})
	res.ElapsedUs = time.Since(began).Microseconds()
	if err != nil {
		return res, nil, fmt.Errorf("fetch %q by %s: %w", q.URL, c.tool, err)
	}
	if len(q.Keep) > 0 {
		body = keepLines(body, q.Keep)
	}
	return res, body, nil
}

const defaultTimeout = 10 * time.Second

// keepLines leaves the lines that hold all strings of one of the sets, as the agent does in the pod.
func keepLines(body []byte, sets [][]string) []byte {
	var out []byte
	for line := range bytes.Lines(body) {
		lacks := func(s string) bool { return !bytes.Contains(line, []byte(s)) }
		if slices.ContainsFunc(sets, func(set []string) bool { return !slices.ContainsFunc(set, lacks) }) {
			out = append(out, line...)
		}
	}
	return out
}

// CutShortError says that a burst was given up before all was sent. What arrived is whole.
type CutShortError struct{ Reason, Text string }

func (e *CutShortError) Error() string { return "burst cut short: " + e.Reason + ": " + e.Text }

// Attack carries out the plan, one request after the other and none before it is due, and yields the results. Batches
// of requests share a run of the program, and with curl its connection. Planned is Sent: there is no schedule to be
// late for, and all times are the program's, placed by when its words arrived here. ctx ends it between two answers.
func (c *Client) Attack(ctx context.Context, plan attack.Plan, totals *wire.Totals) iter.Seq2[attack.Result, error] {
	return func(yield func(attack.Result, error) bool) {
		b, err := c.newBurst(plan, totals)
		if err == nil {
			err = b.send(ctx, func(r attack.Result) bool { return yield(r, nil) })
		}
		if err != nil && !errors.Is(err, errBrokenOff) {
			yield(attack.Result{}, err)
		}
	}
}

var errBrokenOff = errors.New("broken off")

// burst is one that is on its way.
type burst struct {
	c          *Client
	plan       attack.Plan
	classifier *attack.Classifier
	totals     *wire.Totals
	tally      wire.Tally
	began      time.Time
	seq        uint64
	conn       int32
	silent     uint64 // requests in a row without an answer
	include    bool
}

func (c *Client) newBurst(plan attack.Plan, totals *wire.Totals) (*burst, error) {
	plan = plan.WithDefaults()
	if err := errors.Join(plan.Validate(), Check(plan), c.checkHeader(plan.Header)); err != nil {
		return nil, err
	}
	classifier, err := attack.NewClassifier(plan.Rules)
	if err != nil {
		return nil, err
	}
	b := &burst{c: c, plan: plan, classifier: classifier, totals: totals, conn: -1}
	for _, r := range plan.Rules {
		b.include = b.include || r.Kind == attack.RuleHeader
	}
	if b.include && c.tool != toolCurl {
		return nil, fmt.Errorf("%s does not tell the headers of answers, by which a rule goes; "+
			"use a --classify by json or regexp",
			c.tool)
	}
	*totals = wire.Totals{Engine: c.tool}
	return b, nil
}

func (b *burst) send(ctx context.Context, yield func(attack.Result) bool) error {
	if err := b.warmUp(ctx); err != nil {
		return err
	}
	b.began = time.Now()
	b.totals.StartedUnixNs = b.began.UnixNano()
	schedule := b.plan.Schedule()
	var err error
	for b.seq < b.plan.Requests && err == nil {
		if err = wait(ctx, time.Until(b.began.Add(schedule.At(b.seq)))); err == nil {
			err = b.batch(ctx, yield)
		}
	}
	return b.end(ctx, err)
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(max(d, 0))
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *burst) order(times int) order {
	o := order{url: b.plan.URL, header: b.plan.Header, times: times, timeout: b.plan.Timeout, include: b.include}
	if r := b.plan.Reuse; r != nil {
		o.perConn = int(min(r.MaxRequests, maxBatch))
	}
	return o
}

func (b *burst) warmUp(ctx context.Context) error {
	n := min(b.plan.WarmUp, maxBatch)
	if n == 0 {
		return nil
	}
	return b.c.run(ctx, b.order(int(n)), 0, func(a answer) bool {
		b.totals.WarmUp++
		if a.status != 0 {
			b.totals.WarmUpAnswered++
		}
		return true
	})
}

// Drives reports whether an engine, as END names it, is a program that this package drives.
func Drives(engine string) bool {
	return engine == toolCurl || engine == toolWget || engine == toolBusybox
}

// batch sends some requests and hands on their results, as a block like the agent's.
func (b *burst) batch(ctx context.Context, yield func(attack.Result) bool) error {
	var results []attack.Result
	// A second's worth shares a run of the program.
	n := min(maxBatch, max(1, uint64(b.plan.Rate.PerSecond())), b.plan.Requests-b.seq)
	runErr := b.c.run(ctx, b.order(int(n)), maxKept, func(a answer) bool {
		results = append(results, b.result(a))
		return b.silent < b.plan.GiveUpAfter && ctx.Err() == nil
	})
	if len(results) > 0 {
		block := wire.AppendSamples(nil, results)
		if err := b.c.frame(wire.Samples, block); err != nil {
			return err
		}
		b.totals.Blocks++
		b.totals.SamplesCRC = wire.Checksum(b.totals.SamplesCRC, block)
	}
	for _, r := range results {
		b.tally.Add(r)
		if !yield(r) {
			return errBrokenOff
		}
	}
	if b.c.o.Progress != nil {
		b.c.o.Progress(wire.Progress{Requests: b.totals.WarmUp + b.seq})
	}
	switch {
	case b.silent >= b.plan.GiveUpAfter:
		return &CutShortError{wire.ReasonGaveUp, fmt.Sprintf("%d requests in a row got no answer", b.silent)}
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return runErr
}

func (b *burst) result(a answer) attack.Result {
	done := time.Since(b.began)
	sent := max(done-a.total, 0)
	if a.dialled || b.conn < 0 {
		b.conn++
		b.totals.Connections++
	}
	r := attack.Result{
		Seq: b.seq, Planned: sent.Truncate(wire.Unit), Sent: sent.Truncate(wire.Unit), Done: done.Truncate(wire.Unit),
		Conn:   b.conn,
		Status: a.status, Backend: attack.Unattributed, Err: a.class,
	}
	b.seq++
	b.silent++
	if a.status == 0 {
		return r
	}
	b.silent = 0
	r.FirstByte = min(sent+a.first, done).Truncate(wire.Unit)
	r.Backend = b.classifier.Classify(a.header, a.body)
	if r.Backend == attack.Unattributed && len(b.totals.Specimens) < attack.MaxSpecimens {
		b.totals.Specimens = append(b.totals.Specimens, attack.Specimen{
			Seq: r.Seq, Status: r.Status, Body: string(a.body[:min(len(a.body), attack.MaxSpecimenBody)]),
		})
	}
	return r
}

// end writes the END frame, whatever happened.
func (b *burst) end(ctx context.Context, err error) error {
	t := b.totals
	var cut *CutShortError
	switch {
	case err == nil:
		t.Reason = wire.ReasonDone
	case ctx.Err() != nil || errors.Is(err, errBrokenOff):
		t.Reason = wire.ReasonStopped
	case errors.As(err, &cut):
		t.Reason, t.Error = cut.Reason, cut.Text
	default:
		t.Reason, t.Error = wire.ReasonError, err.Error()
	}
	t.Requests, t.Samples, t.Tally = b.tally.Len(), b.tally.Len(), b.tally.Entries()
	payload, marshalErr := json.Marshal(t)
	if marshalErr != nil {
		return errors.Join(err, marshalErr)
	}
	return errors.Join(err, b.c.frame(wire.End, payload))
}
