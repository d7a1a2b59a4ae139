package witness

import (
	"errors"
	"fmt"
	"io"
	"math"
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
	for _, l := range c.Leaves {
		if l.Known {
			return true
		}
	}
	return c.Other.Known
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

	Paths       map[Path]Count // requests for the root by the kind of object whose rules they took
	StreamPaths map[Path]Count // the same of connections that the proxy did not look into

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
		InFail: make([]bool, n), Ready: make([]Count, n), Paths: map[Path]Count{}, StreamPaths: map[Path]Count{},
		Direct: make([]Count, n), Own: make([]Count, n),
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

func (p *Page) path(which Path, n int64) { p.addTo(p.Paths, which, n) }

func (p *Page) addTo(paths map[Path]Count, which Path, n int64) {
	c := paths[which]
	c.add(n)
	paths[which] = c
}
