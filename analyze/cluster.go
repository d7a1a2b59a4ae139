package analyze

import "math"

// DesignEffect says how much requests that come in clusters (a connection, a source pod) tell: the requests of a pinned
// connection are one draw, not many.
type DesignEffect struct {
	Clusters int       // clusters with requests
	Backend  []float64 // per backend: variance of its share in units of that of independent requests
	Mean     float64   // of Rao and Scott's generalised design effects: about 1 for independent requests
	Few      bool      // fewer than 20 clusters: the estimate itself is rough
}

// FewClusters is the number below which a design effect is not to be trusted alone.
const FewClusters = 20

// ClusterDesign estimates the design effect of clusters (rows aligned to w; J. N. K. Rao and A. J. Scott 1981).
// Backends of weight 0 and empty clusters are left out. Two clusters and two backends are the least; fewer, or no
// variance at all between clusters, are an error that wraps ErrInput.
func ClusterDesign(clusters [][]int64, w Weights) (DesignEffect, error) {
	rows, cl, err := positiveRows(clusters, w)
	if err != nil {
		return DesignEffect{}, err
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
		return DesignEffect{}, inputErrorf("clusters: %d with requests for %d backends, want at least 2 of each", len(used), k)
	}
	out := DesignEffect{Clusters: len(used), Few: len(used) < FewClusters}
	// The mean of the eigenvalues of a matrix is its trace over its rank; shares sum to 1, so one eigenvalue is 0.
	for r, v := range relativeVariance(used, cl.with(sum)) {
		out.Backend = append(out.Backend, v/(1-cl.share(r)))
		out.Mean += v / float64(k-1)
	}
	if !(out.Mean > 0) {
		return DesignEffect{}, inputErrorf(
			"clusters: no variance between %d clusters, a design effect cannot be estimated", len(used))
	}
	return out, nil
}

// relativeVariance is the diagonal of N * D^(-1/2) V D^(-1/2), D the declared shares and V the cluster variance of the
// observed ones.
func relativeVariance(clusters [][]int64, all cells) []float64 {
	c, total := float64(len(clusters)), float64(all.total)
	out := make([]float64, len(all.w))
	for _, row := range clusters {
		size := float64(all.with(row).total)
		for r, n := range row {
			residual := (float64(n) - size*float64(all.n[r])/total) / math.Sqrt(all.share(r))
			out[r] += residual * residual * c / (c - 1) / total
		}
	}
	return out
}
