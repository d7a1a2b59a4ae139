package attack

import (
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"time"
)

// Ceilings without an explicit permission to go beyond: a split is validated in the cluster that serves users.
const (
	DefaultMaxRate     = 1000    // requests per second
	DefaultMaxRequests = 100_000 // requests of one burst
)

// Defaults of a Plan.
const (
	DefaultTimeout     = 10 * time.Second
	DefaultConnections = 128
	// DefaultGiveUpAfter is how many requests in a row may get no answer before the burst is given up.
	DefaultGiveUpAfter = 200
)

// Plan is a burst, fixed before its first request: what is sent where and when, how answers are told apart, and when to
// stop. It is plain data and travels as JSON.
type Plan struct {
	URL         string            `json:"url"`
	Method      string            `json:"method"`                // GET, HEAD or OPTIONS; "" is GET
	Header      map[string]string `json:"header,omitempty"`      // sent with every request, User-Agent included
	Rate        Rate              `json:"rate"`                  // constant rate of sending, whatever the answers do (open model)
	Requests    uint64            `json:"requests"`              // counted requests, > 0
	WarmUp      uint64            `json:"warmUp"`                // requests sent before the burst, never counted
	Connections int               `json:"connections"`           // connections and requests in flight at most; 0: DefaultConnections
	Timeout     time.Duration     `json:"timeoutNs"`             // of one request, nanoseconds; 0: DefaultTimeout
	Rules       []Rule            `json:"rules"`                 // how answers are told apart, first match wins
	GiveUpAfter uint64            `json:"giveUpAfter"`           // requests in a row without an answer; 0: DefaultGiveUpAfter
	MaxRate     float64           `json:"maxRate,omitempty"`     // ceiling, requests per second; 0: DefaultMaxRate
	MaxRequests uint64            `json:"maxRequests,omitempty"` // ceiling; 0: DefaultMaxRequests
	// ConnectTo sends what would be dialled at one HOST:PORT to another ADDR:PORT. Host and URL of the requests stay.
	ConnectTo map[string]string `json:"connectTo,omitempty"`
	Engine    string            `json:"engine,omitempty"`   // EngineH1, EngineVegeta, or "": EngineName
	Shape     *Shape            `json:"schedule,omitempty"` // nil: Rate, constant
	Reuse     *Reuse            `json:"reuse,omitempty"`    // nil: connections are used as long as they live
}

// WithDefaults returns the plan with every unset field that has a default set to it.
func (p Plan) WithDefaults() Plan {
	if p.Method == "" {
		p.Method = http.MethodGet
	}
	if p.Connections == 0 {
		p.Connections = DefaultConnections
	}
	if p.Timeout == 0 {
		p.Timeout = DefaultTimeout
	}
	if p.GiveUpAfter == 0 {
		p.GiveUpAfter = DefaultGiveUpAfter
	}
	if p.MaxRate == 0 {
		p.MaxRate = DefaultMaxRate
	}
	if p.MaxRequests == 0 {
		p.MaxRequests = DefaultMaxRequests
	}
	return p
}

// Reuse says when a connection is given up for a new one. Where a mesh chooses the backend for each connection, not for
// each request, a run measures the split as often as it dials.
type Reuse struct {
	MinRequests uint64        `json:"minRequests,omitempty"` // a connection carries a number drawn evenly from this
	MaxRequests uint64        `json:"maxRequests,omitempty"` // to this; 1: a new one for each request; 0: any number
	MaxAge      time.Duration `json:"maxAgeNs,omitempty"`    // nanoseconds; an older one carries no new request; 0: any age
	Seed        uint64        `json:"seed,omitempty"`        // of the draws
}

// Schedule is the plan's schedule. It is made anew for each call, and not safe for concurrent use.
func (p Plan) Schedule() Schedule {
	if p.Shape != nil {
		return p.Shape.schedule(p.Rate, p.MaxRate)
	}
	return Constant{p.Rate}
}

// closed reports whether requests have no instants of their own.
func (p Plan) closed() bool { return p.Shape != nil && p.Shape.Kind == ShapeClosed }

// peak is the highest rate that the plan asks for, per second.
func (p Plan) peak() float64 {
	if p.Shape != nil {
		return p.Shape.peak(p.Rate)
	}
	return p.Rate.PerSecond()
}

// Duration is how long sending takes: until the instant at which the request after the last would be due.
func (p Plan) Duration() time.Duration { return p.Schedule().At(p.Requests) }

