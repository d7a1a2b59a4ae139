package attack

import "time"

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
