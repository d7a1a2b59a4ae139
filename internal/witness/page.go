package witness

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/splitbench/splitbench/internal/law"
)

// Count is one counter of a page; known is false where the page does not have it.
type Count struct {
	N     int64
	Known bool
}

func (c *Count) add(n int64) {
	c.Known = true
	if n > 0 && c.N > math.MaxInt64-n {
		c.N = math.MaxInt64
		return
	}
	c.N += n
}

// Counts are counters of the leaves, in the target's order, and of what the root drew besides.
type Counts struct {
	Leaves []Count
	Other  Count // draws for backends that the split does not have
}

func newCounts(leaves int) Counts { return Counts{Leaves: make([]Count, leaves)} }

// known reports whether the page has any of the counters.
func (c Counts) known() bool {
	return c.Other.Known || slices.ContainsFunc(c.Leaves, func(l Count) bool { return l.Known })
}

func (c *Counts) add(leaf int, n int64) {
	if leaf < 0 {
		c.Other.add(n)
		return
	}
	c.Leaves[leaf].add(n)
}

// Page is what one reading of a proxy says of one split.
type Page struct {
	Kind Kind

	Queue   Counts  // requests that were handed to each leaf's balancer, per draw; with Envoy what its clusters took in
	Route   Counts  // requests by backend of the HTTPRoute or GRPCRoute in force
	Legacy  Counts  // requests sent to endpoints of each leaf, whoever they were for
	Streams Counts  // connections handed to each leaf's balancer, per draw
	Direct  []Count // requests and connections to each leaf's own Service, which are no draws
	Own     []Count // requests to each leaf's own Service by the path of a profile, as old proxies have them
	Replies Counts  // answers by each leaf's cluster; Envoy's only, and only where it looks into connections

	GateShut Counts  // times that a leaf's balancer stopped taking requests, because it had no ready endpoint
	InFail   []bool  // of each leaf: it does not take requests now
	Ready    []Count // ready endpoints of each leaf, as the proxy sees them
	Retries  Count   // requests that were drawn again

	Mirrored map[security]Count // requests to the Services that mirrors lead to

	Paths       map[law.Path]Count // requests for the root by the kind of object whose rules they took
	StreamPaths map[law.Path]Count // the same of connections that the proxy did not look into

	Started float64 // when the proxy was started, Unix seconds; 0: unknown
	Uptime  Count   // seconds; Envoy's is renewed every few seconds only
	Modern  bool    // the proxy counts what it hands to its balancers, by what was dialled
	Samples int     // lines that said something of the target or of the proxy
	Skipped int     // lines that could not be read
	Unclear int     // samples that may be of the root and lack the labels which tell
	Doubled int     // series that the page has more than once: taken once
}

// ErrNoCounters says that a page has nothing of the target.
var ErrNoCounters = errors.New("the page has no counter of this split")

// Parse reads one page, in memory that does not grow with it. Lines that it does not know are passed over, and lines
// that it cannot read are counted. Errors: those of r, ErrTooLong, and a page that is no page of metrics at all.
func Parse(r io.Reader, k Kind, t Target) (Page, error) {
	n := len(t.Leaves)
	p := Page{
		Kind: k, Queue: newCounts(n), Route: newCounts(n), Legacy: newCounts(n), Streams: newCounts(n),
		Replies: newCounts(n), GateShut: newCounts(n),
		InFail: make([]bool, n), Ready: make([]Count, n), Paths: map[law.Path]Count{}, StreamPaths: map[law.Path]Count{},
		Direct: make([]Count, n), Own: make([]Count, n), Mirrored: map[security]Count{},
	}
	s := newScanner(r)
	read := p.linkerdLine
	if k == Envoy {
		read = p.envoyLine
	}
	lines := 0
	for {
		line, err := s.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return p, fmt.Errorf("read the proxy's counters: %w", err)
		}
		lines++
		if line[0] == '#' {
			continue
		}
		used, err := read(s, line, t)
		switch {
		case err != nil:
			s.skipped++
		case used:
			p.Samples++
		}
	}
	p.Skipped = s.skipped
	if p.Samples == 0 && s.skipped > 0 && s.skipped == lines {
		return p, errors.New("read the proxy's counters: none of its lines is a sample of metrics")
	}
	return p, nil
}

func (p *Page) path(which law.Path, n int64) { addTo(p.Paths, which, n) }

func addTo[K comparable](counts map[K]Count, key K, n int64) {
	c := counts[key]
	c.add(n)
	counts[key] = c
}

// Bounds of reading a page.
const (
	maxLine   = 64 << 10  // longer lines are left out, and counted
	maxPage   = 256 << 20 // a page that is longer has no end
	maxLabels = 64        // of one sample
	maxSeries = 1 << 16   // of which it is known whether they came before
)

// ErrTooLong says that a page is longer than anything a proxy would say.
var ErrTooLong = errors.New("the page is longer than 256 MiB")

// label is one label of a sample. Name and value lie in the scanner's memory and are only good until the next line.
type label struct{ name, value []byte }

// labels are a sample's.
type labels []label

