package analyze

import "math"

// DispersionResult compares the spread of window counts with that of random draws, in both directions.
type DispersionResult struct {
	SumX2      float64 // sum of Pearson's statistic over windows
	DF         int     // degrees of freedom
	Dispersion float64 // SumX2/DF: about 1 for random draws
	TooEven    PValue  // left tail: a deterministic round robin
	TooUneven  PValue  // right tail: changing weights, pinned connections
}

// Dispersion sums Pearson's statistic over windows of requests (rows aligned to w) and tests both tails. Windows
// without requests and backends of weight 0 are left out. Errors wrap ErrInput.
func Dispersion(windows [][]int64, w Weights) (DispersionResult, error) {
	rows, cl, err := positiveRows(windows, w)
	out := DispersionResult{TooEven: pFromLn(0, Asymptotic), TooUneven: pFromLn(0, Asymptotic)}
	if err != nil || len(cl.w) < 2 {
		return out, err
	}
	for _, row := range rows {
		window := cl.with(row)
		if window.total == 0 {
			continue
		}
		observed, expected := window.floats()
		out.SumX2 += pearsonValue(observed, expected)
		out.DF += len(row) - 1
	}
	if out.DF > 0 {
		df := float64(out.DF)
		out.Dispersion = out.SumX2 / df
		out.TooEven = pFromLn(ChiSquareLogCDF(out.SumX2, df), Asymptotic)
		out.TooUneven = pFromLn(ChiSquareLogSF(out.SumX2, df), Asymptotic)
	}
	return out, nil
}

// positiveRows keeps the columns of positive weight of a table of counts.
func positiveRows(table [][]int64, w Weights) ([][]int64, cells, error) {
	if _, err := w.total(); err != nil {
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

// ReplicatedG is the replicated goodness of fit of Sokal and Rohlf: Total = Pooled + Heterogeneity, exactly. Pooled
// asks whether all windows together follow the weights, Heterogeneity whether they differ from one another.
type ReplicatedG struct {
	Total, Pooled, Heterogeneity Statistic
	Contingency                  Statistic // Pearson's test of the same heterogeneity
	LeastExpected                float64   // smallest expected count; below 5 the p-values are rough
}

// Homogeneity compares windows, source pods or runs (rows aligned to w) with the weights and with one another. Empty
// rows are left out. Errors wrap ErrInput.
func Homogeneity(table [][]int64, w Weights) (ReplicatedG, error) {
	rows, cl, err := positiveRows(table, w)
	if err != nil {
		return ReplicatedG{}, err
	}
	var out ReplicatedG
	pooled := make([]int64, len(cl.w))
	used := 0
	out.LeastExpected = math.Inf(1)
	for _, row := range rows {
		window := cl.with(row)
		if window.total == 0 {
			continue
		}
		used++
		observed, expected := window.floats()
		out.Total.Value += gValue(observed, expected)
		for r, n := range row {
			pooled[r] += n
			out.LeastExpected = math.Min(out.LeastExpected, expected[r])
		}
	}
	if used == 0 {
		out.LeastExpected = 0
	}
	all := cl.with(pooled)
	if all.total > 0 {
		observed, expected := all.floats()
		out.Pooled.Value = gValue(observed, expected)
	}
	k := len(cl.w)
	out.Total.DF, out.Pooled.DF, out.Heterogeneity.DF = used*(k-1), min(used, 1)*(k-1), max(0, used-1)*(k-1)
	out.Heterogeneity.Value = math.Max(0, out.Total.Value-out.Pooled.Value)
	for _, s := range []*Statistic{&out.Total, &out.Pooled, &out.Heterogeneity} {
		s.Asymptotic = pFromLn(0, Asymptotic)
		if s.DF > 0 {
			s.Asymptotic = pFromLn(ChiSquareLogSF(s.Value, float64(s.DF)), Asymptotic)
		}
	}
	out.Contingency = contingency(rows)
	return out, nil
}
