package analyze

import "math"

// Holm adjusts p-values for being several, by the step-down rule of S. Holm (1979), valid under any dependence; the
// order is kept and the result is at most 1. Values outside [0,1] count as 1.
func Holm(p []float64) []float64 {
	out := holmLn(lnOf(p))
	for i := range out {
		out[i] = math.Exp(out[i])
	}
	return out
}

// BenjaminiHochberg adjusts p-values to false-discovery rates (Benjamini and Hochberg 1995), for many splits at once,
// where a list with a known share of false alarms serves better than none at all. As Holm otherwise.
func BenjaminiHochberg(p []float64) []float64 {
	lnP := lnOf(p)
	order := ascending(lnP)
	out := make([]float64, len(p))
	running := 1.0
	for rank := len(order) - 1; rank >= 0; rank-- {
		i := order[rank]
		running = math.Min(running, math.Exp(lnP[i])*float64(len(p))/float64(rank+1))
		out[i] = running
	}
	return out
}

// Bonferroni multiplies p-values by their number, at most 1. As Holm otherwise.
func Bonferroni(p []float64) []float64 {
	out := lnOf(p)
	for i := range out {
		out[i] = math.Min(1, math.Exp(out[i])*float64(len(p)))
	}
	return out
}

func lnOf(p []float64) []float64 {
	lnP := make([]float64, len(p))
	for i, x := range p {
		if x >= 0 && x <= 1 {
			lnP[i] = math.Log(x)
		}
	}
	return lnP
}

// holmLn is Holm's rule on logarithms.
func holmLn(lnP []float64) []float64 {
	order := ascending(lnP)
	out := make([]float64, len(lnP))
	running := math.Inf(-1)
	for rank, i := range order {
		adjusted := math.Min(0, lnP[i]+math.Log(float64(len(lnP)-rank)))
		running = math.Max(running, adjusted)
		out[i] = running
	}
	return out
}
