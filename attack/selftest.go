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
