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
