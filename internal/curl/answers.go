package curl

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/splitbench/splitbench/attack"
)

// answer is how one request ended.
type answer struct {
	header    http.Header // nil where headers were not asked for
	body      []byte      // its first bytes
	truncated bool        // there were more
	status    uint16      // 0: none
	class     attack.ErrorClass
	total     time.Duration // of the request; 0: not known
	first     time.Duration // to the first byte
	dialled   bool
}

// errShort says that the program ended before it had answered for all that it was asked.
var errShort = errors.New("the program's output ended early")

// run carries out an order and hands each answer on as it comes, until f says that it is enough.
func (c *Client) run(ctx context.Context, o order, keep int, f func(answer) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	argv, stdin := c.command(o)
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := c.x.Exec(ctx, argv, stdin, w, io.Discard)
		w.Close()
		ended <- err
	}()
	n := 0
	scan := scanner{r: bufio.NewReaderSize(r, lineBuffer), mark: c.mark, keep: keep}
	var err error
	for n < o.times {
		var body []byte
		var words string
		if body, words, err = scan.next(); err != nil {
			break
		}
		n++
		a := c.read(words)
		a.body, a.truncated = body, scan.truncated
		if o.include && a.status != 0 {
			if err = a.split(); err != nil {
				a.status, a.class = 0, attack.ErrProtocol
			}
		}
		if !f(a) {
			break
		}
	}
	r.CloseWithError(io.ErrClosedPipe)
	cancel() // nothing more is wanted
	execErr := <-ended
	switch {
	case n == o.times:
		return nil // that the program ended with the code of its last failed request is no news
	case err == nil:
		return context.Canceled
	case execErr != nil && !errors.Is(execErr, context.Canceled):
		return fmt.Errorf("%w: %w", errShort, execErr)
	}
	return errShort
}

// lineBuffer bounds a line that is looked at in one piece, in bytes.
const lineBuffer = 4096

// scanner takes the program's output apart.
type scanner struct {
	r         *bufio.Reader
	mark      string
	keep      int // bytes of a body
	truncated bool
}

// next is the next answer's body, which is valid until the next call, and the words of the line that ends it.
func (s *scanner) next() (body []byte, words string, err error) {
	atStart := true
	total := 0
	for {
		line, err := s.r.ReadSlice('\n')
		if atStart && bytes.HasPrefix(line, []byte(s.mark+" ")) && err == nil {
			s.truncated = total-1 > s.keep // the line's own line feed is no part of the body
			if !s.truncated && len(body) > 0 {
				body = body[:total-1]
			}
			return body[:min(len(body), s.keep)], string(line[len(s.mark)+1 : len(line)-1]), nil
		}
		total += len(line)
		body = append(body, line[:min(len(line), max(0, s.keep+1-len(body)))]...)
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, "", errShort
		}
		atStart = err == nil
	}
}

// read understands the words that end an answer.
func (c *Client) read(words string) answer {
	if c.tool != toolCurl {
		return readWget(words)
	}
	var a answer
	f := strings.Fields(words)
	if len(f) < 5 {
		a.class = attack.ErrOther
		return a
	}
	status, err1 := strconv.ParseUint(f[0], 10, 16)
	total, err2 := strconv.ParseFloat(f[1], 64)
	start, err3 := strconv.ParseFloat(f[2], 64)
	code, err4 := strconv.Atoi(f[4])
	if errors.Join(err1, err2, err3) != nil {
		a.class = attack.ErrOther
		return a
	}
	a.status, a.total, a.first, a.dialled = uint16(status), seconds(total), seconds(start), f[3] != "0"
	switch {
	case err4 != nil && status == 0: // curl before 7.75 has no code of each request
		a.class = attack.ErrOther
	case err4 == nil:
		a.class = curlClass(code)
	}
	if a.class != attack.OK {
		a.status = 0
	}
	return a
}

func seconds(s float64) time.Duration {
	const most = 1e6
	if !(s >= 0 && s < most) {
		return 0
	}
	return time.Duration(s * float64(time.Second))
}

// curlClass understands curl's exit codes (https://curl.se/docs/manpage.html, "Exit codes").
func curlClass(code int) attack.ErrorClass {
	switch code {
	case 0:
		return attack.OK
	case 5, 6, 7:
		return attack.ErrDial
	case 28:
		return attack.ErrTimeout
	case 35, 51, 58, 60:
		return attack.ErrTLS
	case 52:
		return attack.ErrEmpty
	case 55, 56:
		return attack.ErrReset
	case 1, 8, 18, 61, 92:
		return attack.ErrProtocol
	}
	return attack.ErrOther
}

// readWget understands wget's exit code and its words; busybox's has code 1 for everything.
func readWget(words string) answer {
	code, why, _ := strings.Cut(words, " ")
	if code == "0" {
		return answer{status: http.StatusOK, dialled: true} // of 200 to 299 it does not say which
	}
	if _, rest, ok := strings.Cut(why, "HTTP/1."); ok { // busybox: server returned error: HTTP/1.1 503 Service Unavailable
		if f := strings.Fields(rest); len(f) > 1 {
			if status, err := strconv.ParseUint(f[1], 10, 16); err == nil && status >= 100 && status < 1000 {
				return answer{status: uint16(status), dialled: true}
			}
		}
	}
	a := answer{class: attack.ErrOther, dialled: true}
	switch lower := strings.ToLower(why); {
	case code == "8": // GNU: the server answered with an error, it does not say which
		a.class, a.status = attack.OK, http.StatusInternalServerError
	case code == "4", strings.Contains(lower, "refused"), strings.Contains(lower, "bad address"),
		strings.Contains(lower, "can't connect"):
		a.class = attack.ErrDial
	case strings.Contains(lower, "timed out"):
		a.class = attack.ErrTimeout
	case strings.Contains(lower, "reset"):
		a.class = attack.ErrReset
	case code == "5":
		a.class = attack.ErrTLS
	case strings.Contains(lower, "error getting response"):
		a.class = attack.ErrEmpty
	}
	return a
}

// split takes the headers off the body. Interim responses come before.
func (a *answer) split() error {
	for {
		r := bufio.NewReader(bytes.NewReader(a.body))
		tp := textproto.NewReader(r)
		line, err := tp.ReadLine()
		if err != nil || !strings.HasPrefix(line, "HTTP/") {
			return errors.New("no status line")
		}
		h, err := tp.ReadMIMEHeader()
		if err != nil {
			return err
		}
		rest, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		a.header, a.body = http.Header(h), rest
		if f := strings.Fields(line); len(f) < 2 || !strings.HasPrefix(f[1], "1") {
			return nil
		}
	}
}
