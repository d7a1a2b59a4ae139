package export

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/splitbench/splitbench/attack"
)

// Answer is one result of another load test, as its file has it.
type Answer struct {
	Result attack.Result
	At     time.Time   // wall clock of the sending
	URL    string      // that was asked for
	Header http.Header // of the answer; nil where the file has none
	Body   []byte      // of the answer; empty where the file has none
}

// The errors of ReadVegeta.
var (
	ErrForeign = errors.New("no whole result of vegeta in it: want a file of vegeta 12, as gob, CSV or JSON")
	ErrDamaged = errors.New("cut short or damaged")
)

// Bounds of what is believed of a file.
const (
	maxResult = 64 << 20             // bytes of one result
	maxSpan   = 365 * 24 * time.Hour // of one latency, and from the first result to any other
)

// ReadVegeta yields the results of a file that vegeta wrote, in the order of the file, which is that in which answers
// came.
//
// Instants count from the sending of the file's first result; what was sent before it has a negative one. A file does
// not say when a request was planned: Planned is Sent, and times taken from it are service times. Nor does it say which
// connection was used. A request without a complete answer has code 0 in the file and ErrOther here. Backend is
// Unattributed: who answered is for a classifier to say, of requests without an error.
//
// The first error is the last: ErrForeign before any result, ErrDamaged with the number of whole results, or r's own. A
// gob file that was cut exactly between two results cannot be told from a whole one.
func ReadVegeta(r io.Reader) iter.Seq2[Answer, error] {
	return func(yield func(Answer, error) bool) {
		d, err := sniff(&source{r: r})
		if err != nil {
			yield(Answer{}, err)
			return
		}
		var n uint64
		for {
			v, err := d.next(n)
			if errors.Is(err, io.EOF) {
				return
			}
			var a Answer
			if err == nil {
				a, err = d.answer(v)
			}
			if err != nil && d.in.err != nil {
				yield(Answer{}, fmt.Errorf("after %d whole results: %w", n, err))
				return
			}
			if err != nil && strings.Contains(err.Error(), "gob: duplicate type") { // the library has no value for it
				yield(Answer{}, fmt.Errorf("%d whole results, then another gob file: two of them cannot be joined; judge each by "+
					"itself, or join them as JSON (vegeta encode)", n))
				return
			}
			if err != nil {
				yield(Answer{}, fmt.Errorf("%d whole results, then %w: %w", n, ErrDamaged, err))
				return
			}
			n++
			if !yield(a, nil) {
				return
			}
		}
	}
}

// codec is one of vegeta's, with what its decoder does not notice at the end of a file.
type codec struct {
	decoder vegeta.DecoderFactory
	lines   bool // each result ends a line, and no other line ends
	text    bool // the last result ends a line
}

func codecs() []codec {
	return []codec{
		{decoder: vegeta.NewDecoder},
		{decoder: vegeta.NewJSONDecoder, lines: true, text: true},
		{decoder: vegeta.NewCSVDecoder, text: true},
	}
}

// resultFile is a file being read. It is one result ahead, because only the end of the file shows whether the last one
// is whole.
type resultFile struct {
	codec
	in     *source
	decode vegeta.Decoder
	ahead  *vegeta.Result
	err    error // what came in place of ahead
	first  time.Time
}

// sniff finds the encoding, as vegeta does, but also that it is one: vegeta takes any line of JSON for a result.
func sniff(in *source) (*resultFile, error) {
	var head bytes.Buffer
	in.allow() // once: what is no result is not read further and further
	for _, e := range codecs() {
		v := emptyResult()
		again := io.MultiReader(bytes.NewReader(head.Bytes()), io.TeeReader(in, &head))
		if err := e.decoder(again).Decode(v); err != nil || untimed(v) {
			continue
		}
		d := &resultFile{codec: e, in: in, decode: e.decoder(io.MultiReader(&head, in)), first: v.Timestamp}
		d.advance()
		return d, nil
	}
	if in.err != nil {
		return nil, in.err
	}
	if why := foreign(head.Bytes()); why != "" {
		return nil, fmt.Errorf("%w; %s", ErrForeign, why)
	}
	return nil, ErrForeign
}