func (ls labels) get(name string) []byte {
	for _, l := range ls {
		if string(l.name) == name {
			return l.value
		}
	}
	return nil
}

// is reports whether the label is there and has the value.
func (ls labels) is(name, value string) bool { return string(ls.get(name)) == value }

// scanner reads a page line by line in memory of a fixed size.
type scanner struct {
	in      *bufio.Reader
	labels  labels
	plain   []byte // unescaped label values of the line
	read    int64
	skipped int // lines that were too long or could not be read
	seed    maphash.Seed
	seen    map[uint64]bool // hashes of series
}

func newScanner(r io.Reader) *scanner {
	return &scanner{in: bufio.NewReaderSize(r, maxLine), seed: maphash.MakeSeed(), seen: map[uint64]bool{}}
}

// again reports whether a series came before on the page, in any order of labels; not of the last of very many.
func (s *scanner) again(name []byte, ls labels) bool {
	var h maphash.Hash
	h.SetSeed(s.seed)
	key := maphash.Bytes(s.seed, name)
	for _, l := range ls {
		h.Reset()
		h.Write(l.name)
		h.WriteByte(0)
		h.Write(l.value)
		key += h.Sum64()
	}
	if s.seen[key] {
		return true
	}
	if len(s.seen) < maxSeries {
		s.seen[key] = true
	}
	return false
}

// next is the next line without its end, or io.EOF. Lines that are too long are left out.
func (s *scanner) next() ([]byte, error) {
	long := false
	for {
		line, err := s.in.ReadSlice('\n')
		if s.read += int64(len(line)); s.read > maxPage {
			return nil, ErrTooLong
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			long = true
			continue
		case err != nil && (len(line) == 0 || !errors.Is(err, io.EOF)):
			return nil, err
		case long:
			s.skipped++
			long = false
			continue
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 {
			return line, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

var errSyntax = errors.New("not a sample of the text exposition format")

// sample takes a line of the Prometheus text exposition format apart: NAME{LABEL="VALUE",...} NUMBER [TIMESTAMP].
func (s *scanner) sample(line []byte) (name []byte, ls labels, value float64, err error) {
	i := 0
	for i < len(line) && isNameByte(line[i]) {
		i++
	}
	name, rest := line[:i], line[i:]
	if i == 0 {
		return nil, nil, 0, errSyntax
	}
	s.labels, s.plain = s.labels[:0], s.plain[:0]
	if len(rest) > 0 && rest[0] == '{' {
		if rest, err = s.readLabels(rest[1:]); err != nil {
			return nil, nil, 0, err
		}
	}
	number, _, _ := bytes.Cut(bytes.TrimLeft(rest, " \t"), []byte(" "))
	value, err = strconv.ParseFloat(string(bytes.TrimSpace(number)), 64)
	if err != nil || len(rest) == 0 || rest[0] != ' ' && rest[0] != '\t' {
		return nil, nil, 0, errSyntax
	}
	return name, s.labels, value, nil
}

// readLabels reads up to the closing brace and returns what follows it.
func (s *scanner) readLabels(b []byte) ([]byte, error) {
	for {
		b = bytes.TrimLeft(b, ", \t")
		if len(b) > 0 && b[0] == '}' {
			return b[1:], nil
		}
		i := 0
		for i < len(b) && isNameByte(b[i]) {
			i++
		}
		name := b[:i]
		if b = bytes.TrimLeft(b[i:], " \t"); i == 0 || len(b) == 0 || b[0] != '=' || len(s.labels) >= maxLabels {
			return nil, errSyntax
		}
		b = bytes.TrimLeft(b[1:], " \t")
		if len(b) == 0 || b[0] != '"' {
			return nil, errSyntax
		}
		value, rest, err := s.quoted(b[1:])
		if err != nil {
			return nil, err
		}
		if s.labels.get(string(name)) != nil {
			return nil, errSyntax // twice, and who knows which holds
		}
		s.labels = append(s.labels, label{name, value})
		b = rest
	}
}

// quoted reads a label's value up to its closing quote. Only a value with an escape in it is copied.
func (s *scanner) quoted(b []byte) (value, rest []byte, err error) {
	end := bytes.IndexAny(b, `"\`)
	if end >= 0 && b[end] == '"' {
		return b[:end], b[end+1:], nil
	}
	start := len(s.plain)
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return s.plain[start:len(s.plain):len(s.plain)], b[i+1:], nil
		case c != '\\':
			s.plain = append(s.plain, c)
		case i+1 >= len(b):
			return nil, nil, errSyntax
		default:
			i++
			if c = b[i]; c == 'n' {
				c = '\n'
			}
			s.plain = append(s.plain, c)
		}
	}
	return nil, nil, errSyntax
}

func isNameByte(c byte) bool {
	return c == '_' || c == ':' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// maxCount is the largest counter that is a whole number as a float.
const maxCount = 1 << 53

// whole makes a counter's value a number of requests: pages are hostile, and NaN, infinities and fractions are none.
func whole(v float64) (int64, error) {
	if !(v >= 0 && v <= maxCount) || v != math.Trunc(v) {
		return 0, fmt.Errorf("%g is no number of requests", v)
	}
	return int64(v), nil
}
