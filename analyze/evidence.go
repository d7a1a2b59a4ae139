package analyze

import (
	"maps"
	"math"
	"slices"
)

// The evidence of an explanation is ln of the probability that it gives to the order of the requests, before their
// backends are known: unknown shares are averaged over Jeffreys' prior (R. E. Krichevsky and V. K. Trofimov 1981),
// places of changes over all places. So an explanation pays for what it leaves open, about half of ln n for each share,
// and one criterion compares all of them (its large-sample form is Schwarz's, and for changes that of Zhang and
// Siegmund 2007).

// surely is how much evidence, in nats, a second change or a second cause must add: it makes the order 1,000 times as
// probable.
const surely = 3 * math.Ln10

// history is a sequence of requests of k backends, in order.
type history struct {
	order []int
	k     int
	half  []float64 // ln Γ(i + 1/2)
	whole []float64 // ln Γ(i + k/2)
}

func newHistory(seq []int, k int) *history {
	h := &history{order: seq, k: k, half: make([]float64, len(seq)+1), whole: make([]float64, len(seq)+1)}
	h.half[0], _ = math.Lgamma(0.5)
	h.whole[0], _ = math.Lgamma(float64(k) / 2)
	for i := range seq {
		h.half[i+1] = h.half[i] + math.Log(float64(i)+0.5)
		h.whole[i+1] = h.whole[i] + math.Log(float64(i)+float64(k)/2)
	}
	return h
}

// drawn is the evidence of independent draws of unknown shares that gave these counts.
func (h *history) drawn(counts []int) float64 {
	n, out := 0, h.whole[0]-float64(h.k)*h.half[0]
	for _, c := range counts {
		n += c
		out += h.half[c]
	}
	return out - h.whole[n]
}

// counts are those of requests low to before high.
func (h *history) counts(low, high int) []int {
	out := make([]int, h.k)
	for _, x := range h.order[low:high] {
		out[x]++
	}
	return out
}

func (h *history) draws(low, high int) float64 { return h.drawn(h.counts(low, high)) }

// paid is what changes cost beforehand: their places, and that there is more than one.
func (h *history) paid(changes int) float64 {
	return float64(changes)*math.Log(float64(len(h.order))) + float64(max(0, changes-1))*surely
}

// gridOfChanges bounds the places at which changes are sought first; each is then placed exactly.
const gridOfChanges = 240

// changes finds the cut into independent draws that has the most evidence, of two parts at least (optimal partitioning:
// Jackson et al. 2005), and where each change may be; nothing of fewer than two requests.
func (h *history) changes() []Place {
	if len(h.order) < 2 {
		return nil
	}
	cells := min(gridOfChanges, len(h.order))
	sums := make([][]int, cells+1)
	at := func(j int) int { return j * len(h.order) / cells }
	sums[0] = make([]int, h.k)
	for j := range cells {
		sums[j+1] = h.counts(at(j), at(j+1))
		for i, n := range sums[j] {
			sums[j+1][i] += n
		}
	}
	best, from := make([]float64, cells+1), make([]int, cells+1)
	part, each := make([]int, h.k), h.paid(2)-h.paid(1)
	for j := 1; j <= cells; j++ {
		best[j] = math.Inf(-1)
		for i := range j {
			for x := range part {
				part[x] = sums[j][x] - sums[i][x]
			}
			if v := best[i] + h.drawn(part) - each; v > best[j] {
				best[j], from[j] = v, i
			}
		}
	}
	var out []Place
	for j := from[cells]; j > 0; j = from[j] {
		out = append(out, Place{At: at(j)})
	}
	slices.Reverse(out)
	if len(out) == 0 {
		out = append(out, Place{}) // the first is cheaper
	}
	for range min(2, len(out)) { // the second time between places that are right
		for c := range out {
			low, high := 0, len(h.order)
			if c > 0 {
				low = out[c-1].At
			}
			if c+1 < len(out) {
				high = out[c+1].At
			}
			out[c] = h.placed(low, high)
		}
	}
	return out
}

// placed is the place of the one change between two others: the most probable, and the range that holds it.
func (h *history) placed(low, high int) Place {
	left, right := make([]int, h.k), h.counts(low, high)
	lnL := make([]float64, high-low-1) // of a change behind each request but the last
	best := math.Inf(-1)
	for t := range lnL {
		x := h.order[low+t]
		left[x]++
		right[x]--
		lnL[t] = h.drawn(left) + h.drawn(right)
		best = max(best, lnL[t])
	}
	total := 0.0
	for _, v := range lnL {
		total += math.Exp(v - best)
	}
	first, last := credible(lnL, best, total, 0.995)
	return Place{At: low + 1 + slices.Index(lnL, best), Low: low + 1 + first, High: low + 1 + last}
}

// changed is the evidence of an explanation that holds by itself in each part between changes.
func (h *history) changed(places []Place, within func(low, high int) float64) float64 {
	low, out := 0, -h.paid(len(places))
	for _, p := range places {
		out += within(low, p.At)
		low = p.At
	}
	return out + within(low, len(h.order))
}

