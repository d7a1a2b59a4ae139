package analyze

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat/distuv"
)

// monteCarloDraws is the number of simulated multinomials behind a Monte-Carlo p: about 0.1 s for four cells.
const monteCarloDraws = 100_000

// monteCarloWork bounds draws times cells.
const monteCarloWork = 600_000

// monteCarlo estimates the probability that a multinomial of total requests with weights w has a statistic of at
// least observed (less a relative 1e-12 for ties). The p is (hits+1)/(draws+1), which is never 0 and never too small
// on average (Phipson and Smyth 2010), with its 99 % Clopper-Pearson interval. The stream depends on seed alone.
func monteCarlo(total int64, w []int64, seed uint64, observed float64, statistic func(n []float64) float64) PValue {
	src := rand.NewPCG(seed, 0x73706c697462656e)
	draws := monteCarloDraws
	if draws*len(w) > monteCarloWork {
		draws = max(1000, monteCarloWork/len(w))
	}
	rest := make([]float64, len(w)+1)
	for j := len(w) - 1; j >= 0; j-- {
		rest[j] = rest[j+1] + float64(w[j])
	}
	n := make([]float64, len(w))
	threshold := observed - 1e-12*math.Abs(observed)
	hits := int64(0)
	for range draws {
		left := float64(total)
		for j := range w {
			n[j] = left
			if j < len(w)-1 && left > 0 {
				n[j] = distuv.Binomial{N: left, P: float64(w[j]) / rest[j], Src: src}.Rand()
			}
			left -= n[j]
		}
		if statistic(n) >= threshold {
			hits++
		}
	}
	p := (float64(hits) + 1) / (float64(draws) + 1)
	ci := ClopperPearson(hits, int64(draws), 0.99)
	out := pFromLn(math.Log(p), MonteCarlo)
	out.Lo, out.Hi = ci.Low, math.Max(ci.High, p)
	return out
}
