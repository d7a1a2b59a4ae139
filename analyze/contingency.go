package analyze

import (
	"math"
	"slices"
)

// Dispersion sums Pearson's statistic over windows of requests (rows aligned to w), with its degrees of freedom: too
// small a sum is a deterministic round robin, too large a one changing weights or pinned connections. Windows without
// requests and backends of weight 0 are left out. Errors wrap ErrInput.
func Dispersion(windows [][]int64, w Weights) (x2 float64, df int, err error) {
	rows, cl, err := positiveRows(windows, w)
	if err != nil || len(cl.w) < 2 {
		return 0, 0, err
	}
	for _, row := range rows {
		if window := cl.with(row); window.total > 0 {
			x2 += pearsonValue(window.floats())
			df += len(row) - 1
		}
	}
	return x2, df, nil
}

// positiveRows keeps the columns of positive weight of a table of counts.
func positiveRows(table [][]int64, w Weights) ([][]int64, cells, error) {
	if err := w.Validate(); err != nil {
		return nil, cells{}, err
	}
	cl := positiveCells(w, Counts{N: make([]int64, len(w))})
	rows := make([][]int64, len(table))
	for t, row := range table {
		if err := (Counts{N: row}).validate(w); err != nil {
			return nil, cells{}, err
		}
		rows[t] = make([]int64, len(cl.index))
		for r, i := range cl.index {
			rows[t][r] = row[i]
		}
	}
	return rows, cl, nil
}

// Homogeneity is Pearson's test of whether windows, source pods or runs (rows aligned to w) differ from one another.
// least is the smallest count that the weights expect in a row with requests; below 5 the p is rough. Errors wrap
// ErrInput.
func Homogeneity(table [][]int64, w Weights) (test Statistic, least float64, err error) {
	rows, cl, err := positiveRows(table, w)
	if err != nil {
		return Statistic{}, 0, err
	}
	least = math.Inf(1)
	for _, row := range rows {
		if window := cl.with(row); window.total > 0 {
			_, expected := window.floats()
			least = min(least, slices.Min(expected))
		}
	}
	return contingency(rows), least, nil
}

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
	used := slices.DeleteFunc(rows, func(row []int64) bool { return sumOf(row) == 0 })
	sum := make([]int64, k)
	for _, row := range used {
		for r, n := range row {
			sum[r] += n
		}
	}
	if k < 2 || len(used) < 2 {
		return DesignEffect{}, inputErrorf("clusters: %d with requests for %d backends, want at least 2 of each",
			len(used), k)
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

// margins are the sums of a table's rows and columns, and of all of it.
func margins(table [][]int64) (rows, cols []float64, total float64) {
	rows = make([]float64, len(table))
	for i, row := range table {
		for j, n := range row {
			if len(cols) <= j {
				cols = append(cols, 0)
			}
			rows[i] += float64(n)
			cols[j] += float64(n)
			total += float64(n)
		}
	}
	return rows, cols, total
}

// contingency is Pearson's test of independence of rows and columns; empty ones do not count. Where less than 5 is
// expected somewhere the chi-square law gives way to a gamma law with the mean and variance that the statistic has over
// all tables of these margins (J. B. S. Haldane, "The mean and variance of chi-squared, when used as a test of
// homogeneity, when expectations are small", Biometrika 31 (1940)).
func contingency(table [][]int64) Statistic {
	rows, cols, total := margins(table)
	r, c := newMargin(rows, total), newMargin(cols, total)
	if r.used < 2 || c.used < 2 {
		return Statistic{Asymptotic: pFromLn(0, Asymptotic)}
	}
	x2 := 0.0
	for i, row := range table {
		for j, n := range row {
			if e := rows[i] * cols[j] / total; e > 0 {
				x2 += (float64(n) - e) * (float64(n) - e) / e
			}
		}
	}
	out := chiSquareTest(x2, int((r.used-1)*(c.used-1)))
	if leastExpected(table) >= 5 {
		return out
	}
	out.Asymptotic = pFromLn(0, Asymptotic)
	mean := total / (total - 1) * (r.used - 1) * (c.used - 1)
	variance := 2*total/(total-3)*(r.even-r.sparse)*(c.even-c.sparse) + total*total/(total-1)*r.sparse*c.sparse
	if total > 3 && variance > 0 {
		scale := variance / mean
		out.Asymptotic = pFromLn(ChiSquareLogSF(2*x2/scale, 2*mean/scale), Asymptotic)
	}
	return out
}

// margin is what the variance of Pearson's statistic takes of the sums of rows, or of columns.
type margin struct{ used, even, sparse float64 }

func newMargin(sums []float64, total float64) (m margin) {
	for _, n := range sums {
		if n > 0 {
			m.used++
			m.sparse += total / n
		}
	}
	m.even = (m.used - 1) * (total - m.used) / (total - 1)
	m.sparse = (m.sparse - m.used*m.used) / (total - 2)
	return m
}

// leastExpected is the smallest count that independence expects where neither row nor column is empty.
func leastExpected(table [][]int64) float64 {
	rows, cols, total := margins(table)
	least := math.Inf(1)
	for _, r := range rows {
		for _, c := range cols {
			if r > 0 && c > 0 {
				least = math.Min(least, r*c/total)
			}
		}
	}
	return least
}
