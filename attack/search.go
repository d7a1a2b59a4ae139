package attack

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"time"
)

// Search looks for the highest rate that keeps given limits: it raises the rate until one is not kept, and then halves
// the gap. Where the first rate does not keep them there is nothing to look for. It is pure logic around a measurement
// that its caller makes.
type Search struct {
	From, To float64 // requests per second; the first rate that is tried, and the ceiling

	ResponseTime time.Duration // that the p99 of requests may reach; 0: any
}

// Where a Search ends.
const (
	searchWithin = 0.05 // the gap as a share of the best rate
	searchTrials = 20
)

// Trial is what one rate came to.
type Trial struct {
	Rate       float64       // requests per second, asked for
	Reached    float64       // sent
	ErrorShare float64       // of requests
	P99        time.Duration // of response times
	Late       []string      // see ClientLimits; nil: on time
	Failures   string        // what failed, and how often
	OK         bool          // all limits were kept
	Why        string        // which was not
}

// Found is a search's result.
type Found struct {
	Best   float64 // highest rate that kept the limits; 0: none did
	Fail   float64 // lowest rate that did not, above Best; 0: none
	Why    string  // why the search ended
	Trials []Trial

	broken string // which limit was not kept at Fail
}

// Validate says, in one sentence, why there is nothing to search.
func (s Search) Validate() error {
	switch {
	case !(s.From > 0) || !(s.To >= s.From) || s.To > maxPerSecond:
		return fmt.Errorf("search: from %g/s to %g/s: want rates above 0, the smaller first, up to %d/s",
			s.From, s.To, maxPerSecond)
	case s.ResponseTime < 0:
		return fmt.Errorf("search: response time %s: want 0 or above", s.ResponseTime)
	}
	return nil
}

// Run carries the search out. measure attacks at one rate and says what came of it; its error ends the search.
func (s Search) Run(
	ctx context.Context, measure func(ctx context.Context, rate float64) (Trial, error),
) (Found, error) {
	if err := s.Validate(); err != nil {
		return Found{}, err
	}
	var f Found
	for rate := s.From; ; {
		t, err := measure(ctx, rate)
		if err != nil {
			return f, err
		}
		t.Rate = rate
		t.Why = s.broken(t)
		t.OK = t.Why == ""
		f.Trials = append(f.Trials, t)
		if t.OK {
			f.Best = rate
		} else {
			f.Fail, f.broken = rate, t.Why
		}
		switch {
		case f.Fail == 0 && rate >= s.To:
			f.Why = fmt.Sprintf("%g/s is as far as it was to go", s.To)
			return f, nil
		case f.Fail > 0 && f.Best > 0 && f.Fail-f.Best <= searchWithin*f.Best:
			f.Why = fmt.Sprintf("at %.4g/s, %s", f.Fail, f.broken)
			return f, nil
		case f.Best == 0:
			f.Why = fmt.Sprintf("even at %.4g/s, %s", f.Fail, f.broken)
			return f, nil
		case len(f.Trials) == searchTrials:
			f.Why = fmt.Sprintf("after %d trials", searchTrials)
			return f, nil
		}
		if rate = (f.Best + f.Fail) / 2; f.Fail == 0 {
			rate = min(2*f.Best, s.To)
		}
	}
}

// broken says which limit a trial did not keep, or nothing. A late generator has not shown that the rate is kept.
func (s Search) broken(t Trial) string {
	const reached = 0.98 // of the rate: what was not sent was not borne
	switch {
	case t.ErrorShare > 0:
		text := fmt.Sprintf("%.3g %% of the requests failed", 100*t.ErrorShare)
		if t.Failures != "" {
			text += " (" + t.Failures + ")"
		}
		return text
	case s.ResponseTime > 0 && t.P99 > s.ResponseTime:
		return fmt.Sprintf("1 in 100 responses took longer than %s", rounded(t.P99))
	case len(t.Late) > 0:
		return t.Late[0]
	case t.Reached == 0:
		return "fewer than two requests were sent, which have no rate: each trial must last longer"
	case t.Reached < reached*t.Rate:
		return fmt.Sprintf("only %.4g/s were sent", t.Reached)
	}
	return ""
}

