package analyze

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// MethodBlocks names the intervals of Blocks: order statistics at the effective number of requests.
const MethodBlocks = "blockOrderStatistic"

// MinBlocks is the number of blocks from which on intervals are given: docs/statistics.md has their coverage. With
// fewer the spread between blocks is itself not known well enough.
const MinBlocks = 20

// Blocks is a sample of latencies whose unit of replication is the block: a window of time, or a round. Requests of one
// moment share a queue, a garbage collection and a neighbour, so a thousand of them are not a thousand independent
// measurements; blocks nearly are. The unit is that of the values, nanoseconds for latencies.
type Blocks struct {
	sorted []int64
	block  []int32 // of each value in sorted
	sizes  []int64 // values of each block

	least []int64 // ascending, see Bound
	late  Lateness
}

// NewBlocks takes the values of each block, blocks in the order of time. Empty blocks are allowed: they hold the
// place of a moment without an answer. Errors wrap ErrInput: negative values, more than 2^31 blocks.
func NewBlocks(blocks [][]int64) (*Blocks, error) {
	if len(blocks) > math.MaxInt32 {
		return nil, inputErrorf("blocks: %d are too many", len(blocks))
	}
	b := &Blocks{sizes: make([]int64, len(blocks))}
	type value struct {
		v     int64
		block int32
	}
	var all []value
	for i, values := range blocks {
		b.sizes[i] = int64(len(values))
		for _, v := range values {
			if v < 0 {
				return nil, inputErrorf("blocks: value %d is negative", v)
			}
			all = append(all, value{v, int32(i)})
		}
	}
	slices.SortFunc(all, func(x, y value) int { return cmp.Compare(x.v, y.v) })
	b.sorted, b.block = make([]int64, len(all)), make([]int32, len(all))
	for i, x := range all {
		b.sorted[i], b.block[i] = x.v, x.block
	}
	return b, nil
}

// Samples is the number of values.
func (b *Blocks) Samples() int { return len(b.sorted) }

// Blocks is the number of blocks that hold a value.
func (b *Blocks) Blocks() int {
	n := 0
	for _, s := range b.sizes {
		if s > 0 {
			n++
		}
	}
	return n
}

// Quantile is the type-1 quantile of all values.
func (b *Blocks) Quantile(q float64) int64 { return Quantile(b.sorted, q) }

// blockQuantile is one quantile and what is known of its spread.
type blockQuantile struct {
	b      *Blocks
	q      float64
	value  int64
	excess []float64 // of each block: values at or below the quantile, less q of its size; adds up to 0
	spread
	own ownMean // known where it is in place of order statistics
}

// at prepares the intervals of one quantile.
func (b *Blocks) at(q float64) blockQuantile {
	out := blockQuantile{b: b, q: q, value: b.Quantile(q)}
	n := len(b.sorted)
	if n == 0 {
		return out
	}
	// Of values equal to the quantile only so many count as below it that they are q of all: ties must not look like
	// spread.
	first, _ := slices.BinarySearch(b.sorted, out.value)
	last, _ := slices.BinarySearch(b.sorted, out.value+1)
	part := (q*float64(n) - float64(first)) / float64(last-first)
	out.excess = make([]float64, len(b.sizes))
	for i := range last {
		if i < first {
			out.excess[b.block[i]]++
		} else {
			out.excess[b.block[i]] += part
		}
	}
	for w, size := range b.sizes {
		out.excess[w] -= q * float64(size)
	}
	out.spread = spreadOf(out.excess, b.Blocks(), q*(1-q)*float64(n))
	return out
}

// perRank is how far apart neighbours of the sorted sample lie around the quantile, in the samples' unit: by so much
// one more value below moves it.
func (x blockQuantile) perRank() float64 {
	n := len(x.b.sorted)
	reach := int(math.Ceil(2 * math.Sqrt(float64(n)*x.q*(1-x.q))))
	rank := quantileRank(n, x.q)
	low, high := max(1, rank-reach), min(n, rank+reach)
	if low == high {
		return 0
	}
	return float64(x.b.sorted[high-1]-x.b.sorted[low-1]) / float64(high-low)
}

// effective is the number of independent requests that would know as much (E. L. Korn and B. I. Graubard, 1998, for
// shares): fewer by the design effect, and fewer again because the spread between few blocks is itself an estimate.
func (x blockQuantile) effective(tail float64) float64 {
	tail = math.Min(tail, 0.49) // at one half both are 0
	z, t := normalQuantile(tail), studentQuantile(tail, x.df)
	return float64(len(x.b.sorted)) / x.deff * (z / t) * (z / t)
}

