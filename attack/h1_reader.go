package attack

import (
	"bytes"
	"errors"
	"io"
	"sync/atomic"
	"time"
)

// Bounds of one answer. Beyond them it is ErrProtocol: what has no end must not cost memory.
const (
	minBuffer    = 4 << 10
	maxBuffer    = maxHeaderBytes + maxBody + 32<<10
	maxChunkLine = 256
	maxTrailer   = 4 << 10
)

var (
	errFraming  = errors.New("ambiguous framing")
	errSyntax   = errors.New("not an HTTP/1.1 response")
	errTooLarge = errors.New("header or chunk line too large")
	errCut      = errors.New("response is cut short")
)

// h1Reader reads a connection into one buffer, in which an answer is parsed and its body gathered in place. While an
// answer is read, buf[:floor] is kept as it is, buf[read:write] has come and is not used yet, and what lies between may
// be written over.
type h1Reader struct {
	src         io.Reader
	epoch       time.Time     // origin of first and last
	count       *atomic.Int64 // of all bytes that came; may be nil
	buf         []byte
	read, write int
	floor       int
	first, last time.Duration // when the first and the latest byte of the answer were read
	since       time.Duration // for how long the latest had been there then
	known       bool          // since is the kernel's
}

// begin makes room for the next answer. What is left over from the last one is dropped: see spare.
func (p *h1Reader) begin() {
	p.read, p.write, p.floor, p.first, p.since, p.known = 0, 0, 0, 0, 0, false
}

// spare is how many bytes have come beyond the end of the answer.
func (p *h1Reader) spare() int { return p.write - p.read }

// more waits for at least one more byte. It may move the bytes above floor.
func (p *h1Reader) more() error {
	if p.read == p.write {
		p.read, p.write = p.floor, p.floor
	}
	if p.write == len(p.buf) && p.read > p.floor {
		p.write = p.floor + copy(p.buf[p.floor:], p.buf[p.read:p.write])
		p.read = p.floor
	}
	if free := len(p.buf) - p.write; free < len(p.buf)/4 || free == 0 {
		if !p.grow() && free == 0 {
			return errTooLarge
		}
	}
	for range 100 {
		n, err := p.src.Read(p.buf[p.write:])
		if n > 0 {
			now := time.Now()
			p.last = now.Sub(p.epoch)
			if src, ok := p.src.(punctual); ok {
				p.since, p.known = src.late(now)
			}
			if p.first == 0 {
				p.first = p.last
			}
			p.write += n
			if p.count != nil {
				p.count.Add(int64(n))
			}
			return nil // an error along with bytes comes again
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

func (p *h1Reader) grow() bool {
	size := min(max(2*len(p.buf), minBuffer), maxBuffer)
	if size == len(p.buf) {
		return false
	}
	bigger := make([]byte, size)
	copy(bigger, p.buf[:p.write])
	p.buf = bigger
	return true
}

// line returns the next line without its CRLF, valid until more bytes are read. A bare LF or CR is refused: programs
// that take it for an end of line and programs that do not see different answers in one stream.
func (p *h1Reader) line(limit int) ([]byte, error) {
	l, err := p.toLF(limit)
	if err == nil && !bytes.HasSuffix(l, []byte("\r")) {
		return nil, errSyntax
	}
	return bytes.TrimSuffix(l, []byte("\r")), err
}

// toLF returns what comes before the next LF, valid until more bytes are read.
func (p *h1Reader) toLF(limit int) ([]byte, error) {
	for seen := 0; ; {
		rest := p.buf[p.read:p.write]
		if i := bytes.IndexByte(rest[seen:], '\n'); i >= 0 {
			end := seen + i
			p.read += end + 1
			if end+1 > limit {
				return nil, errSyntax
			}
			return rest[:end], nil
		}
		if seen = len(rest); seen > limit {
			return nil, errTooLarge
		}
		if err := p.more(); err != nil {
			return nil, cut(err)
		}
	}
}

// cut turns an end of the stream in the middle of an answer into what it means.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return errCut
	}
	return err
}

// body reads n bytes of a body and keeps of them what the limit of the kept body, counted from start, allows. Kept
// bytes end at floor.
func (p *h1Reader) body(start int, n uint64) error {
	for n > 0 {
		if p.read == p.write {
			if err := p.more(); err != nil {
				return cut(err)
			}
		}
		k := int(min(uint64(p.write-p.read), n))
		if keep := min(k, maxBody-(p.floor-start)); keep > 0 {
			if p.floor != p.read {
				copy(p.buf[p.floor:], p.buf[p.read:p.read+keep])
			}
			p.floor += keep
		}
		p.read += k
		n -= uint64(k)
	}
	return nil
}
