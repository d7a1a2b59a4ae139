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
