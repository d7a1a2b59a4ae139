package analyze

import "math"

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
