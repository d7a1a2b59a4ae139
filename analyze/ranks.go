package analyze

import (
	"math"
	"slices"
)

// Sizes up to which the Mann-Whitney p is exact.
const (
	exactRanks     = 50 // per sample, without ties
	exactRanksTied = 25 // per sample, with ties
)

// RankResult compares two samples by ranks, as a second view beside the quantiles; never a gate by itself.
type RankResult struct {
	U             float64  // pairs in which the first sample is larger, ties half (R's W)
	P             PValue   // two-sided; exact up to 50 per sample, 25 with ties, else Asymptotic
	Asymptotic    PValue   // normal, with tie correction, without continuity correction
	AsymptoticCC  PValue   // the same with continuity correction
	A12           float64  // probability that a value of the first is larger than one of the second, ties half (Vargha and Delaney)
	HodgesLehmann float64  // median of all differences first - second, in the samples' unit
	Shift         Interval // of the Hodges-Lehmann shift (Moses), in the samples' unit
}

// MannWhitney compares two samples (Mann and Whitney 1947; Hodges and Lehmann 1963). It is not a test of medians
// where the spreads differ; BrunnerMunzel is for that. Errors wrap ErrInput: an empty sample, a value that is not a
// number, a level outside (0,1).
func MannWhitney(first, second []float64, level float64) (RankResult, error) {
	if err := checkSamples(first, second); err != nil {
		return RankResult{}, err
	}
	if !(level > 0 && level < 1) {
		return RankResult{}, inputErrorf("level: %v is out of range, want above 0 and below 1", level)
	}
	x, y := slices.Sorted(slices.Values(first)), slices.Sorted(slices.Values(second))
	m, n := float64(len(x)), float64(len(y))
	ranks, ties := midranks(x, y)
	sum := 0.0
	for _, r := range ranks[:len(x)] {
		sum += r
	}
	out := RankResult{U: sum - m*(m+1)/2}
	out.A12 = out.U / (m * n)
	d := out.U - m*n/2
	sigma := math.Sqrt(m * n / 12 * (m + n + 1 - ties/((m+n)*(m+n-1))))
	out.Asymptotic, out.AsymptoticCC = pFromLn(0, Asymptotic), pFromLn(0, Asymptotic)
	if sigma > 0 {
		out.Asymptotic = pFromLn(math.Ln2+lnNormalUpper(math.Abs(d)/sigma), Asymptotic)
		out.AsymptoticCC = pFromLn(math.Ln2+lnNormalUpper(math.Max(0, math.Abs(d)-0.5)/sigma), Asymptotic)
	}
	larger := max(len(x), len(y))
	out.P = out.AsymptoticCC
	switch {
	case ties == 0 && larger <= exactRanks, ties > 0 && larger <= exactRanksTied:
		out.P = exactRankSum(ranks, len(x))
	}
	out.HodgesLehmann = medianDifference(x, y)
	out.Shift = mosesInterval(x, y, level, ties == 0 && larger <= exactRanks, sigma)
	return out, nil
}

func checkSamples(samples ...[]float64) error {
	for _, s := range samples {
		if len(s) == 0 {
			return inputErrorf("sample: empty, want at least one value")
		}
		for _, v := range s {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return inputErrorf("sample: %v is not a finite number", v)
			}
		}
	}
	return nil
}

// midranks are the ranks of x followed by y in the joint sample, both ascending; ties is the sum of t^3-t over tied
// groups.
func midranks(x, y []float64) (ranks []float64, ties float64) {
	joint := append(slices.Clone(x), y...)
	order := ascending(joint)
	ranks = make([]float64, len(joint))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && joint[order[j]] == joint[order[i]] {
			j++
		}
		t := float64(j - i)
		ties += t*t*t - t
		for ; i < j; i++ {
			ranks[order[i]] = float64(j) - (t-1)/2
		}
	}
	return ranks, ties
}

