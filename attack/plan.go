package attack

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
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

// Plan is a burst, fixed before its first request: what is sent where and when. It is plain data, sent as JSON.
type Plan struct {
	URL         string            `json:"url"`
	Method      string            `json:"method"`                // GET, HEAD, OPTIONS, or any with AllowUnsafe; "": GET
	Header      map[string]string `json:"header,omitempty"`      // sent with every request, User-Agent included
	Rate        Rate              `json:"rate"`                  // of sending, whatever the answers do (open model)
	Requests    uint64            `json:"requests"`              // counted requests, > 0
	WarmUp      uint64            `json:"warmUp"`                // requests sent before the burst, never counted
	Connections int               `json:"connections"`           // at most, and requests in flight; 0: DefaultConnections
	Timeout     time.Duration     `json:"timeoutNs"`             // of one request, nanoseconds; 0: DefaultTimeout
	Rules       []Rule            `json:"rules"`                 // how answers are told apart, first match wins
	GiveUpAfter uint64            `json:"giveUpAfter"`           // requests in a row unanswered; 0: DefaultGiveUpAfter
	MaxRate     float64           `json:"maxRate,omitempty"`     // ceiling, requests per second; 0: DefaultMaxRate
	MaxRequests uint64            `json:"maxRequests,omitempty"` // ceiling; 0: DefaultMaxRequests
	// ConnectTo sends what would be dialled at one HOST:PORT to another ADDR:PORT. Host and URL of the requests stay.
	ConnectTo map[string]string `json:"connectTo,omitempty"`
	Engine    string            `json:"engine,omitempty"`   // EngineH1, EngineStd, EngineVegeta, or "": EngineName
	Shape     *Shape            `json:"schedule,omitempty"` // nil: Rate, constant
	Reuse     *Reuse            `json:"reuse,omitempty"`    // nil: connections are used as long as they live

	Protocol    Protocol   `json:"protocol,omitempty"`    // "": ProtocolHTTP1; the others are for EngineStd
	Streams     int        `json:"streams,omitempty"`     // requests in flight over one HTTP/2 connection; 0: 1
	Saturation  Saturation `json:"saturation,omitempty"`  // of requests without a free connection; "": SaturationQueue
	Order       Order      `json:"order,omitempty"`       // which of the connections at rest is used; "": OrderLIFO
	Spin        bool       `json:"spin,omitempty"`        // EngineH1 on Linux: never sleep, which takes a processor
	AllowUnsafe bool       `json:"allowUnsafe,omitempty"` // permit methods that may change something
	Body        []byte     `json:"body,omitempty"`        // of every request; for methods that AllowUnsafe permits
	Unary       *Unary     `json:"unary,omitempty"`       // ProtocolGRPC: what is called; nil: the health check
	TLS         *TLS       `json:"tls,omitempty"`         // https: nil trusts the system's authorities
	Limits      *Limits    `json:"limits,omitempty"`      // when to give up, beyond GiveUpAfter; nil: never
}

// Protocol is what is spoken over a connection.
type Protocol string

// The protocols.
const (
	ProtocolHTTP1 Protocol = "http1" // HTTP/1.1
	ProtocolH2    Protocol = "h2"    // HTTP/2 over TLS
	ProtocolH2C   Protocol = "h2c"   // HTTP/2 over plain TCP, by prior knowledge
	ProtocolGRPC  Protocol = "grpc"  // unary calls over HTTP/2, plain or TLS as the URL says
)

// Saturation says what becomes of a request that is due while every connection is busy.
type Saturation string

// The policies.
const (
	SaturationQueue Saturation = "queue" // it waits and keeps its planned instant: its response time says so
	SaturationDrop  Saturation = "drop"  // it is not sent; its result has class ErrDropped
	SaturationAbort Saturation = "abort" // the burst ends, with an AbortError
)

// Order says which of several connections at rest carries the next request.
type Order string

// The orders.
const (
	OrderLIFO   Order = "lifo"   // the one used last: as few connections as will do
	OrderFIFO   Order = "fifo"   // the one at rest for longest: all in turn
	OrderRandom Order = "random" // any, drawn with Reuse's seed
)

