package curl

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

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
	argv := []string{"sh", "-c", wgetScript, "splitbench", c.mark, o.url, limit, strconv.Itoa(o.times)}
	if c.tool == toolWget { // it would try again, and go where it is sent
		argv = append(argv, "--tries=1", "--max-redirect=0")
	}
	for k, v := range o.header {
		argv = append(argv, "--header", k+": "+v)
	}
	return argv, strings.NewReader("")
}

// config is curl's configuration: a block for each connection, in which the last request asks for its end. What is
// quoted has no meaning but itself.
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

// wgetScript is a constant: what differs comes as arguments, which a shell does not interpret. $1: the line that ends
// an answer; $2: the URL; $3: seconds of one request; $4: how many; then arguments of wget. The body goes to stdout,
// then the line with the exit code and the first line of what wget said.
const wgetScript = `
mark=$1 url=$2 limit=$3 left=$4
shift 4
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