// Ability is what a generator can do here: the scale on which a measurement's rate is small or large.
type Ability struct {
	Engine      string
	CPUs        int           // that Go uses at once
	Limit       float64       // requests per second at full speed, against a server in the same process
	LagP50      time.Duration // how late requests are sent at LagRate
	LagP99      time.Duration // likewise
	LagRate     float64       // requests per second
	ServiceP50  time.Duration // of a request to that server, at LagRate
	AlarmP50    time.Duration // how much later than asked a sleep of 1 ms ends, by the pacer's own timer
	AlarmP99    time.Duration // likewise
	Connections int           // at full speed
}

// The parts of a self-test.
const (
	abilityRate   = 1000 // requests per second
	abilitySleeps = 200
)

// SelfTest measures what the engine can do here, with so many connections, against a server in this process that does
// next to nothing: at full speed for d, then at 1,000 requests per second for d. Only loopback sees traffic. The server
// takes processor time too, so that the limit is a cautious one.
func SelfTest(ctx context.Context, engine string, connections int, d time.Duration) (Ability, error) {
	a := Ability{Engine: engine, CPUs: runtime.GOMAXPROCS(0), LagRate: abilityRate, Connections: connections}
	server, err := newResponder(ctx)
	if err != nil {
		return a, fmt.Errorf("self-test: %w", err)
	}
	defer server.Close()
	plan := Plan{
		URL: "http://" + server.Addr().String() + "/", Engine: engine, Connections: connections, Requests: 1 << 40,
		MaxRate: maxPerSecond, MaxRequests: 1 << 41, Limits: &Limits{Time: d}, Shape: &Shape{Kind: ShapeClosed},
		Rules: []Rule{{Backend: 0, Kind: RuleJSON, Key: "/message", Values: []string{"hello"}}},
	}.WithDefaults()
	e := NewEngine(plan, EngineOptions{})
	defer e.Close()
	warm := plan
	warm.Requests = uint64(connections) * 10
	if _, err := abilityOf(ctx, e, warm); err != nil {
		return a, err
	}
	full, err := abilityOf(ctx, e, plan)
	if err != nil {
		return a, err
	}
	a.Limit = full.Rate()
	plan.Shape, plan.Rate, plan.Limits = nil, Rate{abilityRate, time.Second}, nil
	plan.Requests = max(plan.Rate.Requests(d), 1)
	steady, err := abilityOf(ctx, e, plan)
	if err != nil {
		return a, err
	}
	a.LagP50, a.LagP99, a.ServiceP50 = steady.SendLag(0.5), steady.SendLag(0.99), steady.ServiceTime(0.5)
	a.AlarmP50, a.AlarmP99 = alarmError(ctx)
	return a, ctx.Err()
}

// abilityOf carries out one part. That its time is over is no error.
func abilityOf(ctx context.Context, e Engine, p Plan) (*Summary, error) {
	var s Summary
	for r, err := range e.Attack(ctx, p) {
		if abort, ok := err.(*AbortError); ok && abort.Reason == AbortTime { //nolint:errorlint // it comes as it is
			break
		}
		if err != nil {
			return nil, fmt.Errorf("self-test: %w", err)
		}
		s.Add(r)
	}
	if s.Timed() == 0 {
		return nil, fmt.Errorf("self-test: none of %d requests to this process was answered", s.Requests)
	}
	return &s, nil
}

// alarmError is how late the pacer's timer is.
func alarmError(ctx context.Context) (p50, p99 time.Duration) {
	alarm := newAlarm()
	defer alarm.close()
	stop := context.AfterFunc(ctx, alarm.interrupt)
	defer stop()
	var late spread
	for range abilitySleeps {
		start := time.Now()
		alarm.sleep(time.Millisecond)
		late.record(time.Since(start) - time.Millisecond)
	}
	return late.at(0.5), late.at(0.99)
}

// newResponder answers each request on loopback with the same bytes, until whoever asks hangs up.
func newResponder(ctx context.Context) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	body := `{"message": "hello"` + strings.Repeat(" ", 400) + "}" // as long as an answer of podinfo's
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		len(body), body)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go respond(c, answer)
		}
	}()
	return l, nil
}

func respond(c net.Conn, answer []byte) {
	defer c.Close()
	buf := make([]byte, 4<<10)
	for n := 0; n < len(buf); {
		k, err := c.Read(buf[n:])
		if err != nil {
			return
		}
		if n += k; bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
			n = 0
			if _, err := c.Write(answer); err != nil {
				return
			}
		}
	}
}
