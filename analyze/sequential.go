package analyze

import (
	"math"
	"math/bits"
)

// MethodConfidenceSequence names the intervals of a Look.
const MethodConfidenceSequence = "confidenceSequence"

// defaultConcentrations are the Dirichlet priors of the mixture, equally weighted: the small ones notice large shifts
// at once, the large ones small shifts in the end. The price of mixing is at most ln 5. (ssrm's single prior of
// 10,000 gives p = 0.61 for 100 of 100 requests to one side of a 50/50 split.)
func defaultConcentrations() []float64 { return []float64{1, 10, 100, 1000, 10000} }

// Sequential judges a split while requests come in, and may stop at any look: the probability that it ever ends in a
// wrong pass or a wrong fail is at most alpha, however often one looks. It is the Dirichlet-mixture test martingale
// of Lindon and Malek ("Anytime-valid inference for multinomial count data", 2022), with Ville's inequality. It needs
// only that each request, given the past, goes to backend i with the declared probability; pinned connections break
// that. The looks and their largest number belong in the plan. Not safe for concurrent use.
type Sequential struct {
	w       Weights
	o       Options
	test    test
	pi      []float64 // of the backends of positive weight
	conc    []float64
	counts  Counts  // attributed so far
	lnP     float64 // running minimum
	low     []float64
	high    []float64 // running intersection, aligned to pi
	outcome Outcome
}

// Look is what a Sequential knows after one batch.
type Look struct {
	Requests  int64      // attributed so far
	LnE       float64    // ln of the e-value against the declared shares; those of independent runs add up
	Anytime   PValue     // running minimum of 1/e: valid at any stopping time
	Intervals []Interval // aligned to the weights; they hold together at all looks with level 1-alpha
	Outcome   Outcome    // Inconclusive until it decides; then it stays
}

// NewSequential starts a sequential judgement with the tolerance and alpha of o; the gate, power and leak tolerance
// of o are not used: an answer of a weight-0 backend is a failure at once. conc replaces the prior concentrations.
// Errors wrap ErrInput.
func NewSequential(w Weights, o Options, conc ...float64) (*Sequential, error) {
	if err := o.validateFor(w); err != nil {
		return nil, err
	}
	for _, c := range conc {
		if !(c > 0) || math.IsInf(c, 1) {
			return nil, inputErrorf("concentration: %v is out of range, want above 0", c)
		}
	}
	if len(conc) == 0 {
		conc = defaultConcentrations()
	}
	o.Tolerance.Leak = 0
	none := Counts{N: make([]int64, len(w))}
	s := &Sequential{w: w, o: o, test: newTest(w, o), conc: conc, counts: none, outcome: Inconclusive}
	for _, b := range s.test.bands {
		s.pi = append(s.pi, b.pi)
		s.low, s.high = append(s.low, 0), append(s.high, 1)
	}
	return s, nil
}

// Update takes the counts of one more batch, aligned to the weights, and looks once. Splitting a batch changes only
// how often one looks. Errors wrap ErrInput and leave the state as it was.
func (s *Sequential) Update(batch []int64) (Look, error) {
	counts, err := s.counts.plus(Counts{N: batch}, s.w)
	if err != nil {
		return Look{}, err
	}
	s.counts = counts
	sum := counts.N
	n := make([]float64, len(s.pi))
	look := Look{Intervals: make([]Interval, len(s.w))}
	for r, i := range s.test.index {
		n[r] = float64(sum[i])
	}
	look.Requests = sumOf(sum)
	lnMarginal := lnMixtureMarginal(n, s.pi, s.conc)
	look.LnE = lnMarginal - lnLikelihood(n, s.pi)
	hits := s.test.leaked(sum)
	if hits > 0 {
		look.LnE = math.Inf(1)
	}
	s.lnP = math.Min(s.lnP, -look.LnE)
	look.Anytime = pFromLn(s.lnP, Exact)
	for r := range n {
		low, high := projection(n, r, math.Log(s.o.Alpha)+lnMarginal)
		s.low[r], s.high[r] = math.Max(s.low[r], low), math.Min(s.high[r], high)
	}
	level := 1 - s.o.Alpha
	for i := range look.Intervals {
		look.Intervals[i] = Interval{Low: 0, High: 1, Level: level, Method: MethodConfidenceSequence}
	}
	for r, i := range s.test.index {
		look.Intervals[i].Low, look.Intervals[i].High = s.low[r], s.high[r]
	}
	for _, i := range s.test.zero {
		look.Intervals[i].Why = "weight 0: decided by its first answer"
	}
	if s.outcome == Inconclusive {
		s.outcome = s.decide(hits, look.Requests)
	}
	look.Outcome = s.outcome
	return look, nil
}

