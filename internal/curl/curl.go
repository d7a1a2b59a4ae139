// Package curl is the generator of last resort: it drives the curl or wget that a container's image has, where no agent
// can be put. Requests go one after the other, few in a second, so its counts are as good as the agent's and its times
// are not: it is for correctness only, and refuses plans that want more.
//
// It trusts nothing that comes back, and no text of others ever becomes part of a shell's. What is requested goes to
// stdin and not into arguments, which end up in audit logs; wget, which has headers in its arguments, is given none
// that may be secret. The end of an answer is told by a line that begins with random digits, which no server can guess.
// It writes the frames that the agent would have sent, so that a run is stored and read the same way.
package curl

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
)

// Ceilings of what is sent this way.
const (
	MaxRate     = 100    // requests per second
	MaxRequests = 20_000 // of one burst
)

// Execer runs a command in the pod. A nil error says that the stream ended, not that it is whole.
type Execer interface {
	Exec(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) error
}

// Options is what a Client takes from its surroundings.
type Options struct {
	Progress func(wire.Progress)                 // called now and then during a burst; may be nil
	Verified func(t wire.Type, raw []byte) error // called with HELLO and every frame of a burst; may be nil
	Random   io.Reader                           // of the digits that end an answer; nil: crypto/rand
}

// The programs.
const (
	toolCurl    = "curl"
	toolWget    = "wget" // GNU's
	toolBusybox = "busybox wget"
)

// Client drives one container's program. Its methods are called one at a time.
type Client struct {
	x       Execer
	o       Options
	tool    string
	version string
	mark    string // begins the line that ends an answer
	hello   wire.HelloMessage
	frames  *wire.Writer
	buf     bytes.Buffer
	opened  bool
}

// NoToolError says that the container has neither program.
type NoToolError struct{ Curl, Wget error }

func (e *NoToolError) Error() string {
	return fmt.Sprintf("no curl and no wget in the container (curl: %v; wget: %v)", e.Curl, e.Wget)
}

// Unwrap returns both causes.
func (e *NoToolError) Unwrap() []error { return []error{e.Curl, e.Wget} }

// Open looks for curl, then wget.
func Open(ctx context.Context, x Execer, o Options) (*Client, error) {
	if o.Random == nil {
		o.Random = rand.Reader
	}
	c := &Client{x: x, o: o}
	c.frames = wire.NewWriter(&c.buf)
	var digits [16]byte
	if _, err := io.ReadFull(o.Random, digits[:]); err != nil {
		return nil, fmt.Errorf("use curl: %w", err)
	}
	c.mark = hex.EncodeToString(digits[:])
	curlErr := c.find(ctx, toolCurl, []string{"curl", "--version"}, "curl ")
	if curlErr != nil {
		wgetErr := c.find(ctx, toolWget, []string{"wget", "--version"}, "GNU Wget ")
		if wgetErr != nil {
			wgetErr = c.find(ctx, toolBusybox, []string{"sh", "-c", "wget --help 2>&1; true"}, "BusyBox ")
		}
		if wgetErr != nil {
			return nil, &NoToolError{curlErr, wgetErr}
		}
	}
	c.hello = wire.HelloMessage{Protocol: wire.Version, Version: c.version, UID: c.user(ctx), GID: -1}
	b, err := json.Marshal(c.hello)
	if err != nil {
		return nil, fmt.Errorf("use %s: %w", c.tool, err)
	}
	if err := c.frame(wire.Hello, b); err != nil {
		return nil, err
	}
	return c, nil
}

// find runs a program and takes the first line of what it says of itself, which must begin as it should.
func (c *Client) find(ctx context.Context, tool string, argv []string, prefix string) error {
	out, err := c.output(ctx, argv)
	line, _, _ := strings.Cut(out, "\n")
	switch {
	case err != nil:
		return err
	case !strings.HasPrefix(line, prefix):
		return fmt.Errorf("%s says %.60q", strings.Join(argv[:1], " "), line)
	}
	c.tool, c.version = tool, first(line, 60)
	return nil
}

