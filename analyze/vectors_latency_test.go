package analyze

import (
	"fmt"
	"math"
)

// weightsOf turns null probabilities with at most four decimals into whole-number weights.
func weightsOf(p []float64) Weights {
	w := make([]int64, len(p))
	for i, x := range p {
		w[i] = int64(math.Round(x * 10000))
	}
	return named(w...)
}

func vectorSSRM(c checker) {
	var in struct {
		Batches [][]int64
		Null    []float64 `json:"null_probabilities"`
		Conc    float64   `json:"dirichlet_concentration"`
	}
	var want struct {
		BF []float64 `json:"log_bayes_factor"`
		P  []float64 `json:"p_value"`
		PP []float64 `json:"posterior_probability_odds1"`
	}
	c.input(&in)
	c.expect(&want)
	got, err := SSRM(weightsOf(in.Null), in.Batches, in.Conc)
	c.ok(err)
	for i, l := range got {
		c.near("ln Bayes factor", l.LnBayesFactor, want.BF[i])
		c.near("p", l.P, want.P[i])
		c.near("posterior", l.Posterior, want.PP[i])
	}
}

func vectorMixture(c checker) {
	var in struct {
		Counts []int64
		Null   []float64 `json:"null_probabilities"`
		Conc   []float64 `json:"concentrations"`
		Alpha  float64
	}
	var want struct {
		LogE      float64     `json:"log_e_value"`
		P         float64     `json:"p_at_this_look"`
		Threshold float64     `json:"log_threshold_c"`
		CS        [][]float64 `json:"confidence_sequence_projection"`
	}
	c.input(&in)
	c.expect(&want)
	o := DefaultOptions()
	o.Alpha = in.Alpha
	s, err := NewSequential(weightsOf(in.Null), o, in.Conc...)
	c.ok(err)
	look, err := s.Update(in.Counts)
	c.ok(err)
	c.near("ln e", look.LnE, want.LogE)
	c.near("p", look.Anytime.P, want.P)
	n := []float64{float64(in.Counts[0]), float64(in.Counts[1])}
	c.near("threshold", math.Log(in.Alpha)+lnMixtureMarginal(n, in.Null, in.Conc), want.Threshold)
	for i, ci := range look.Intervals {
		c.nearAll("interval", []float64{ci.Low, ci.High}, want.CS[i])
	}
}

func vectorQuantileCI(c checker) {
	var in struct {
		N       int64
		Q, Conf float64
	}
	var want struct {
		Two      int   `json:"min_n_two_sided"`
		One      int   `json:"min_n_upper_one_sided"`
		Low      int64 `json:"lo_order"`
		High     int64 `json:"hi_order"`
		Coverage float64
	}
	c.input(&in)
	c.expect(&want)
	low, high := quantileOrders(in.N, in.Q, in.Conf)
	if low != want.Low || high != want.High {
		c.Errorf("orders %d to %d, want %d to %d", low, high, want.Low, want.High)
	}
	c.near("coverage", between(low, high-1, in.N, in.Q), want.Coverage)
	if got := MinSamples(in.Q, in.Conf); got != want.Two {
		c.Errorf("two-sided minimum %d, want %d", got, want.Two)
	}
	// A one-sided bound at level 1-a is an end of the two-sided interval at level 1-2a.
	if got := MinSamples(in.Q, 2*in.Conf-1); got != want.One {
		c.Errorf("one-sided minimum %d, want %d", got, want.One)
	}
}

func vectorQuantileTypes(c checker) {
	var in struct{ X, Q []float64 }
	var want struct{ Type1, Type4, Type7 []float64 }
	c.input(&in)
	c.expect(&want)
	for kind, values := range map[int][]float64{1: want.Type1, 4: want.Type4, 7: want.Type7} {
		for i, q := range in.Q {
			got, err := QuantileType(in.X, q, kind)
			c.ok(err)
			c.near(fmt.Sprintf("type %d of %v", kind, q), got, values[i])
		}
	}
}

// thousandths turns values with three decimals into whole numbers.
func thousandths(x []float64) []int64 {
	out := make([]int64, len(x))
	for i, v := range x {
		out[i] = int64(math.Round(1000 * v))
	}
	return out
}

func vectorQuantileDifference(c checker) {
	var in struct {
		X, Y    []float64
		Q, Conf float64
	}
	var want struct {
		QX, QY, Diff float64
		CIX          []*float64 `json:"ci_x"`
		CIY          []*float64 `json:"ci_y"`
		Mover        []*float64
	}
	c.input(&in)
	c.expect(&want)
	got, err := QuantileDiff(thousandths(in.X), thousandths(in.Y), in.Q, in.Conf)
	c.ok(err)
	c.near("first", float64(got.First)/1000, want.QX)
	c.near("second", float64(got.Second)/1000, want.QY)
	c.near("difference", float64(got.Difference)/1000, want.Diff)
	ends := func(what string, ci Interval, want []*float64) {
		c.Helper()
		for i, end := range []float64{ci.Low, ci.High} {
			if want[i] != nil {
				c.near(what, end/1000, *want[i])
			} else if !math.IsInf(end, 0) || ci.Why == "" {
				c.Errorf("%s end %d is %v (%q), want not estimable", what, i, end, ci.Why)
			}
		}
	}
	ends("first interval", got.FirstCI, want.CIX)
	ends("second interval", got.SecondCI, want.CIY)
	ends("difference interval", got.DifferenceCI, want.Mover)
}

func vectorDispersion(c checker) {
	var in struct {
		Windows [][]int64
		Weights []int64
	}
	var want struct {
		X2         float64 `json:"sum_x2"`
		DF         int
		Dispersion float64
		Under      float64 `json:"p_under"`
		Over       float64 `json:"p_over"`
	}
	c.input(&in)
	c.expect(&want)
	got, err := Dispersion(in.Windows, named(in.Weights...))
	c.ok(err)
	c.near("sum", got.SumX2, want.X2)
	c.near("dispersion", got.Dispersion, want.Dispersion)
	c.near("too even", got.TooEven.P, want.Under)
	c.near("too uneven", got.TooUneven.P, want.Over)
	if got.DF != want.DF {
		c.Errorf("df %d, want %d", got.DF, want.DF)
	}
}