// low and high are the ends of the interval that leaves tail outside on its side; infinite where the sample has no such
// end. They are order statistics, for the effective number of requests.
func (x blockQuantile) low(tail float64) float64 {
	if x.own.known() {
		return math.Max(0, float64(x.value)-x.own.reach(tail))
	}
	n := x.effective(tail)
	k := x.rank(n, 1-tail)
	at := int(math.Floor(k*float64(len(x.b.sorted)+1)/(n+1) + 1e-9))
	if !(k > 0) || at < 1 {
		return math.Inf(-1)
	}
	return float64(x.b.sorted[min(at, len(x.b.sorted))-1])
}

func (x blockQuantile) high(tail float64) float64 {
	if x.own.known() {
		return float64(x.value) + x.own.reachUp(tail, float64(x.value))
	}
	n := x.effective(tail)
	k := x.rank(n, tail)
	at := int(math.Ceil(k*float64(len(x.b.sorted)+1)/(n+1) - 1e-9))
	if !(k <= n) || at > len(x.b.sorted) {
		return math.Inf(1)
	}
	return float64(x.b.sorted[max(at, 1)-1])
}

// rank is the k with P(U_(k) <= q) = p, U_(k) being the k-th of n uniform order statistics, a decreasing function of
// k that makes sense between whole numbers too. 0 or NaN where it would have to be below the first, above n beyond
// the last.
func (x blockQuantile) rank(n, p float64) float64 {
	if !(n >= 1) {
		return math.NaN()
	}
	below := func(k float64) float64 { return mathext.RegIncBeta(k, n-k+1, x.q) }
	if n > 1e6 { // where RegIncBeta loses digits the normal law has them
		return n*x.q - normalQuantile(p)*math.Sqrt(n*x.q*(1-x.q))
	}
	low, high := 1.0, n
	switch {
	case below(low) < p:
		return 0
	case below(high) > p:
		return n + 1
	}
	low, _ = bisect(low, high, 60, func(k float64) bool { return below(k) < p })
	return low
}

// studentQuantile is the t with upper tail p of Student's t.
func studentQuantile(p, df float64) float64 {
	if !(df > 0) {
		return math.Inf(1)
	}
	if p > 0.5 {
		return -studentQuantile(1-p, df)
	}
	x := mathext.InvRegIncBeta(df/2, 0.5, 2*p) // df/(df+t^2)
	return math.Sqrt(df * (1/x - 1))
}

// minWorth is how many independent blocks the blocks must be worth for an interval: with fewer there is hardly more
// than one.
const minWorth = 3

// leastWorth is how many independent blocks the blocks are taken to be worth at least, by which Student's t still has
// a degree of freedom: a range many times as wide as what the blocks differ by.
const leastWorth = 2

// spread is how sure a sum over blocks is.
type spread struct {
	deff  float64 // how much larger its variance is than that of independent requests, at least 1
	df    float64 // degrees of freedom of that variance
	worth float64 // blocks that are not alike to their neighbours and would know as much
	least float64 // as deff, where the blocks are taken to be worth two at least
	apart float64 // as deff, where what neighbours have in common counts at most four times
}

// spreadOf takes a series around 0 with a value for each block, how many blocks hold one, and the variance that its
// sum would have if all requests were independent.
func spreadOf(x []float64, blocks int, independent float64) spread {
	w := float64(blocks)
	out := spread{deff: 1, df: w - 1, worth: w, least: 1, apart: 1}
	var squares, fourth, next float64
	for i, v := range x {
		squares, fourth = squares+v*v, fourth+v*v*v*v
		if i > 0 {
			next += v * x[i-1]
		}
	}
	if !(squares > 1e-9*independent && independent > 0 && w > 2) { // 1e-9: rounding is no spread
		return out
	}
	// Where few blocks carry all of the spread it is itself hardly known: the variance of a variance goes with the
	// kurtosis.
	if k := w * fourth / (squares * squares); k > 1 {
		out.df = math.Min(out.df, 2*w/(k-1))
	}
	r := next / squares
	r += (1 + 3*r) / w // few blocks make it too low (M. G. Kendall, 1954)
	alike := func(r float64) float64 {
		r = math.Max(0, math.Min(r, 0.99))
		return (1 + r) / (1 - r)
	}
	out.worth = w / alike(r)                    // as of a first-order autoregression
	most := r + math.Sqrt(math.Max(0, 1-r*r)/w) // one standard error more: too little makes intervals too short
	between := squares * w / (w - 1) / independent
	out.deff, out.apart = math.Max(1, between*alike(most)), between*math.Min(4, alike(r))
	out.least = math.Max(1, between*math.Min(w/leastWorth, alike(most)))
	return out
}