// EngineName is the engine that the plan is for: where it names none, EngineH1 for http and EngineVegeta for https.
func (p Plan) EngineName() string {
	switch {
	case p.Engine != "":
		return p.Engine
	case strings.HasPrefix(strings.ToLower(p.URL), "https:"):
		return EngineVegeta
	}
	return EngineH1
}

// maxConnections bounds the connections of a plan.
const maxConnections = 16384

// maxConnectTo bounds the addresses that a plan may move.
const maxConnectTo = 256

// Validate says, in one sentence, why the plan must not be sent. It expects WithDefaults to have been applied.
func (p Plan) Validate() error {
	u, err := url.Parse(p.URL)
	switch {
	case err != nil:
		return fmt.Errorf("url %q: %w", p.URL, err)
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("url %q: scheme must be http or https", p.URL)
	case u.Hostname() == "":
		return fmt.Errorf("url %q: no host", p.URL)
	case u.User != nil:
		return fmt.Errorf("url %q: user names and passwords are not sent", u.Redacted())
	}
	switch p.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
	default:
		return fmt.Errorf("method %q: only GET, HEAD and OPTIONS are sent", p.Method)
	}
	for k, v := range p.Header {
		if k == "" || textproto.TrimString(k) != k || strings.ContainsAny(k+v, "\r\n\x00") {
			return fmt.Errorf("header %q: not a valid header", k)
		}
	}
	if p.Shape != nil {
		if err := p.Shape.validate(p.Requests); err != nil {
			return err
		}
	}
	if err := validConnectTo(p.ConnectTo); err != nil {
		return err
	}
	switch {
	case p.EngineName() != EngineH1 && p.EngineName() != EngineVegeta:
		return fmt.Errorf("engine %q: want %s or %s", p.Engine, EngineH1, EngineVegeta)
	case p.EngineName() == EngineH1 && u.Scheme != "http":
		return fmt.Errorf("engine %s: speaks plain http only, not %s: use engine %s", EngineH1, u.Scheme, EngineVegeta)
	case p.Requests == 0:
		return fmt.Errorf("requests 0: want at least 1")
	case p.Requests > p.MaxRequests:
		return fmt.Errorf("requests %d: above the ceiling of %d", p.Requests, p.MaxRequests)
	case p.WarmUp > p.MaxRequests:
		return fmt.Errorf("warm-up %d: above the ceiling of %d requests", p.WarmUp, p.MaxRequests)
	case (p.Shape == nil || p.Shape.usesPlanRate()) && (p.Rate.Hits == 0 || p.Rate.Per <= 0):
		return fmt.Errorf("rate 0: want above 0")
	case !(p.peak() <= p.MaxRate): // nor may the ceiling be NaN
		return fmt.Errorf("rate %g/s: above the ceiling of %g/s", p.peak(), p.MaxRate)
	case p.Connections < 1 || p.Connections > maxConnections:
		return fmt.Errorf("connections %d: want 1 to %d", p.Connections, maxConnections)
	case p.Timeout < time.Millisecond || p.Timeout > 10*time.Minute:
		return fmt.Errorf("timeout %s: want 1ms to 10m", p.Timeout)
	}
	if err := p.validReuse(); err != nil {
		return err
	}
	_, err = NewClassifier(p.Rules)
	return err
}

func (p Plan) validReuse() error {
	r := p.Reuse
	switch {
	case r == nil:
		return nil
	case p.EngineName() != EngineH1:
		return fmt.Errorf("reuse: engine %s cannot give up connections by a plan: use engine %s", p.EngineName(), EngineH1)
	case r.MinRequests > r.MaxRequests:
		return fmt.Errorf("reuse: %d to %d requests: want the smaller number first", r.MinRequests, r.MaxRequests)
	case r.MaxAge < 0:
		return fmt.Errorf("reuse: age %s: want 0 or above", r.MaxAge)
	}
	return nil
}

// validConnectTo checks that both sides are HOST:PORT.
func validConnectTo(to map[string]string) error {
	if len(to) > maxConnectTo {
		return fmt.Errorf("connect-to: %d addresses, at most %d are allowed", len(to), maxConnectTo)
	}
	for from, address := range to {
		for _, s := range []string{from, address} {
			if host, port, err := net.SplitHostPort(s); err != nil || host == "" || port == "" {
				return fmt.Errorf("connect-to %q=%q: want HOST:PORT=ADDRESS:PORT", from, address)
			}
		}
		if from != strings.ToLower(from) {
			return fmt.Errorf("connect-to %q: host names are lower case here", from)
		}
	}
	return nil
}