// exactRankSum is the permutation p of the rank sum of the first m, two-sided by distance from its mean, by counting
// subsets; ranks are doubled to whole numbers.
func exactRankSum(ranks []float64, m int) PValue {
	total, observed := 0, 0
	doubled := make([]int, len(ranks))
	for i, r := range ranks {
		doubled[i] = int(math.Round(2 * r))
		total += doubled[i]
		if i < m {
			observed += doubled[i]
		}
	}
	ways := subsetSums(doubled, m, total)
	// Mean of the doubled sum is m*total/N; compare N times the distances, in whole numbers.
	size := len(ranks)
	distance := func(s int) int {
		d := s*size - m*total
		if d < 0 {
			return -d
		}
		return d
	}
	all, extreme := 0.0, 0.0
	for s, w := range ways {
		all += w
		if distance(s) >= distance(observed) {
			extreme += w
		}
	}
	return pFromLn(math.Log(extreme/all), Exact)
}

// subsetSums counts the subsets of size m by their sum.
func subsetSums(values []int, m, total int) []float64 {
	ways := make([][]float64, m+1)
	for j := range ways {
		ways[j] = make([]float64, total+1)
	}
	ways[0][0] = 1
	reached := 0
	for i, v := range values {
		reached += v
		for j := min(i+1, m); j >= 1; j-- {
			for s := reached; s >= v; s-- {
				ways[j][s] += ways[j-1][s-v]
			}
		}
	}
	return ways[m]
}

// mosesInterval is the interval of the shift from the order statistics of all differences.
func mosesInterval(x, y []float64, level float64, exact bool, sigma float64) Interval {
	out := Interval{Level: level, Method: "moses"}
	m, n := len(x), len(y)
	pairs := int64(m) * int64(n)
	var rank int64
	if exact {
		all := make([]int, m+n)
		for i := range all {
			all[i] = i + 1
		}
		total := (m + n) * (m + n + 1) / 2
		ways := subsetSums(all, m, total)
		sum, lowest := 0.0, m*(m+1)/2
		for _, w := range ways {
			sum += w
		}
		below := 0.0
		for s := lowest; s <= total; s++ { // the quantile of U at (1-level)/2
			below += ways[s]
			if below/sum >= (1-level)/2*(1-1e-12) {
				rank = int64(s - lowest)
				break
			}
		}
	} else {
		rank = int64(math.Floor(float64(pairs)/2 - normalQuantile(1-(1-level)/2)*sigma))
	}
	rank = min(max(rank, 1), pairs)
	out.Low, out.High = nthDifference(x, y, rank), nthDifference(x, y, pairs-rank+1)
	return out
}

// medianDifference is the median of all x-y.
func medianDifference(x, y []float64) float64 {
	pairs := int64(len(x)) * int64(len(y))
	high := nthDifference(x, y, pairs/2+1)
	if pairs%2 == 1 {
		return high
	}
	return (nthDifference(x, y, pairs/2) + high) / 2
}

// nthDifference is the rank-th smallest (from 1) of all x-y, both ascending, by bisection over the float64 numbers
// themselves: 64 passes of m+n steps, and never the m*n differences.
func nthDifference(x, y []float64, rank int64) float64 {
	low, high := orderedBits(x[0]-y[len(y)-1]), orderedBits(x[len(x)-1]-y[0])
	for low < high {
		mid := low + (high-low)/2
		if countDifferences(x, y, fromOrderedBits(mid)) >= rank {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return fromOrderedBits(low)
}

// countDifferences is the number of x-y at or below v. Rounded subtraction is monotone, so one pass suffices.
func countDifferences(x, y []float64, v float64) int64 {
	count := int64(0)
	j := len(x) // as y falls, x-y grows and fewer x qualify
	for i := len(y) - 1; i >= 0; i-- {
		for j > 0 && x[j-1]-y[i] > v {
			j--
		}
		count += int64(j)
	}
	return count
}

// orderedBits maps float64 to uint64 keeping the order.
func orderedBits(x float64) uint64 {
	b := math.Float64bits(x)
	if b>>63 == 1 {
		return ^b
	}
	return b | 1<<63
}

func fromOrderedBits(b uint64) float64 {
	if b>>63 == 1 {
		return math.Float64frombits(b &^ (1 << 63))
	}
	return math.Float64frombits(^b)
}
