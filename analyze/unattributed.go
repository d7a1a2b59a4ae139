package analyze

import (
	"math"
	"slices"
)

// unattributedBounds recomputes the two tests at the worst allocation of the requests nobody could attribute (Manski's
// bounds): they are not missing at random, because a backend that fails loses its own answers.
func (t *test) unattributedBounds(c Counts, total int64) UnattributedBounds {
	m := c.Unattributed
	all := total + m
	var out UnattributedBounds
	for _, n := range c.N {
		low, high := 0.0, 1.0
		if all > 0 {
			low, high = float64(n)/float64(all), float64(n+m)/float64(all)
		}
		out.Low, out.High = append(out.Low, low), append(out.High, high)
	}
	if m == 0 || all == 0 {
		out.WorstMatch = pFromLn(matchOrOne(t.lnMatch(c.N, total), total), Exact)
		out.WorstDiffer = pFromLn(t.lnDiffers(c.N, total), Exact)
		return out
	}
	worst := math.Inf(-1)
	for j, i := range t.index {
		b := t.bands[j]
		given := c.N[i] + m
		if len(t.w) == 1 {
			worst = math.Max(worst, b.lnAboveLow(given, all)) // there is nobody else to give them to
			continue
		}
		worst = math.Max(worst, math.Max(b.lnAboveLow(c.N[i], all), b.lnBelowHigh(given, all)))
	}
	if t.leak > 0 && len(t.zero) > 0 {
		worst = math.Max(worst, lnLower(t.leaked(c.N)+m, all, t.leak, 1-t.leak))
	}
	out.WorstMatch = pFromLn(worst, Exact)
	out.WorstDiffer = pFromLn(t.worstDiffers(c.N, m, all), Exact)
	return out
}

// matchOrOne keeps a vacuous tolerance from passing without a request.
func matchOrOne(lnP float64, total int64) float64 {
	if total == 0 {
		return 0
	}
	return lnP
}

// worstDiffers is ln of the largest Differs p that some allocation reaches: bisection on the level, at each of which an
// allocation is possible when every backend can be brought out of its failing counts and the requests suffice.
func (t *test) worstDiffers(n []int64, m, all int64) float64 {
	hits := t.leaked(n)
	// possible(level): is there an allocation for which Differs is above level?
	possible := func(level float64) bool {
		var least, most int64
		for j, i := range t.index {
			low, high := t.bands[j].differRange(all, level, t.factor)
			from, to := max(n[i], low+1), min(n[i]+m, high-1)
			if from > to {
				return false
			}
			least += from - n[i]
			most += to - n[i]
		}
		if len(t.zero) > 0 && t.leak > 0 {
			bound := firstIn(-1, all+1, func(x int64) bool {
				return lnUpper(x, all, t.leak, 1-t.leak)+math.Log(t.factor) <= level
			})
			if bound <= hits {
				return false
			}
			most += min(m, bound-1-hits)
		}
		return least <= m && m <= most
	}
	if possible(math.Nextafter(0, -1)) {
		return 0
	}
	low, high := -1.0, 0.0 // not possible at high
	for !possible(low) {
		high, low = low, low*2
		if low < -1e17 {
			return math.Inf(-1)
		}
	}
	low, _ = bisect(low, high, 60, func(level float64) bool { return !possible(level) })
	return low
}

// leastPearson distributes m further requests so that Pearson's statistic is as small as whole requests allow: each in
// turn to the cell that adds least, done at once by water-filling n+m = max(n, lambda*pi) and one by one for the rest.
func leastPearson(c cells, m int64) []int64 {
	added := func(level float64, i int) float64 {
		return math.Max(0, math.Floor(level*c.share(i))-float64(c.n[i]))
	}
	// level is n_i/pi_i up to which the cells are filled.
	level, _ := bisect(0, 2*(float64(c.total)+float64(m))*c.sum, 200, func(level float64) bool {
		used := 0.0
		for i := range c.n {
			used += added(level, i)
		}
		return used > float64(m)
	})
	out := slices.Clone(c.n)
	left := m
	for i := range out {
		add := min(int64(added(level, i)), left)
		out[i] += add
		left -= add
	}
	for ; left > 0 && left <= int64(4*len(out))+4; left-- {
		best := 0
		cost := func(i int) float64 { return (2*float64(out[i]) + 1) / c.share(i) }
		for i := range out {
			if cost(i) < cost(best) {
				best = i
			}
		}
		out[best]++
	}
	out[0] += left // rounding of huge counts only
	return out
}

// mostPearson gives all m to the cell that makes Pearson's statistic largest: it is convex, so a vertex is the maximum.
func mostPearson(c cells, m int64) []int64 {
	best, value := 0, -1.0
	for i, n := range c.n {
		// The sum of n^2/pi grows by ((n+m)^2-n^2)/pi.
		if v := (2*float64(n) + float64(m)) / c.share(i); v > value {
			best, value = i, v
		}
	}
	out := slices.Clone(c.n)
	out[best] += m
	return out
}
