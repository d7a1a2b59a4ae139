package analyze

import "math"

// pFromLn makes a PValue of a logarithm, clipped to [0,1] against rounding.
func pFromLn(lnP float64, m Method) PValue {
	if math.IsNaN(lnP) || lnP > 0 {
		lnP = 0
	}
	if lnP == 0 {
		lnP = 0 // never -0
	}
	p := math.Exp(lnP)
	return PValue{P: p, LnP: lnP, Method: m, Lo: p, Hi: p}
}

// scaled multiplies a p-value by a count of tests, at most 1.
func (p PValue) scaled(factor float64) PValue {
	lf := math.Log(factor)
	out := pFromLn(p.LnP+lf, p.Method)
	out.Lo, out.Hi = math.Min(1, p.Lo*factor), math.Min(1, p.Hi*factor)
	if p.Method != MonteCarlo {
		out.Lo, out.Hi = out.P, out.P
	}
	return out
}

// Holm adjusts p-values for being several, by the step-down rule of S. Holm (1979), valid under any dependence; the
// order is kept and the result is at most 1. Values outside [0,1] count as 1.
func Holm(p []float64) []float64 {
	out := holmLn(lnOf(p))
	for i := range out {
		out[i] = math.Exp(out[i])
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