// grouped is the evidence that requests of one group stay together: each group has shares of its own, which vary
// between groups as a Dirichlet law does (Pólya's urn: of pinned groups the first draw decides all others).
func (h *history) grouped(group func(i int) int) func(low, high int) float64 {
	return func(low, high int) float64 {
		rows := map[int][]int{}
		for i := low; i < high; i++ {
			g := group(i)
			if rows[g] == nil {
				rows[g] = make([]int, h.k)
			}
			rows[g][h.order[i]]++
		}
		all, n := h.counts(low, high), float64(high-low)
		best, tried := math.Inf(-1), 0
		for weight := 1.0 / 64; weight <= 4096; weight *= 4 {
			v := 0.0
			for _, g := range slices.Sorted(maps.Keys(rows)) {
				v += urn(rows[g], all, weight/n)
			}
			best = max(best, v)
			tried++
		}
		return best - math.Log(float64(tried)) - float64(h.k-1)/2*math.Log(n)
	}
}

// urn is ln of the probability of an order with these counts, drawn from an urn that begins with scale times these
// balls and gains one like each that is drawn.
func urn(row, balls []int, scale float64) float64 {
	n, begun, out := 0, 0.0, 0.0
	gamma := func(x float64) float64 { v, _ := math.Lgamma(x); return v }
	for i, c := range row {
		n += c
		begun += scale * float64(balls[i])
		if c > 0 {
			out += gamma(float64(c)+scale*float64(balls[i])) - gamma(scale*float64(balls[i]))
		}
	}
	return out + gamma(begun) - gamma(begun+float64(n))
}

// told is the evidence that the draw depends on a state that is known before it. Backends are told one after the other:
// is it the first, else the second, and so on, each with the states of its own.
func (h *history) told(low, high int, state func(backend, i int) int) float64 {
	out := 0.0
	for b := range h.k - 1 {
		seen := map[int]*[2]int{}
		for i := low; i < high; i++ {
			x, s := h.order[i], state(b, i)
			if x < b {
				continue
			}
			if seen[s] == nil {
				seen[s] = &[2]int{}
			}
			if x == b {
				seen[s][0]++
			} else {
				seen[s][1]++
			}
		}
		for _, s := range slices.Sorted(maps.Keys(seen)) { // two outcomes: ln Γ(n+1) - ln Γ(1/2)², which is ln Γ(n+1) - ln π
			n := seen[s]
			whole, _ := math.Lgamma(float64(n[0]+n[1]) + 1)
			out += h.half[n[0]] + h.half[n[1]] - 2*h.half[0] - whole
		}
	}
	return out
}

// turns is the evidence of turns: the more a backend is behind its share, the likelier it is next. How far it is behind
// counts in quarters of a request and up to eight, which is as far as turns of a few balancers go.
func (h *history) turns(low, high int) float64 {
	all, n := h.counts(low, high), float64(high-low)
	behind := make([][]int8, h.k)
	for b := range behind {
		behind[b] = make([]int8, high-low)
		share, had := float64(all[b])/n, 0.0
		for i := low; i < high; i++ {
			d := share*float64(i-low+1) - had
			behind[b][i-low] = int8(4 * min(8, max(-8, d)))
			if h.order[i] == b {
				had++
			}
		}
	}
	return h.told(low, high, func(b, i int) int { return int(behind[b][i-low]) })
}

// sticky is the evidence that the draw depends on the one before it.
func (h *history) sticky(low, high int) float64 {
	return h.told(low, high, func(_, i int) int {
		if i == low {
			return -1
		}
		return h.order[i-1]
	})
}

// longestCycle bounds the connections that nobody names and that are used in turns.
const longestCycle = 100

// cycle is the evidence that where requests go repeats, and after how many: connections that nobody names and that are
// used in turns.
func (h *history) cycle(low, high int) (evidence float64, period int) {
	evidence = math.Inf(-1)
	rows := make([]int, longestCycle*h.k)
	for p := 2; p <= min(longestCycle, (high-low)/10); p++ {
		clear(rows)
		for i, at := low, 0; i < high; i++ {
			rows[at*h.k+h.order[i]]++
			if at++; at == p {
				at = 0
			}
		}
		v := -math.Log(longestCycle)
		for r := range p {
			v += h.drawn(rows[r*h.k : (r+1)*h.k])
		}
		if v > evidence {
			evidence, period = v, p
		}
	}
	return evidence, period
}

// drift is the evidence of shares that move evenly from the first request to the last: of each request a coin that says
// "late" with the part of the run that is over decides which shares it is drawn from. They are found by expectation
// maximisation, which cannot miss: the likelihood has one maximum.
func (h *history) drift(low, high int) (evidence float64, begin, end []float64) {
	const cells, steps = 200, 200
	n := high - low
	count := make([][]int, min(cells, n))
	for c := range count {
		count[c] = h.counts(low+c*n/len(count), low+(c+1)*n/len(count))
	}
	begin, end = make([]float64, h.k), make([]float64, h.k)
	for i, c := range h.counts(low, high) {
		begin[i], end[i] = float64(c)/float64(n), float64(c)/float64(n)
	}
	for range steps {
		evidence = 0
		early, late := make([]float64, h.k), make([]float64, h.k)
		var sumEarly, sumLate float64
		for c, row := range count {
			u := (float64(c) + 0.5) / float64(len(count))
			for i, x := range row {
				if x == 0 {
					continue
				}
				p := (1-u)*begin[i] + u*end[i]
				evidence += float64(x) * math.Log(p)
				e, l := float64(x)*(1-u)*begin[i]/p, float64(x)*u*end[i]/p
				early[i], late[i], sumEarly, sumLate = early[i]+e, late[i]+l, sumEarly+e, sumLate+l
			}
		}
		for i := range begin {
			begin[i], end[i] = early[i]/sumEarly, late[i]/sumLate
		}
	}
	return evidence - float64(h.k-1)*math.Log(float64(n)), begin, end
}
