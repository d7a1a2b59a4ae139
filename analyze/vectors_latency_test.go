package analyze

import "math"

// weightsOf turns null probabilities with at most four decimals into whole-number weights.
func weightsOf(p []float64) Weights {
	w := make([]int64, len(p))
	for i, x := range p {
		w[i] = int64(math.Round(x * 10000))
	}
	return named(w...)
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

func vectorMinSamples(c checker) {
	var in struct{ Q, Conf float64 }
	var want struct {
		Two int `json:"min_n_two_sided"`
		One int `json:"min_n_upper_one_sided"`
	}
	c.input(&in)
	c.expect(&want)
	if got := MinSamples(in.Q, in.Conf); got != want.Two {
		c.Errorf("two-sided minimum %d, want %d", got, want.Two)
	}
	// A one-sided bound at level 1-a is an end of the two-sided interval at level 1-2a.
	if got := MinSamples(in.Q, 2*in.Conf-1); got != want.One {
		c.Errorf("one-sided minimum %d, want %d", got, want.One)
	}
}

func vectorDispersion(c checker) {
	var in struct {
		Windows [][]int64
		Weights []int64
	}
	var want struct {
		X2    float64 `json:"sum_x2"`
		DF    int
		Under float64 `json:"p_under"`
		Over  float64 `json:"p_over"`
	}
	c.input(&in)
	c.expect(&want)
	x2, df, err := Dispersion(in.Windows, named(in.Weights...))
	c.ok(err)
	c.near("sum", x2, want.X2)
	c.near("too even", math.Exp(ChiSquareLogCDF(x2, float64(df))), want.Under)
	c.near("too uneven", math.Exp(ChiSquareLogSF(x2, float64(df))), want.Over)
	if df != want.DF {
		c.Errorf("df %d, want %d", df, want.DF)
	}
}