// user is the number of the user that commands run as, -1 where nobody says.
func (c *Client) user(ctx context.Context) int {
	out, err := c.output(ctx, []string{"id", "-u"})
	n, convErr := strconv.Atoi(strings.TrimSpace(out))
	if err != nil || convErr != nil {
		return -1
	}
	return n
}

// maxOutput bounds what is kept of a small command's output, in bytes.
const maxOutput = 4096

func (c *Client) output(ctx context.Context, argv []string) (string, error) {
	var out limited
	err := c.x.Exec(ctx, argv, strings.NewReader(""), &out, io.Discard)
	return out.String(), err
}

// limited keeps the first bytes and takes the rest.
type limited struct{ kept []byte }

func (l *limited) Write(p []byte) (int, error) {
	l.kept = append(l.kept, p[:min(len(p), maxOutput-len(l.kept))]...)
	return len(p), nil
}

func (l *limited) String() string { return string(l.kept) }

// Hello is what is known of the far end: the program's own words in Version, its user, and nothing of the platform.
func (c *Client) Hello() wire.HelloMessage { return c.hello }

// Close does nothing: between two bursts nothing runs in the pod.
func (c *Client) Close() error { return nil }

// frame hands on a frame as the agent would have sent it.
func (c *Client) frame(t wire.Type, payload []byte) error {
	if c.o.Verified == nil {
		return nil
	}
	c.buf.Reset()
	if err := c.frames.Write(t, payload); err != nil {
		return err
	}
	raw := c.buf.Bytes()
	if !c.opened {
		raw = raw[len(wire.Opening()):]
		c.opened = true
	}
	return c.o.Verified(t, raw)
}

// Check says why a plan cannot be sent this way.
func Check(p attack.Plan) error {
	p = p.WithDefaults()
	switch {
	case p.Shape != nil:
		return errors.New("curl: only a constant rate is sent this way")
	case p.Rate.PerSecond() > MaxRate:
		return fmt.Errorf("curl: %g requests a second: this way sends at most %d, one after the other; lower --rate",
			p.Rate.PerSecond(), MaxRate)
	case p.Requests > MaxRequests:
		return fmt.Errorf("curl: %d requests: this way sends at most %d; lower --requests", p.Requests, MaxRequests)
	}
	if err := checkSending(p); err != nil {
		return err
	}
	return checkRequest(p)
}

// checkRequest says why one request of a plan cannot be sent this way.
func checkRequest(p attack.Plan) error {
	switch {
	case p.Protocol != "" && p.Protocol != attack.ProtocolHTTP1:
		return fmt.Errorf("curl: protocol %s: HTTP/1.1 alone is sent this way", p.Protocol)
	case p.Method != "GET":
		return fmt.Errorf("curl: method %q: only GET is sent this way", p.Method)
	case len(p.ConnectTo) > 0:
		return errors.New("curl: connections cannot be moved to another address this way")
	case p.TLS != nil:
		return errors.New("curl: no settings of TLS can be handed on this way")
	}
	for k, v := range p.Header {
		if strings.HasPrefix(k, "@") || strings.ContainsAny(k+v, "\r\n\x00") {
			return fmt.Errorf("curl: header %q cannot be sent this way", k)
		}
	}
	return nil
}

// checkSending refuses what the agent's engines can do and a program of the image cannot, rather than leave it out.
func checkSending(p attack.Plan) error {
	switch r := p.Reuse; {
	case p.Engine != "":
		return fmt.Errorf("curl: engine %q: is not in the image; leave --engine out", p.Engine)
	case p.Limits != nil:
		return errors.New("curl: limits are not kept this way; leave --max-errors, --max-time and their like out")
	case p.Saturation != "" && p.Saturation != attack.SaturationQueue:
		return fmt.Errorf("curl: saturation %s: requests wait for one another this way", p.Saturation)
	case r != nil && r.MaxAge > 0:
		return errors.New("curl: connections have no age this way; leave --connection-age out")
	case r != nil && r.MinRequests != r.MaxRequests:
		return errors.New("curl: connections carry one number of requests this way, not a range; " +
			"give --requests-per-connection N")
	}
	return nil
}

