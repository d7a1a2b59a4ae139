package analyze

import (
	"math"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/mathext"
)

// RaoScottResult corrects Pearson's test for requests that come in clusters (a connection, a source pod): the
// requests of a pinned connection are one draw, not many.
type RaoScottResult struct {
	Clusters      int       // clusters with requests
	X2            float64   // Pearson's statistic of the sums
	Naive         PValue    // what it would say if requests were independent
	DesignEffects []float64 // per backend: variance of its share in units of that of independent requests
	MeanDeff      float64   // mean design effect: about 1 for independent requests
	Eigenvalues   []float64 // of N times the cluster variance in units of the multinomial one, descending
	First         Statistic // X2/MeanDeff (Rao and Scott 1981)
	Second        Statistic // with the unequal eigenvalues allowed for by Satterthwaite (Rao and Scott 1984); the one to use
	SecondDF      float64   // its fractional degrees of freedom
	A2            float64   // squared coefficient of variation of the eigenvalues
	Wald          float64   // quadratic form of the deviations in the inverse cluster variance; 0 where that is singular
	WaldF         Statistic // F form (Thomas and Rao 1987); p = 1 where there are fewer clusters than backends
	Effective     float64   // effective number of requests, N/MeanDeff
	Few           bool      // fewer than 20 clusters: the correction itself is rough
}

// fewClusters is the number below which Rao and Scott's correction is not to be trusted alone.
const fewClusters = 20

// RaoScott tests the sum of clusters (rows aligned to w) with the variance that the clusters show. Backends of weight
// 0 and empty clusters are left out. Two clusters and two backends are the least; fewer, or no variance at all
// between clusters, are an error that wraps ErrInput.
func RaoScott(clusters [][]int64, w Weights) (RaoScottResult, error) {
	rows, cl, err := positiveRows(clusters, w)
	if err != nil {
		return RaoScottResult{}, err
	}
	k := len(cl.w)
	sum := make([]int64, k)
	var used [][]int64
	for _, row := range rows {
		if cl.with(row).total == 0 {
			continue
		}
		used = append(used, row)
		for r, n := range row {
			sum[r] += n
		}
	}
	if k < 2 || len(used) < 2 {
		return RaoScottResult{}, inputErrorf("clusters: %d with requests for %d backends, want at least 2 of each", len(used), k)
	}
	all := cl.with(sum)
	observed, expected := all.floats()
	out := RaoScottResult{Clusters: len(used), Few: len(used) < fewClusters, X2: pearsonValue(observed, expected)}
	df := float64(k - 1)
	out.Naive = pFromLn(ChiSquareLogSF(out.X2, df), Asymptotic)
	m := relativeVariance(used, all)
	for r := range k {
		out.DesignEffects = append(out.DesignEffects, m.At(r, r)/(1-all.share(r)))
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(m, true) {
		return RaoScottResult{}, inputErrorf("clusters: the variance between them has no eigenvalues")
	}
	// One eigenvalue is 0 (shares sum to 1): the one smallest in size.
	values := eigen.Values(nil)
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	drop := 0
	for j, v := range values {
		if math.Abs(v) < math.Abs(values[drop]) {
			drop = j
		}
	}
	squares := 0.0
	largest := 0.0
	for j := k - 1; j >= 0; j-- {
		if j == drop {
			continue
		}
		v := math.Max(0, values[j])
		out.Eigenvalues = append(out.Eigenvalues, v)
		out.MeanDeff += v / df
		squares += v * v
		largest = math.Max(largest, v)
	}
	if !(out.MeanDeff > 0) {
		return RaoScottResult{}, inputErrorf(
			"clusters: no variance between %d clusters, a design effect cannot be estimated", len(used))
	}
	out.correct(df, squares)
	out.wald(all, values, &vectors, drop, largest)
	out.Effective = float64(all.total) / out.MeanDeff
	return out, nil
}

// correct fills in the two corrected statistics.
func (out *RaoScottResult) correct(df, squares float64) {
	out.A2 = math.Max(0, squares/(df*out.MeanDeff*out.MeanDeff)-1)
	if out.A2 < 1e-12 {
		out.A2 = 0
	}
	out.First = Statistic{Value: out.X2 / out.MeanDeff, DF: int(df)}
	out.First.Asymptotic = pFromLn(ChiSquareLogSF(out.First.Value, df), Asymptotic)
	out.SecondDF = df / (1 + out.A2)
	out.Second = Statistic{Value: out.First.Value / (1 + out.A2), DF: int(math.Round(out.SecondDF))}
	out.Second.Asymptotic = pFromLn(ChiSquareLogSF(out.Second.Value, out.SecondDF), Asymptotic)
}

// wald is the quadratic form of the deviations in the inverse of the cluster variance.
func (out *RaoScottResult) wald(all cells, values []float64, vectors *mat.Dense, drop int, largest float64) {
	out.WaldF = Statistic{Asymptotic: pFromLn(0, Asymptotic)}
	k, c := len(all.w), out.Clusters
	if c < k {
		return
	}
	for j, v := range values {
		if j == drop {
			continue
		}
		if v <= 1e-12*largest {
			out.Wald = 0
			return // singular: a backend that no cluster varies in
		}
		dot := 0.0
		for r := range k {
			pi := all.share(r)
			dot += vectors.At(r, j) * (float64(all.n[r])/float64(all.total) - pi) / math.Sqrt(pi)
		}
		out.Wald += float64(all.total) * dot * dot / v
	}
	d1, d2 := float64(k-1), float64(c-k+1)
	out.WaldF.Value = d2 / (float64(c-1) * d1) * out.Wald
	out.WaldF.DF = k - 1
	out.WaldF.Asymptotic = pFromLn(math.Log(fUpper(out.WaldF.Value, d1, d2)), Asymptotic)
}

// relativeVariance is N * D^(-1/2) V D^(-1/2), D the declared shares and V the cluster variance of the observed ones:
// its eigenvalues but the one 0 are the generalised design effects.
func relativeVariance(clusters [][]int64, all cells) *mat.SymDense {
	k, c, total := len(all.w), float64(len(clusters)), float64(all.total)
	m := mat.NewSymDense(k, nil)
	residual := make([]float64, k)
	for _, row := range clusters {
		size := float64(all.with(row).total)
		for r := range k {
			residual[r] = (float64(row[r]) - size*float64(all.n[r])/total) / math.Sqrt(all.share(r))
		}
		for r := range k {
			for s := r; s < k; s++ {
				m.SetSym(r, s, m.At(r, s)+residual[r]*residual[s]*c/(c-1)/total)
			}
		}
	}
	return m
}

// fUpper is P(F >= x) for d1 and d2 degrees of freedom. distuv.F.Survival cancels to 0 in the tail.
func fUpper(x, d1, d2 float64) float64 {
	if !(x > 0) {
		return 1
	}
	return mathext.RegIncBeta(d2/2, d1/2, d2/(d2+d1*x))
}

// tUpper is P(T >= x) for df degrees of freedom.
func tUpper(x, df float64) float64 {
	half := 0.5 * mathext.RegIncBeta(df/2, 0.5, df/(df+x*x))
	if x < 0 {
		return 1 - half
	}
	return half
}
