package analyze

import (
	"cmp"
	"math"
	"slices"
)

// Agreement says whether groups of requests (source pods, nodes, zones) go to the same shares, whatever these are.
type Agreement struct {
	Groups int // with requests
	// Test is Pearson's of homogeneity. Its DF is 0 where there is none: one group or one backend, or less than one answer
	// that is expected of some backend in some group, where no large-sample law of it holds.
	Test     Statistic
	StandOut []Outlier // groups that differ from all others together, the least likely first
}

// Outlier is a group whose share of a backend is not that of all others together.
type Outlier struct {
	Group, Backend int     // places in the table
	Observed       int64   // answers of the backend in the group
	Requests       int64   // of the group
	Share, Others  float64 // of the backend, in the group and outside of it; 0 to 1
	AdjustedP      PValue  // exact; Holm over all groups and backends
}

// Agree compares the rows of a table of answers, a column for each backend. A group stands out where Fisher's exact
// test of it against all others, of one backend against all others, has a p of at most alpha after Holm's correction:
// if all groups have the same shares, one is named with probability alpha at most, however few its requests are.
// Errors wrap ErrInput.
func Agree(table [][]int64, alpha float64) (Agreement, error) {
	for i, row := range table {
		if len(row) != len(table[0]) || len(row) > 0 && slices.Min(row) < 0 {
			return Agreement{}, inputErrorf("groups: row %d is no list of %d counts of 0 or more", i, len(table[0]))
		}
	}
	if !(alpha > 0 && alpha < 1) {
		return Agreement{}, inputErrorf("groups: alpha %v is out of range, want above 0 and below 1", alpha)
	}
	rows, cols, total := margins(table)
	var out Agreement
	for _, n := range rows {
		if n > 0 {
			out.Groups++
		}
	}
	if leastExpected(table) >= 1 {
		out.Test = contingency(table)
	}
	var all []Outlier
	var lnP []float64
	for _, b := range told(cols) {
		for g, n := range rows {
			if n == 0 || n == total {
				continue
			}
			x := float64(table[g][b])
			all = append(all, Outlier{
				Group: g, Backend: b, Observed: table[g][b], Requests: int64(n),
				Share: x / n, Others: (cols[b] - x) / (total - n),
			})
			lnP = append(lnP, lnFisher(table[g][b], int64(n), int64(cols[b]), int64(total)))
		}
	}
	for i, p := range holmLn(lnP) {
		if all[i].AdjustedP = pFromLn(p, Exact); all[i].AdjustedP.P <= alpha {
			out.StandOut = append(out.StandOut, all[i])
		}
	}
	slices.SortFunc(out.StandOut, func(a, b Outlier) int {
		return cmp.Or(cmp.Compare(a.AdjustedP.LnP, b.AdjustedP.LnP), cmp.Compare(a.Group, b.Group))
	})
	named := map[int]bool{}
	out.StandOut = slices.DeleteFunc(out.StandOut, func(o Outlier) bool {
		again := named[o.Group]
		named[o.Group] = true
		return again
	})
	return out, nil
}

// told are the columns that tell everything: those with answers, of two the smaller alone, which mirrors the other.
func told(cols []float64) (out []int) {
	for b, n := range cols {
		if n > 0 {
			out = append(out, b)
		}
	}
	if len(out) == 2 {
		slices.SortFunc(out, func(a, b int) int { return cmp.Or(cmp.Compare(cols[a], cols[b]), cmp.Compare(b, a)) })
		out = out[:1]
	}
	return out
}

// lnFisher is ln of the p of Fisher's exact test, two-sided as twice the smaller tail, that x of a group's n answers
// are of a backend that has k of the total. The probability of x is Loader's, as a ratio of three binomial ones.
func lnFisher(x, n, k, total int64) float64 {
	if float64(x)*float64(total) < float64(n)*float64(k) {
		x, k = n-x, total-k // the lower tail is the upper one of the other backends
	}
	p, q := float64(n)/float64(total), float64(total-n)/float64(total)
	ln := lnBinomialPMF(x, k, p, q) + lnBinomialPMF(n-x, total-k, p, q) - lnBinomialPMF(n, total, p, q)
	sum, term := 1.0, 1.0
	for j := x; j < min(n, k) && term > 1e-17*sum; j++ {
		term *= float64(k-j) / float64(j+1) * (float64(n-j) / float64(total-k-n+j+1))
		sum += term
	}
	return math.Min(0, math.Ln2+ln+math.Log(sum))
}