// foreign says what a file is that begins so, and what to do with it; empty where it is not known.
func foreign(head []byte) string {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	first, _, _ := bytes.Cut(line, []byte(","))
	switch {
	case len(head) == 0:
		return "it is empty"
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return "it is gzipped: unpack it first, with gunzip"
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		return "it begins with a byte order mark: take those three bytes away, with tail -c +4"
	case bytes.HasPrefix(bytes.TrimSpace(head), []byte("[")):
		return "it is an array: write one result a line, with jq -c '.[]'"
	case bytes.HasPrefix(line, []byte("{")) && bytes.Contains(line, []byte(`"latencies"`)):
		return "it is a summary (vegeta report): the results themselves are needed, as vegeta attack writes them"
	case bytes.ContainsRune(line, ',') && len(first) > 0 && len(bytes.Trim(first, "_abcdefghijklmnopqrstuvwxyz")) == 0:
		return "line 1 is a header: take it away, with tail -n +2"
	}
	return ""
}

// emptyResult is one to decode into. It has headers, because gob makes room for as many as a file says that there are
// where it must make the map itself.
func emptyResult() *vegeta.Result { return &vegeta.Result{Headers: http.Header{}} }

// untimed reports a result that vegeta did not write: it always says when, in a year that can be written.
func untimed(v *vegeta.Result) bool {
	return v.Timestamp.Unix() <= 0 || v.Timestamp.UTC().Year() > 9998
}

func (d *resultFile) advance() {
	d.in.allow()
	v := emptyResult() // a new one each time: gob leaves alone what is zero in the file
	err := d.decode(v)
	switch {
	case d.in.err != nil:
		err = d.in.err
	case errors.Is(err, io.EOF) && !v.Timestamp.IsZero():
		err = io.ErrUnexpectedEOF // of something inside the result: vegeta's CSV decoder passes the end of headers on
	}
	d.ahead, d.err = v, err
}

// next is the next whole result, io.EOF after the last one of a whole file. n results came before it.
func (d *resultFile) next(n uint64) (*vegeta.Result, error) {
	if d.err != nil {
		return nil, d.atEnd(n)
	}
	v := d.ahead
	d.advance()
	if errors.Is(d.err, io.EOF) && d.text && !d.lines && d.in.last != '\n' {
		return nil, errors.New("its last line has no end")
	}
	return v, nil
}

// atEnd is io.EOF where the file is known to be whole. JSON's decoder takes a line that breaks off for the end of the
// file.
func (d *resultFile) atEnd(n uint64) error {
	switch {
	case !errors.Is(d.err, io.EOF):
		return d.err
	case d.text && d.in.last != '\n':
		return errors.New("its last line has no end")
	case d.lines && d.in.lines != n:
		return fmt.Errorf("line %d is no result", n+1)
	}
	return io.EOF
}

// answer believes of a result what can be true.
func (d *resultFile) answer(v *vegeta.Result) (Answer, error) {
	sent := v.Timestamp.Sub(d.first)
	switch {
	case untimed(v):
		return Answer{}, errors.New("a result without a time")
	case v.Latency < 0 || v.Latency > maxSpan:
		return Answer{}, fmt.Errorf("a result with a latency of %s", v.Latency)
	case sent < -maxSpan || sent > maxSpan:
		return Answer{}, fmt.Errorf("a result of %s, more than a year from the first", v.Timestamp.UTC().Format(time.RFC3339))
	}
	a := Answer{
		At: v.Timestamp.UTC(), URL: v.URL, Header: v.Headers, Body: v.Body,
		Result: attack.Result{
			Seq: v.Seq, Planned: sent, Sent: sent, Done: sent + v.Latency,
			Conn: attack.UnknownConn, Backend: attack.Unattributed, Status: v.Code,
		},
	}
	if v.Code == 0 {
		a.Result.Err = attack.ErrOther
	}
	return a, nil
}

// source is the file, with what the decoders read ahead of their results cannot tell: how it ends. It gives up a result
// that does not end, which decoders would keep in memory whole.
type source struct {
	r     io.Reader
	left  int64  // bytes that may still be read for the next result
	lines uint64 // line ends read
	last  byte   // read
	err   error  // first error that is not the end
}

func (s *source) allow() { s.left = maxResult }

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.left <= 0 {
		return 0, fmt.Errorf("a result of more than %d MiB", maxResult>>20)
	}
	n, err := s.r.Read(p[:min(int64(len(p)), s.left)])
	if n > 0 {
		s.left -= int64(n)
		s.lines += uint64(bytes.Count(p[:n], []byte{'\n'}))
		s.last = p[n-1]
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}
