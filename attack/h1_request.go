package attack

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxRequest bounds the bytes of a request: what fits into an empty socket buffer is written without waiting, which
// lets the pacer write for all connections.
const maxRequest = 16 << 10

// newH1Target serialises the request.
func newH1Target(p Plan) (*target, error) {
	u, err := url.Parse(p.URL)
	if err != nil {
		return nil, fmt.Errorf("url %q: %w", p.URL, err)
	}
	if u.Scheme != "http" {
		return nil, fmt.Errorf("url %q: engine h1 speaks plain http only: use engine std", p.URL)
	}
	t := &target{head: p.Method == http.MethodHead, address: hostPort(u)}
	if to, ok := p.ConnectTo[t.address]; ok {
		t.address = to
	}
	t.key = t.address
	host := u.Host
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", p.Method, u.RequestURI())
	var lines strings.Builder
	agent := false
	for _, name := range slices.Sorted(maps.Keys(p.Header)) {
		value := p.Header[name]
		switch lowered := strings.ToLower(name); lowered {
		case "host":
			host = value
			continue
		case "content-length", "transfer-encoding", "upgrade":
			return nil, fmt.Errorf("header %q: engine h1 sets the framing of requests itself", name)
		case "user-agent":
			agent = true
		}
		fmt.Fprintf(&lines, "%s: %s\r\n", name, value)
		if _, _, err := field([]byte(name + ": " + value)); err != nil {
			return nil, fmt.Errorf("header %q: not a valid header", name)
		}
	}
	if !isVisible(host) {
		return nil, fmt.Errorf("host %q: want ASCII letters, digits, dots and hyphens", host)
	}
	fmt.Fprintf(&b, "Host: %s\r\n", host)
	if !agent {
		b.WriteString("User-Agent: splitbench\r\n")
	}
	b.WriteString(lines.String())
	if !bodiless(p.Method) {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(p.Body))
	}
	b.WriteString("\r\n")
	b.Write(p.Body)
	if b.Len() > maxRequest {
		return nil, fmt.Errorf("request of %d bytes: engine h1 sends at most %d", b.Len(), maxRequest)
	}
	t.request = []byte(b.String())
	return t, nil
}

// bodiless reports whether requests of a method have no body by nature.
func bodiless(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// isVisible refuses names that would have to be translated, and space.
func isVisible(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// hostPort is the address that a URL names, as host:port, in lower case.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// protocolError reports whether err is the parser's: what came is not an answer.
func protocolError(err error) bool {
	return errors.Is(err, errFraming) || errors.Is(err, errSyntax) || errors.Is(err, errTooLarge) || errors.Is(err, errCut)
}
