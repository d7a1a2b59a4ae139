package attack

import (
	"fmt"
	"time"
)

// Summary is what a burst came to, in memory that does not grow with it. Its zero value is ready, for one goroutine.
type Summary struct {
	Requests  uint64            // results
	Sent      uint64            // of them, sent
	Statuses  map[uint16]uint64 // complete answers by HTTP status
	Errors    map[ErrorClass]uint64
	ByRule    map[int16]uint64 // complete answers by Result.Backend
	Late      uint64           // sent more than LateAfter after their instants
	FirstSent time.Duration    // since the burst began
	LastSent  time.Duration    // likewise
	LastDone  time.Duration    // likewise

	lag, service, response spread
}

// LateAfter is how late a request may be sent before it is called late, whatever the others are.
const LateAfter = 10 * time.Millisecond

// Add counts one result.
func (s *Summary) Add(r Result) {
	if s.Statuses == nil {
		s.Statuses, s.Errors, s.ByRule = map[uint16]uint64{}, map[ErrorClass]uint64{}, map[int16]uint64{}
	}
	s.Requests++
	s.LastDone = max(s.LastDone, r.Done)
	if r.Err != OK {
		s.Errors[r.Err]++
	}
	if r.Err == ErrDropped {
		return
	}
	if s.Sent == 0 || r.Sent < s.FirstSent {
		s.FirstSent = r.Sent
	}
	s.Sent++
	s.LastSent = max(s.LastSent, r.Sent)
	s.lag.record(r.SendLag())
	if r.SendLag() > LateAfter {
		s.Late++
	}
	if r.Err == OK {
		s.Statuses[r.Status]++
		s.ByRule[r.Backend]++
		s.service.record(r.ServiceTime())
		s.response.record(r.ResponseTime())
	}
}

// Timed is how many complete answers were timed.
func (s *Summary) Timed() int64 { return s.service.len() }

// SendLag is a quantile of how late requests were sent, q from 0 to 1, to three digits; 0 where none was.
func (s *Summary) SendLag(q float64) time.Duration { return s.lag.at(q) }

// ServiceTime is a quantile of complete answers' service times.
func (s *Summary) ServiceTime(q float64) time.Duration { return s.service.at(q) }

// ResponseTime is a quantile of complete answers' response times.
func (s *Summary) ResponseTime(q float64) time.Duration { return s.response.at(q) }

// Failed is how many requests had no complete answer or one of status 500 and above; those that were dropped included,
// those that were canceled from here not.
func (s *Summary) Failed() (n uint64) {
	for class, k := range s.Errors {
		if class != ErrCanceled {
			n += k
		}
	}
	for status, k := range s.Statuses {
		if status >= 500 {
			n += k
		}
	}
	return n
}

// Rate is how many requests were sent per second, from the first to the last; 0 for fewer than two.
func (s *Summary) Rate() float64 {
	if d := s.LastSent - s.FirstSent; s.Sent > 1 && d > 0 {
		return float64(s.Sent-1) / d.Seconds()
	}
	return 0
}

// ClientLimits says why the generator, and not what it measured, shaped these numbers; nil where it did not. throttled
// is for how long the process was kept from running meanwhile.
func (s *Summary) ClientLimits(throttled time.Duration) []string {
	return ClientLimits(s.Requests, s.Late+s.Errors[ErrDropped], s.SendLag(0.99), s.ResponseTime(0.5), throttled)
}

// Bounds beyond which a generator is too late for its latencies to be facts.
const (
	lateLag      = time.Millisecond
	lateLagShare = 0.1  // of the median response time
	lateShare    = 0.01 // of requests
)

// ClientLimits says why the generator shaped the numbers of so many requests, of which so many were late or dropped:
// its send lag's p99 is above the larger of 1 ms and a tenth of the median response time, more than 1 % of the requests
// were late or dropped, or its processor was taken away. nil: it did not.
func ClientLimits(requests, late uint64, lagP99, responseP50, throttled time.Duration) (why []string) {
	if limit := max(lateLag, time.Duration(lateLagShare*float64(responseP50))); lagP99 > limit {
		why = append(why, fmt.Sprintf("1 in 100 requests was sent more than %s late, which is above %s",
			rounded(lagP99), rounded(limit)))
	}
	if float64(late) > lateShare*float64(requests) {
		why = append(why, fmt.Sprintf("%d of %d requests were sent more than %s late or not at all",
			late, requests, LateAfter))
	}
	if throttled > 0 {
		why = append(why, fmt.Sprintf("the generator was kept from running for %s by its processor limit",
			rounded(throttled)))
	}
	return why
}