// decide passes where every interval lies within its tolerance and fails where one lies outside, or is empty.
func (s *Sequential) decide(hits, total int64) Outcome {
	if hits > 0 {
		return Fail
	}
	if total == 0 {
		return Inconclusive
	}
	inside := true
	for r, b := range s.test.bands {
		low, high := b.pi-b.delta, b.pi+b.delta
		if s.low[r] > high || s.high[r] < low {
			return Fail
		}
		inside = inside && s.low[r] >= low && s.high[r] <= high
	}
	if inside {
		return Pass
	}
	return Inconclusive
}

// lnLikelihood is the sum of n ln(p), 0 ln 0 being 0.
func lnLikelihood(n, p []float64) float64 {
	sum := 0.0
	for i, x := range n {
		if x > 0 {
			sum += x * math.Log(p[i])
		}
	}
	return sum
}

// lnMixtureMarginal is ln of the mean over concentrations c of B(c*pi+n)/B(c*pi), B the multivariate beta function.
func lnMixtureMarginal(n, pi, conc []float64) float64 {
	out := math.Inf(-1)
	for _, c := range conc {
		out = lnAdd(out, lnDirichlet(n, pi, c))
	}
	return out - math.Log(float64(len(conc)))
}

// lnDirichlet is ln B(c*pi+n) - ln B(c*pi).
func lnDirichlet(n, pi []float64, c float64) float64 {
	sum := 0.0
	for i, x := range n {
		sum += lnRising(c*pi[i], x)
	}
	return sum - lnRising(c, sumOf(n))
}

// lnRising is ln Gamma(a+n) - ln Gamma(a). For large a with small n the two cancel, so few steps are multiplied out.
func lnRising(a, n float64) float64 {
	if n <= 64 {
		sum, product := 0.0, 1.0
		for i := 0.0; i < n; i++ {
			product *= a + i
			if product > 1e250 || product < 1e-250 {
				sum += math.Log(product)
				product = 1
			}
		}
		return sum + math.Log(product)
	}
	x, _ := math.Lgamma(a + n)
	y, _ := math.Lgamma(a)
	return x - y
}

// projection is the range of share r over {theta: sum n ln theta >= threshold}: the other shares are best in
// proportion to their counts, and the remaining function of one share is concave, so each side of the observed one is
// bisected.
func projection(n []float64, r int, threshold float64) (low, high float64) {
	total := sumOf(n)
	others := total - n[r]
	if total == 0 {
		return 0, 1
	}
	fixed := 0.0
	for i, x := range n {
		if i != r && x > 0 {
			fixed += x * math.Log(x/others)
		}
	}
	inside := func(t float64) bool {
		v := fixed
		if n[r] > 0 {
			v += n[r] * math.Log(t)
		}
		if others > 0 {
			v += others * math.Log1p(-t)
		}
		return v >= threshold
	}
	centre := n[r] / total
	low, high = 0, 1
	if n[r] > 0 {
		low, _ = bisect(0, centre, 200, inside)
	}
	if others > 0 {
		_, high = bisect(centre, 1, 200, func(t float64) bool { return !inside(t) })
	}
	return low, high
}

// CombineE is the ln of the e-value of several independent runs of the same split: e-values multiply, so their
// logarithms add up. Runs that share requests must not be combined.
func CombineE(lnE ...float64) float64 {
	sum := 0.0
	for _, x := range lnE {
		if !math.IsNaN(x) {
			sum += x
		}
	}
	return sum
}

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