// TLS says whom to trust.
type TLS struct {
	Insecure   bool   `json:"insecure,omitempty"`   // anybody: the certificate is not verified
	CA         []byte `json:"ca,omitempty"`         // authorities, PEM; nil: the system's
	ServerName string `json:"serverName,omitempty"` // "": the URL's host
}

// WithDefaults returns the plan with every unset field that has a default set to it.
func (p Plan) WithDefaults() Plan {
	p.Method = cmp.Or(p.Method, http.MethodGet)
	p.Connections = cmp.Or(p.Connections, DefaultConnections)
	p.Timeout = cmp.Or(p.Timeout, DefaultTimeout)
	p.GiveUpAfter = cmp.Or(p.GiveUpAfter, DefaultGiveUpAfter)
	p.MaxRate = cmp.Or(p.MaxRate, DefaultMaxRate)
	p.MaxRequests = cmp.Or(p.MaxRequests, DefaultMaxRequests)
	if p.Protocol == ProtocolGRPC {
		p.Method = http.MethodPost
	}
	return p
}

// streams is how many requests one connection carries at once.
func (p Plan) streams() int {
	if p.Protocol == ProtocolHTTP1 || p.Protocol == "" {
		return 1
	}
	return max(p.Streams, 1)
}

// Reuse says when a connection is given up for a new one. Where a mesh chooses the backend for each connection, not for
// each request, a run measures the split as often as it dials.
type Reuse struct {
	MinRequests uint64        `json:"minRequests,omitempty"` // a connection carries a number drawn evenly from this
	MaxRequests uint64        `json:"maxRequests,omitempty"` // to this; 1: a new one for each request; 0: any number
	MaxAge      time.Duration `json:"maxAgeNs,omitempty"`    // nanoseconds; an older one takes no new request; 0: any age
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

// EngineName is the engine that the plan names, else EngineH1 for HTTP/1.1 over plain TCP and EngineStd for the rest.
func (p Plan) EngineName() string {
	switch {
	case p.Engine != "":
		return p.Engine
	case p.Protocol != "" && p.Protocol != ProtocolHTTP1, strings.HasPrefix(strings.ToLower(p.URL), "https:"):
		return EngineStd
	}
	return EngineH1
}

// maxConnections bounds the connections of a plan.
const maxConnections = 16384

// maxConnectTo bounds the addresses that a plan may move.
const maxConnectTo = 256

// ValidateRequest says why one request of the plan must not be sent.
func (p Plan) ValidateRequest() error {
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
	if err := p.validMethod(); err != nil {
		return err
	}
	for k, v := range p.Header {
		if k == "" || textproto.TrimString(k) != k || strings.ContainsAny(k+v, "\r\n\x00") {
			return fmt.Errorf("header %q: not a valid header", k)
		}
	}
	if err := validConnectTo(p.ConnectTo); err != nil {
		return err
	}
	return p.validEngine(u.Scheme)
}

// Validate says, in one sentence, why the plan must not be sent. It expects WithDefaults to have been applied.
func (p Plan) Validate() error {
	if err := p.ValidateRequest(); err != nil {
		return err
	}
	if p.Shape != nil {
		if err := p.Shape.validate(); err != nil {
			return err
		}
	}
	switch {
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
	if err := p.Limits.validate(); err != nil {
		return err
	}
	_, err := NewClassifier(p.Rules)
	return err
}

// validMethod holds to what cannot change anything, unless more is permitted.
func (p Plan) validMethod() error {
	switch p.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		if len(p.Body) > 0 {
			return fmt.Errorf("body: a %s has none", p.Method)
		}
		return nil
	case http.MethodConnect, http.MethodTrace:
		return fmt.Errorf("method %s: not sent", p.Method)
	}
	if !isMethod(p.Method) {
		return fmt.Errorf("method %q: not a method", p.Method)
	}
	switch {
	case p.Protocol == ProtocolGRPC && p.Unary.harmless():
		return nil
	case !p.AllowUnsafe && p.Protocol == ProtocolGRPC:
		return fmt.Errorf("grpc method %s: may change something; allow it with --allow-unsafe, or call the health check",
			p.Unary.Method)
	case !p.AllowUnsafe:
		return fmt.Errorf("method %q: only GET, HEAD and OPTIONS are sent; allow it with --allow-unsafe", p.Method)
	case len(p.Body) > maxRequestBody:
		return fmt.Errorf("body of %d bytes: at most %d are sent", len(p.Body), maxRequestBody)
	}
	return nil
}

// maxRequestBody bounds the body of a request, so that a request fits into an empty socket buffer.
const maxRequestBody = 8 << 10

func isMethod(m string) bool {
	return m != "" && len(m) <= 20 && !strings.ContainsFunc(m, func(r rune) bool { return r < 'A' || r > 'Z' })
}

// oneOf refuses a value that is set and not one of those listed.
func oneOf[T ~string](what string, value T, allowed ...T) error {
	if value == "" || slices.Contains(allowed, value) {
		return nil
	}
	last := len(allowed) - 1
	var list strings.Builder
	for _, a := range allowed[:last] {
		list.WriteString(", " + string(a))
	}
	return fmt.Errorf("%s %q: want %s or %s", what, value, list.String()[2:], allowed[last])
}

// validEngine checks that the engine can do what is asked of it.
func (p Plan) validEngine(scheme string) error {
	name := p.EngineName()
	overTLS := scheme == "https"
	if err := cmp.Or(
		oneOf("engine", p.Engine, EngineH1, EngineStd, EngineVegeta),
		oneOf("protocol", p.Protocol, ProtocolHTTP1, ProtocolH2, ProtocolH2C, ProtocolGRPC),
		oneOf("saturation", p.Saturation, SaturationQueue, SaturationDrop, SaturationAbort),
		oneOf("order", p.Order, OrderLIFO, OrderFIFO, OrderRandom),
	); err != nil {
		return err
	}
	switch {
	case name == EngineVegeta && !hasVegeta:
		return fmt.Errorf("engine %s: not in this program: use engine %s or %s", name, EngineH1, EngineStd)
	case p.Protocol == ProtocolH2 && !overTLS, p.Protocol == ProtocolH2C && overTLS:
		return fmt.Errorf("protocol %s: not over %s", p.Protocol, scheme)
	case name == EngineH1 && overTLS:
		return fmt.Errorf("engine %s: speaks plain http only, not %s: use engine %s", EngineH1, scheme, EngineStd)
	case name != EngineStd && p.Protocol != "" && p.Protocol != ProtocolHTTP1:
		return fmt.Errorf("engine %s: speaks HTTP/1.1 only, not %s: use engine %s", name, p.Protocol, EngineStd)
	case name == EngineVegeta && (p.Saturation == SaturationDrop || p.Saturation == SaturationAbort):
		return fmt.Errorf("saturation %s: engine %s queues: use engine %s", p.Saturation, name, EngineStd)
	case name == EngineVegeta && p.Order != "" && p.Order != OrderLIFO:
		return fmt.Errorf("order %s: engine %s leaves it to net/http: use engine %s", p.Order, name, EngineStd)
	case name == EngineVegeta && (p.TLS != nil || len(p.Body) > 0):
		return fmt.Errorf("engine %s: takes no TLS settings and no body: use engine %s", name, EngineStd)
	case name == EngineVegeta && p.Limits != nil && p.Limits.Bytes > 0:
		return fmt.Errorf("limit of bytes %d: engine %s does not count bytes: use engine %s", p.Limits.Bytes, name, EngineStd)
	case p.Spin && name != EngineH1:
		return fmt.Errorf("spin: engine %s cannot: use engine %s", name, EngineH1)
	case p.Streams < 0 || p.Streams > maxStreams:
		return fmt.Errorf("streams %d: want 1 to %d", p.Streams, maxStreams)
	case p.Streams > 1 && p.streams() == 1:
		return fmt.Errorf("streams %d: an HTTP/1.1 connection carries one request at a time", p.Streams)
	}
	return nil
}

// maxStreams bounds the requests in flight over one connection.
const maxStreams = 1000

func (p Plan) validReuse() error {
	r := p.Reuse
	switch {
	case r == nil:
		return nil
	case p.EngineName() == EngineVegeta:
		return fmt.Errorf("reuse: engine %s cannot give up connections by a plan: use engine %s or %s",
			EngineVegeta, EngineH1, EngineStd)
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
