package attack

import (
	"errors"
	"fmt"
	"time"
)

// Limits say when a burst is given up. What is 0 does not limit. A burst that reaches one ends within a second, in-flight
// requests included, with an AbortError that names it. Requests are limited by Plan.Requests.
type Limits struct {
	ErrorShare   float64       `json:"errorShare,omitempty"`     // more than this share of requests failed, or had a status of 500 or above,
	ErrorWindow  time.Duration `json:"errorWindowNs,omitempty"`  // of those planned within such a time; 0: DefaultErrorWindow
	DialFailures uint64        `json:"dialFailures,omitempty"`   // so many requests in a row had no connection
	ResponseTime time.Duration `json:"responseTimeNs,omitempty"` // more than 1 % of the answers within ErrorWindow took longer than this
	Lateness     time.Duration `json:"latenessNs,omitempty"`     // a request was sent so much later than planned
	Bytes        int64         `json:"bytes,omitempty"`          // read and written over all connections
	Time         time.Duration `json:"timeNs,omitempty"`         // since the burst began
}

// DefaultErrorWindow is the time over which the share of errors is taken.
const DefaultErrorWindow = 2 * time.Second

// leastInWindow is how many requests a window must hold to be judged: of three requests, one failing says nothing.
const leastInWindow = 20

func (l *Limits) validate() error {
	switch {
	case l == nil:
		return nil
	case !(l.ErrorShare >= 0 && l.ErrorShare <= 1):
		return fmt.Errorf("limits: error share %g: want 0 to 1", l.ErrorShare)
	case l.ErrorWindow < 0 || l.ResponseTime < 0 || l.Lateness < 0 || l.Bytes < 0 || l.Time < 0:
		return errors.New("limits: want 0 or above")
	}
	return nil
}

// AbortReason says which limit ended a burst.
type AbortReason string

// The reasons.
const (
	AbortErrors       AbortReason = "errors"
	AbortDialFailures AbortReason = "dialFailures"
	AbortResponseTime AbortReason = "responseTime"
	AbortLateness     AbortReason = "lateness"
	AbortSaturated    AbortReason = "saturated"
	AbortBytes        AbortReason = "bytes"
	AbortTime         AbortReason = "time"
)

// AbortError says that a burst was stopped because it reached a limit of its plan.
type AbortError struct {
	Reason AbortReason
	Saw    string // what was seen, as words
}

func (e *AbortError) Error() string { return "attack: stopped: " + e.Saw }

// guard watches the results of one burst for its limits. It is pure: results in, reason out.
type guard struct {
	l       Limits
	noConn  uint64
	started time.Duration // planned instant of the window's first request
	n       uint64        // requests in the window
	failed  uint64
	slow    uint64
}

func newGuard(l *Limits) *guard {
	g := &guard{}
	if l != nil {
		g.l = *l
	}
	if g.l.ErrorWindow == 0 {
		g.l.ErrorWindow = DefaultErrorWindow
	}
	return g
}

// see takes one result, and returns why the burst must end with it, or nil.
func (g *guard) see(r Result) *AbortError {
	if r.Err == ErrCanceled || r.Err == ErrDropped { // given up from here, or never asked
		return nil
	}
	if r.Err == ErrDial || r.Err == ErrTLS || r.Err == ErrFiles || r.Err == ErrTimeout && r.Conn == UnknownConn {
		if g.noConn++; g.l.DialFailures > 0 && g.noConn >= g.l.DialFailures {
			return &AbortError{AbortDialFailures, fmt.Sprintf("%d requests in a row got no connection (%s)", g.noConn, r.Err)}
		}
	} else {
		g.noConn = 0
	}
	if lag := r.SendLag(); g.l.Lateness > 0 && lag > g.l.Lateness {
		return &AbortError{AbortLateness, fmt.Sprintf("request %d was sent %s late, more than %s", r.Seq, lag.Round(time.Microsecond), g.l.Lateness)}
	}
	return g.window(r)
}

// window counts r in the present window, which is judged when it is over.
func (g *guard) window(r Result) *AbortError {
	if g.l.ErrorShare == 0 && g.l.ResponseTime == 0 {
		return nil
	}
	if g.n == 0 {
		g.started = r.Planned
	}
	g.n++
	if r.Err != OK || r.Status >= 500 {
		g.failed++
	}
	if g.l.ResponseTime > 0 && r.ResponseTime() > g.l.ResponseTime {
		g.slow++
	}
	lasted := r.Planned - g.started
	if lasted < g.l.ErrorWindow {
		return nil
	}
	n, failed, slow := g.n, g.failed, g.slow
	if n < leastInWindow {
		return nil // the window grows until there is something to judge
	}
	g.n, g.failed, g.slow = 0, 0, 0
	switch {
	case g.l.ErrorShare > 0 && float64(failed) > g.l.ErrorShare*float64(n):
		return &AbortError{AbortErrors, fmt.Sprintf("%d of %d requests within %s failed", failed, n, rounded(lasted))}
	case g.l.ResponseTime > 0 && slow*100 > n:
		return &AbortError{AbortResponseTime, fmt.Sprintf("%d of %d requests within %s took longer than %s", slow, n, rounded(lasted), g.l.ResponseTime)}
	}
	return nil
}
