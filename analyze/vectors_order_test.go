package analyze

import "slices"

// letters maps each character to the index of it in categories, or in order of the alphabet.
func letters(s string, categories ...string) (seq []int, k int) {
	if categories == nil {
		for _, r := range s {
			if x := string(r); !slices.Contains(categories, x) {
				categories = append(categories, x)
			}
		}
		slices.Sort(categories)
	}
	for _, r := range s {
		seq = append(seq, slices.Index(categories, string(r)))
	}
	return seq, len(categories)
}

func vectorRuns(c checker) {
	var in struct{ Sequence string }
	var want struct {
		Runs      int64
		Mean, Var float64
		Few       float64 `json:"p_too_few"`
		Many      float64 `json:"p_too_many"`
	}
	c.input(&in)
	c.expect(&want)
	got := Runs(letters(in.Sequence))
	if got.Runs != want.Runs {
		c.Errorf("%d runs, want %d", got.Runs, want.Runs)
	}
	c.near("mean", got.Mean, want.Mean)
	c.near("variance", got.Var, want.Var)
	c.near("too few", got.TooFew.P, want.Few)
	c.near("too many", got.TooMany.P, want.Many)
}

func vectorSerial(c checker) {
	var in struct {
		Sequence, Indicator string
		Lag                 int
	}
	var want struct {
		LB  float64 `json:"ljung_box"`
		LBP float64 `json:"ljung_box_p"`
	}
	c.input(&in)
	c.expect(&want)
	series := make([]bool, len(in.Sequence))
	for i, r := range in.Sequence {
		series[i] = string(r) == in.Indicator
	}
	lb := LjungBox(series, in.Lag)
	c.near("Ljung-Box", lb.Value, want.LB)
	c.near("Ljung-Box p", lb.Asymptotic.P, want.LBP)
}

func vectorHomogeneity(c checker) {
	var in struct {
		Windows [][]int64
		Weights []int64
	}
	var want struct {
		Chisq float64
		DF    int     `json:"chisq_df"`
		P     float64 `json:"chisq_p"`
	}
	c.input(&in)
	c.expect(&want)
	got, _, err := Homogeneity(in.Windows, named(in.Weights...))
	c.ok(err)
	c.near("contingency", got.Value, want.Chisq)
	c.near("contingency p", got.Asymptotic.P, want.P)
	if got.DF != want.DF {
		c.Errorf("%d degrees of freedom, want %d", got.DF, want.DF)
	}
}

func vectorChangePoint(c checker) {
	var in struct {
		Sequence   string
		Categories []string
		Before     []int64 `json:"weights_before"`
		After      []int64 `json:"weights_after"`
	}
	var want struct {
		Known    int     `json:"known_loglik_argmax"`
		Gain     float64 `json:"known_loglik_gain_vs_no_change"`
		Mode     float64 `json:"known_posterior_at_mode"`
		Credible [2]int  `json:"known_credible95"`
	}
	c.input(&in)
	c.expect(&want)
	seq, _ := letters(in.Sequence, in.Categories...)
	known, err := KnownChange(seq, named(in.Before...), named(in.After...))
	c.ok(err)
	c.near("gain", known.Score, want.Gain)
	c.near("posterior", known.Posterior, want.Mode)
	if known.At != want.Known || [2]int{known.Low, known.High} != want.Credible {
		c.Errorf("known change at %d (%d to %d), want %d %v", known.At, known.Low, known.High, want.Known, want.Credible)
	}
}

func vectorClusterDesign(c checker) {
	var in struct {
		Clusters [][]int64
		Weights  []int64
	}
	var want struct {
		Backend []float64 `json:"design_effects"`
		Mean    float64   `json:"mean_deff"`
	}
	c.input(&in)
	c.expect(&want)
	got, err := ClusterDesign(in.Clusters, named(in.Weights...))
	c.ok(err)
	c.nearAll("design effects", got.Backend, want.Backend)
	c.near("mean design effect", got.Mean, want.Mean)
}
