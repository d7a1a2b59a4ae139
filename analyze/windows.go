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
