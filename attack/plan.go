package attack

import (
	"cmp"
	"net/http"
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

// EngineName is the engine that the plan is for: where it names none, EngineH1 for HTTP/1.1 over plain TCP and
// EngineStd for all else.
func (p Plan) EngineName() string {
	switch {
	case p.Engine != "":
		return p.Engine
	case p.Protocol != "" && p.Protocol != ProtocolHTTP1, strings.HasPrefix(strings.ToLower(p.URL), "https:"):
		return EngineStd
	}
	return EngineH1
}