func rounded(d time.Duration) time.Duration {
	if d < 10*time.Millisecond {
		return d.Round(time.Microsecond)
	}
	return d.Round(100 * time.Microsecond)
}

// Trial is the summary as a search wants it.
func (s *Summary) Trial(throttled time.Duration) Trial {
	t := Trial{Reached: s.Rate(), P99: s.ResponseTime(0.99), Late: s.ClientLimits(throttled)}
	if s.Requests > 0 {
		t.ErrorShare = float64(s.Failed()) / float64(s.Requests)
	}
	return t
}

// Unattributed is the Backend of a result that no rule of the classifier names, and Conn where the engine cannot know
// it.
const (
	Unattributed = -1
	UnknownConn  = -1
)

// ErrorClass says how a request failed below HTTP. A response of any status has class OK: a 503 is an answer.
type ErrorClass uint8

// The error classes. Their numbers are part of the wire and of stored runs: add at the end, never renumber.
const (
	OK          ErrorClass = iota // an HTTP response was read to its end
	ErrDial                       // no connection: refused, unreachable, name not resolved
	ErrTimeout                    // no complete answer within the request timeout
	ErrReset                      // the peer reset the connection
	ErrEmpty                      // closed before the first byte of an answer, as by a gateway to an off-mesh client
	ErrProtocol                   // the answer is not HTTP, or is cut short
	ErrCanceled                   // we gave it up: the burst was stopped
	ErrOther                      // none of the above
	ErrStale                      // a connection that had carried answers before died before the first byte of this one
	ErrDropped                    // not sent: every connection was busy, and the plan drops what cannot be sent on time
	ErrTLS                        // connected, but the two did not agree on TLS, or the certificate is not trusted
	ErrFiles                      // no connection: this process may open no more files, or has no more ports
	ErrLost                       // the stream that should have brought the result broke; never on the wire
	numErrorClasses
)

//nolint:gochecknoglobals // a table that never changes
var errorClassNames = [numErrorClasses]string{
	"ok", "dial", "timeout", "reset", "emptyReply", "protocol", "canceled", "other",
	"staleConnection", "dropped", "tls", "noFiles", "lost",
}

// String returns the stable name used in JSON and reports.
func (c ErrorClass) String() string {
	if c < numErrorClasses {
		return errorClassNames[c]
	}
	return "other"
}

// Result is one request and its answer. The four instants are on one monotonic clock, counted from the start of the
// burst; an instant that did not happen is 0, and Done is always set.
type Result struct {
	Seq       uint64        // number of the request in its burst, dense from 0
	Planned   time.Duration // when the schedule wanted it sent
	Sent      time.Duration // when it was written or its new connection dialled; Planned where it was dropped
	FirstByte time.Duration // when the first byte of the answer arrived
	Done      time.Duration // when the answer was complete, or had failed
	Conn      int32         // number of the connection that carried it, or UnknownConn
	Status    uint16        // HTTP status; 0 where there was no answer
	Backend   int16         // index of the backend that answered, or Unattributed
	Err       ErrorClass
	Arrived   bool // Done is when the kernel had the answer; else it is when it was read, which may be later
}

// SendLag is how late the generator was, in real time: the time between the planned and the actual sending.
func (r Result) SendLag() time.Duration { return r.Sent - r.Planned }

// ServiceTime runs from the actual sending to the complete answer.
func (r Result) ServiceTime() time.Duration { return r.Done - r.Sent }

// ResponseTime runs from the planned sending to the complete answer. It holds what a user would have waited: a late
// generator or a stalled server cannot hide in it (no coordinated omission).
func (r Result) ResponseTime() time.Duration { return r.Done - r.Planned }

// Specimen is an answer that no rule matched, kept so that a person can see why. Bodies are hostile: escape them.
type Specimen struct {
	Seq    uint64 `json:"seq"`    // of the request
	Status uint16 `json:"status"` // HTTP
	Body   string `json:"body"`   // at most MaxSpecimenBody bytes, as received
}

// MaxSpecimens and MaxSpecimenBody bound what is kept of unmatched answers.
const (
	MaxSpecimens    = 5
	MaxSpecimenBody = 512
)