func first(s string, n int) string { return s[:min(len(s), n)] }

// order is what one run of the program is to fetch: one URL so many times, one after the other.
type order struct {
	url     string
	header  map[string]string
	times   int
	timeout time.Duration
	include bool // answers come with their headers
	perConn int  // requests that a connection carries; 0: any number
}

// command is the program's arguments and its stdin.
func (c *Client) command(o order) ([]string, io.Reader) {
	if c.tool == toolCurl {
		return []string{"curl", "-q", "--config", "-"}, strings.NewReader(c.config(o)) // -q comes first: no ~/.curlrc
	}
	limit := strconv.Itoa(max(1, int(o.timeout.Round(time.Second)/time.Second)))
	argv := []string{"sh", "-c", wgetScript, "splitbench", c.mark, limit, strconv.Itoa(o.times)}
	if c.tool == toolWget { // it would try again, and go where it is sent
		argv = append(argv, "--tries=1", "--max-redirect=0")
	}
	for k, v := range o.header {
		argv = append(argv, "--header", k+": "+v)
	}
	return argv, strings.NewReader(o.url + "\n")
}

// checkHeader refuses headers whose values others would see. An agent or curl would have them to itself.
func (c *Client) checkHeader(header map[string]string) error {
	for k := range header {
		if c.tool != toolCurl && !untrusted.PublicHeader(k) {
			return fmt.Errorf("curl: header %q: the image's wget takes headers as arguments, which audit logs show; "+
				"leave it out, or use an image with curl, such as by --via ephemeral", k)
		}
	}
	return nil
}

// config is curl's configuration: a block for each connection, in which the last request asks for its end.
func (c *Client) config(o order) string {
	if o.perConn == 0 {
		return c.block(o, o.times, false)
	}
	var blocks []string
	for left := o.times; left > 0; left -= o.perConn {
		if n := min(left, o.perConn); n > 1 {
			blocks = append(blocks, c.block(o, n-1, false))
		}
		blocks = append(blocks, c.block(o, 1, true))
	}
	return strings.Join(blocks, "next\n")
}

func (c *Client) block(o order, times int, last bool) string {
	var b strings.Builder
	// A proxy of the container's environment, globs in the URL and another user's ~/.netrc would change what is requested.
	b.WriteString("silent\ngloboff\nhttp1.1\npath-as-is\nnoproxy = \"*\"\nproto = \"=http,https\"\n")
	fmt.Fprintf(&b, "max-time = %.3f\n", o.timeout.Seconds())
	if o.include {
		b.WriteString("include\n")
	}
	if last {
		b.WriteString("header = \"Connection: close\"\n")
	}
	for k, v := range o.header {
		field := k + ": " + v
		if v == "" {
			field = k + ";"
		}
		fmt.Fprintf(&b, "header = %s\n", quote(field))
	}
	fmt.Fprintf(&b, "write-out = \"\\n%s %%{http_code} %%{time_total} %%{time_starttransfer} %%{num_connects} "+
		"%%{exitcode}\\n\"\n", c.mark)
	for range times {
		fmt.Fprintf(&b, "url = %s\n", quote(o.url))
	}
	return b.String()
}

// quote writes a value as curl's configuration reads it back: in double quotes, with these escapes and no others.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\t", `\t`, "\n", `\n`, "\r", `\r`, "\v", `\v`).Replace(s) + `"`
}

// wgetScript is a constant: what differs comes as arguments, which a shell does not interpret, and a URL on stdin. $1:
// the line that ends an answer; $2: seconds of one request; $3: how many; then arguments of wget. The body goes to
// stdout, then the line with the exit code and the first line of what wget said.
const wgetScript = `
mark=$1 limit=$2 left=$3
shift 3
IFS= read -r url
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
unset WGETRC
export HOME=/dev/null
exec 3>&1
while [ "$left" -gt 0 ]; do
	why=$(wget -q -O - -T "$limit" "$@" "$url" 2>&1 >&3)
	code=$?
	printf '\n%s %s %s\n' "$mark" "$code" "${why%%
*}"
	left=$((left - 1))
done
`
