package attack

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// Limits say when a burst is given up. What is 0 does not limit. A burst that reaches one ends within a second,
// in-flight requests included, with an AbortError that names it. Requests are limited by Plan.Requests.
type Limits struct {
	ErrorShare   float64       `json:"errorShare,omitempty"`     // more than this share of requests failed, or had a 5xx,
	ErrorWindow  time.Duration `json:"errorWindowNs,omitempty"`  // of those planned within this; 0: DefaultErrorWindow
	DialFailures uint64        `json:"dialFailures,omitempty"`   // so many requests in a row had no connection
	ResponseTime time.Duration `json:"responseTimeNs,omitempty"` // more than 1 % of an ErrorWindow took longer
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

func abort(reason AbortReason, format string, args ...any) *AbortError {
	return &AbortError{Reason: reason, Saw: fmt.Sprintf(format, args...)}
}

// guard watches the results of one burst for its plan's GiveUpAfter and Limits. It is pure: results in, reason out.
type guard struct {
	l       Limits
	most    uint64        // requests in a row that may stay without an answer
	silent  uint64        // that did
	noConn  uint64        // requests in a row without a connection
	started time.Duration // planned instant of the window's first request
	n       uint64        // requests in the window
	failed  uint64
	slow    uint64
}

func newGuard(p Plan) *guard {
	g := &guard{most: p.GiveUpAfter}
	if p.Limits != nil {
		g.l = *p.Limits
	}
	g.l.ErrorWindow = cmp.Or(g.l.ErrorWindow, DefaultErrorWindow)
	return g
}

// see takes one result, and returns why the burst must end with it, or nil: a *GaveUpError or an *AbortError.
func (g *guard) see(r Result) error {
	if r.Err == ErrDropped { // never asked
		return nil
	}
	if g.silent++; r.Status != 0 {
		g.silent = 0
	}
	switch {
	case r.Err == ErrCanceled: // given up from here
		return nil
	case g.silent >= g.most:
		return &GaveUpError{InARow: g.silent}
	}
	if r.Err == ErrDial || r.Err == ErrTLS || r.Err == ErrFiles || r.Err == ErrTimeout && r.Conn == UnknownConn {
		if g.noConn++; g.l.DialFailures > 0 && g.noConn >= g.l.DialFailures {
			return abort(AbortDialFailures, "%d requests in a row got no connection (%s)", g.noConn, r.Err)
		}
	} else {
		g.noConn = 0
	}
	if lag := r.SendLag(); g.l.Lateness > 0 && lag > g.l.Lateness {
		return abort(AbortLateness, "request %d was sent %s late, more than %s",
			r.Seq, lag.Round(time.Microsecond), g.l.Lateness)
	}
	return g.window(r)
}

// window counts r in the present window, which is judged when it is over.
func (g *guard) window(r Result) error {
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
		return abort(AbortErrors, "%d of %d requests within %s failed", failed, n, rounded(lasted))
	case g.l.ResponseTime > 0 && slow*100 > n:
		return abort(AbortResponseTime, "%d of %d requests within %s took longer than %s",
			slow, n, rounded(lasted), g.l.ResponseTime)
	}
	return nil
}
