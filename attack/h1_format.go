package attack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxRequest bounds the bytes of a request: an empty socket buffer takes them at once, from the pacer too.
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

// h1Answer is one parsed response. Its slices lie in the reader's buffer.
type h1Answer struct {
	status uint16
	head   []byte // header lines with their ends
	body   []byte // the first maxBody bytes
	reuse  bool   // the connection can carry another request
}

// h1Head is what the header says of the framing.
type h1Head struct {
	status    int
	minor     int    // of HTTP/1.x
	length    uint64 // Content-Length
	hasLength bool
	chunked   bool
	close     bool
	keepAlive bool
}

// answer reads and parses one response, interim ones passed over, after the first byte of it has come. It knows less
// than net/http and refuses more: whatever two programs on the way may read differently, since then one of them would
// count another backend's answer. What it accepts, net/http reads the same (a fuzz test holds the two together).
func (p *h1Reader) answer(head bool, a *h1Answer) error {
	var h h1Head
	var lines, end int
	for {
		start := p.read
		p.floor = start
		if err := p.statusLine(&h); err != nil {
			return err
		}
		lines = p.read
		if err := p.fields(&h); err != nil {
			return err
		}
		end = p.read
		if h.status >= 200 {
			break
		}
		if h.status == 101 || h.chunked || h.length > 0 { // nobody asked for another protocol
			return errSyntax
		}
	}
	p.floor = end
	reuse := !h.close && (h.minor == 1 || h.keepAlive)
	var err error
	switch {
	case head || h.status == 304:
	case h.status == 204:
		// A length here is wrong, and whether its bytes follow anybody's guess.
		reuse = reuse && !h.chunked && h.length == 0
	case h.chunked:
		err = p.chunks(end)
	case h.hasLength:
		err = p.body(end, h.length)
	default:
		reuse = false
		err = p.untilEOF(end)
	}
	if err != nil {
		return err
	}
	a.status, a.reuse = uint16(h.status), reuse && p.spare() == 0
	a.head, a.body = p.buf[lines:end], p.buf[end:p.floor]
	return nil
}

// statusLine reads "HTTP/1.x NNN reason".
func (p *h1Reader) statusLine(h *h1Head) error {
	l, err := p.headLine()
	if err != nil {
		return err
	}
	if len(l) < len("HTTP/1.1 200") || string(l[:7]) != "HTTP/1." || l[7] != '0' && l[7] != '1' || l[8] != ' ' {
		return errSyntax
	}
	*h = h1Head{minor: int(l[7] - '0')}
	for _, c := range l[9:12] {
		if c < '0' || c > '9' {
			return errSyntax
		}
		h.status = h.status*10 + int(c-'0')
	}
	if h.status < 100 || len(l) > 12 && l[12] != ' ' || !isText(l[12:]) {
		return errSyntax
	}
	return nil
}

// headLine reads a line of the header, all lines of which, interim responses' included, stay within maxHeaderBytes. A
// bare LF ends one too, as for every client (RFC 9112, 2.2).
func (p *h1Reader) headLine() ([]byte, error) {
	l, err := p.toLF(maxHeaderBytes - p.read)
	p.floor = p.read
	return bytes.TrimSuffix(l, []byte("\r")), err
}

// fields reads header lines to the empty line.
func (p *h1Reader) fields(h *h1Head) error {
	for {
		l, err := p.headLine()
		if err != nil {
			return err
		}
		if len(l) == 0 {
			if h.chunked && (h.hasLength || h.minor == 0) { // its body's length in two ways, or in one of another version
				return errFraming
			}
			return nil
		}
		name, value, err := field(l)
		if err != nil {
			return err
		}
		switch {
		case equalFold(name, "connection"):
			h.connection(value)
		case equalFold(name, "content-length"):
			n, ok := parseLength(value)
			if !ok || h.hasLength && n != h.length {
				return errFraming
			}
			h.length, h.hasLength = n, true
		case equalFold(name, "transfer-encoding"):
			if h.chunked || !equalFold(value, "chunked") {
				return errFraming
			}
			h.chunked = true
		}
	}
}

func (h *h1Head) connection(value []byte) {
	for len(value) > 0 {
		var token []byte
		token, value, _ = bytes.Cut(value, []byte(","))
		switch token = trim(token); {
		case equalFold(token, "close"):
			h.close = true
		case equalFold(token, "keep-alive"):
			h.keepAlive = true
		}
	}
}

// field splits a header line and checks it byte by byte. A line that continues the one before is refused.
func field(l []byte) (name, value []byte, err error) {
	for i, c := range l {
		if c == ':' && i > 0 {
			if value = l[i+1:]; !isText(value) {
				return nil, nil, errSyntax
			}
			return l[:i], trim(value), nil
		}
		if !isToken[c] {
			return nil, nil, errSyntax
		}
	}
	return nil, nil, errSyntax
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

//nolint:gochecknoglobals // tables that never change
var (
	isToken = byteTable(func(c byte) bool {
		return c >= '0' && c <= '9' || lower(c) >= 'a' && lower(c) <= 'z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
	})
	textByte = byteTable(func(c byte) bool { return c >= ' ' && c != 0x7f || c == '\t' })
)

func byteTable(in func(byte) bool) (t [256]bool) {
	for c := range t {
		t[c] = in(byte(c))
	}
	return t
}

func isText(b []byte) bool {
	for _, c := range b {
		if !textByte[c] {
			return false
		}
	}
	return true
}

// parseLength reads digits and nothing else: neither a sign nor a list.
func parseLength(b []byte) (n uint64, ok bool) {
	n, err := strconv.ParseUint(string(b), 10, 63)
	return n, err == nil && len(b) <= 18
}

// chunks reads a chunked body and its trailer, and passes over chunk extensions of no more than a little.
func (p *h1Reader) chunks(start int) error {
	excess := 0 // bytes of framing beyond what an honest sender of small chunks needs
	for {
		l, err := p.line(maxChunkLine)
		if err != nil {
			return err
		}
		if excess = max(0, excess+len(l)+2-16); excess > 8<<10 {
			return errTooLarge
		}
		n, err := chunkSize(l)
		if err != nil {
			return err
		}
		if n == 0 {
			return p.trailer()
		}
		if err := p.body(start, n); err != nil {
			return err
		}
		if l, err = p.line(2); err != nil {
			return err
		}
		if len(l) != 0 {
			return errSyntax
		}
	}
}

// chunkSize reads hexadecimal digits, then space or an extension.
func chunkSize(l []byte) (n uint64, err error) {
	if !isText(l) {
		return 0, errSyntax
	}
	digits, _, extended := bytes.Cut(l, []byte(";"))
	if !extended {
		digits = bytes.TrimRight(digits, " \t")
	}
	if n, err = strconv.ParseUint(string(digits), 16, 63); err != nil || len(digits) > 15 {
		return 0, errSyntax
	}
	return n, nil
}

// trailer passes over the fields after the last chunk.
func (p *h1Reader) trailer() error {
	for left := maxTrailer; ; {
		l, err := p.line(left)
		if err != nil || len(l) == 0 {
			return err
		}
		if _, _, err := field(l); err != nil {
			return err
		}
		left -= len(l) + 2
	}
}

// untilEOF reads a body that the end of the connection ends.
func (p *h1Reader) untilEOF(start int) error {
	for {
		if n := p.write - p.read; n > 0 {
			if err := p.body(start, uint64(n)); err != nil {
				return err
			}
		}
		if err := p.more(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}
