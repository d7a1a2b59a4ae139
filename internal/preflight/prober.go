package preflight

import "context"

// Prober reaches the source pod. A probe is a request that the pod sends like any other client in it, on a connection
// of its own; it is never counted.
type Prober interface {
	// Fetch gets one URL from inside the pod. The error is only ever of the way to the pod, or of ctx; what went wrong
	// between the pod and the URL is in the Answer.
	Fetch(ctx context.Context, q Get) (Answer, error)
}

// Get is one request of a Prober.
type Get struct {
	URL      string
	Asked    bool       // the request that the law is asked for, of this URL; false: a GET
	MaxBytes int64      // of the body; the rest is not sent back
	Keep     [][]string // send back only those lines that have all strings of one set; nil: all
}

// Answer is what the pod saw.
type Answer struct {
	Status     int                 // HTTP status; 0: no answer
	Header     map[string][]string // canonical keys
	Body       []byte
	Truncated  bool   // there was more body than was asked for
	Empty      bool   // the other end hung up without an answer, as a gateway does to a client outside the mesh
	Error      string // why there is no whole answer
	RemoteAddr string // ADDRESS:PORT that the pod's connection went to; "" where that is not known
}

// first is the first value of a header, "" where there is none.
func (a Answer) first(key string) string {
	if v := a.Header[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// proxyError is what the client's own proxy says of an answer that it made itself. Those of remote proxies lack the
// header.
func (a Answer) proxyError() string { return a.first("L5d-Proxy-Error") }
