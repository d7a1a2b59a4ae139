package analyze

import (
	"math"
	"math/bits"
)

// Monitor finds out that a share has left its tolerance, whenever that happens in a watch without end: the
// probability that it ever says so of a split whose shares never were outside is at most alpha, however often one
// looks, whatever way the shares moved inside their tolerances, and wherever the unattributed requests went. It needs
// only that each request, given the past, goes to a backend with a probability inside that backend's tolerance;
// pinned connections break that. Not safe for concurrent use.
//
// One test from the first request on would take the longer to notice a change the later it comes, since all that was
// right before speaks against it. So a new one is begun at each look. Number i (from 0) may err with probability
// alpha/((i+1)(i+2)), which adds up to alpha over all numbers; number 0 goes on for ever, number i for twice as many
// looks as the largest power of two that divides i. So there is always one that began at most twice as long ago as is
// needed, about 2 log2(looks) are alive, and a shift is noticed after a number of requests that grows only with the
// logarithm of the time watched.
//
// Each is a pair of one-sided tests per backend at the edges of its tolerance, by the Beta-mixture test martingale of
// Sequential with Ville's inequality. That shares may move inside the tolerance costs nothing: the counts of a share
// that stays at or below an edge are at most, request by request, those of a share at the edge, and the test rejects
// from some count up.
type Monitor struct {
	test    test
	conc    []float64
	lnLevel float64 // ln of alpha over the number of one-sided tests
	counts  Counts  // so far
	looks   uint64
	next    uint64 // number of the next test
	alive   []begun
}

// begun is one test: what had been counted when it began.
type begun struct {
	number uint64
	look   uint64 // it began behind this one
	counts Counts
}

// Departure says how a share was seen to be outside its tolerance: by the test with the most evidence beyond what it
// needs, which is mostly one that began about when the share left.
type Departure struct {
	Backend      int     // index in the weights
	Leak         bool    // it has weight 0 and answered
	Above        bool    // of the tolerance; else below
	Edge         float64 // of the tolerance, a share; 0 of a leak
	Requests     int64   // of the test that saw it, the unattributed ones too
	Observed     int64   // of them, answered by the backend
	Unattributed int64   // of them
	Looks        uint64  // that the test took
}

// NewMonitor starts a watch with the tolerance and alpha of o; the gate, power and leak tolerance of o are not used:
// an answer of a weight-0 backend is a departure at once. Errors wrap ErrInput.
func NewMonitor(w Weights, o Options) (*Monitor, error) {
	if err := o.validateFor(w); err != nil {
		return nil, err
	}
	o.Tolerance.Leak = 0
	m := &Monitor{test: newTest(w, o), conc: defaultConcentrations(), counts: Counts{N: make([]int64, len(w))}}
	m.lnLevel = math.Log(o.Alpha) - math.Log(2*m.test.factor)
	return m, nil
}

// Update takes the counts of one more batch, aligned to the weights, and looks once: nil where no share is known to
// be outside its tolerance. After a departure there is nothing more to find out. Errors wrap ErrInput and leave the
// state as it was.
func (m *Monitor) Update(batch Counts) (*Departure, error) {
	sum, err := m.counts.plus(batch, m.test.w)
	if err != nil {
		return nil, err
	}
	if sumOf(batch.N)+batch.Unattributed > 0 { // a test that begins at the same place as another one says nothing new
		m.alive = append(m.alive, begun{m.next, m.looks, m.counts})
		m.next++
	}
	m.looks++
	m.counts = sum
	var found *Departure
	most := 0.0
	kept := m.alive[:0]
	for _, b := range m.alive {
		if d, evidence := m.outside(b); d != nil && (found == nil || evidence > most) {
			found, most = d, evidence
		}
		if b.number == 0 || m.next-b.number < uint64(2)<<bits.TrailingZeros64(b.number) {
			kept = append(kept, b)
		}
	}
	clear(m.alive[len(kept):])
	m.alive = kept
	return found, nil
}

// outside is the departure that one test sees, and how many nats its evidence is beyond what it needs.
func (m *Monitor) outside(b begun) (*Departure, float64) {
	d := Departure{Looks: m.looks - b.look, Unattributed: m.counts.Unattributed - b.counts.Unattributed}
	d.Requests = d.Unattributed + sumOf(m.counts.N) - sumOf(b.counts.N)
	for _, i := range m.test.zero {
		if n := m.counts.N[i] - b.counts.N[i]; n > 0 {
			d.Backend, d.Leak, d.Above, d.Observed = i, true, true, n
			return &d, math.Inf(1)
		}
	}
	i := float64(b.number)
	lnLevel := m.lnLevel - math.Log(i+1) - math.Log(i+2)
	var found *Departure
	most := 0.0
	see := func(evidence, edge float64, above bool) {
		if evidence += lnLevel; evidence >= 0 && (found == nil || evidence > most) {
			out := d
			out.Edge, out.Above = edge, above
			found, most = &out, evidence
		}
	}
	for r, x := range m.test.bands {
		d.Backend = m.test.index[r]
		d.Observed = m.counts.N[d.Backend] - b.counts.N[d.Backend]
		// Where the unattributed requests went is not known: not to the backend, where it is to have had too many, and all to
		// it where it is to have had too few.
		if p, tested := x.highEdge(); tested {
			see(m.excess(d.Observed, d.Requests, p, x.pi), p, true)
		}
		if p, tested := x.lowEdge(); tested {
			see(m.excess(d.Requests-d.Observed-d.Unattributed, d.Requests, 1-p, 1-x.pi), p, false)
		}
	}
	return found, most
}

// excess is ln of the e-value of hits of total against a share of at most p, with a prior around pi; 0 where there
// are no more hits than that.
func (m *Monitor) excess(hits, total int64, p, pi float64) float64 {
	n := []float64{float64(hits), float64(total - hits)}
	if total == 0 || n[0] <= p*float64(total) {
		return 0
	}
	// No mixture is likelier than the likeliest share: a look at that saves most of the work.
	likeliest := n[0] / float64(total)
	edge := lnLikelihood(n, []float64{p, 1 - p})
	if best := lnLikelihood(n, []float64{likeliest, 1 - likeliest}) - edge; best <= -m.lnLevel {
		return 0
	}
	return lnMixtureMarginal(n, []float64{pi, 1 - pi}, m.conc) - edge
}
