package analyze

import (
	"math"
	"slices"
)

func vectorMannWhitney(c checker) {
	var in struct{ X, Y []float64 }
	var want struct {
		U, A12        float64
		HodgesLehmann float64   `json:"hodges_lehmann"`
		HLCI          []float64 `json:"hl_ci"`
		Exact         float64   `json:"p_exact"`
		CC            float64   `json:"p_asymptotic_cc"`
		Plain         *float64  `json:"p_asymptotic"`
		BM            float64   `json:"brunner_munzel_stat"`
		BMP           float64   `json:"brunner_munzel_p"`
	}
	c.input(&in)
	c.expect(&want)
	got, err := MannWhitney(in.X, in.Y, 0.95)
	c.ok(err)
	c.near("U", got.U, want.U)
	c.near("A12", got.A12, want.A12)
	c.near("Hodges-Lehmann", got.HodgesLehmann, want.HodgesLehmann)
	if got.P.Method != Exact {
		c.Errorf("method %s", got.P.Method)
	}
	c.near("exact p", got.P.P, want.Exact)
	c.near("asymptotic p, corrected", got.AsymptoticCC.P, want.CC)
	if want.Plain != nil {
		c.near("asymptotic p", got.Asymptotic.P, *want.Plain)
	}
	if want.HLCI != nil {
		c.nearAll("shift", []float64{got.Shift.Low, got.Shift.High}, want.HLCI)
	}
	bm, err := BrunnerMunzel(in.X, in.Y)
	c.ok(err)
	c.near("Brunner-Munzel", bm.Value, want.BM)
	c.near("Brunner-Munzel p", bm.P.P, want.BMP)
}

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
		Runs         int64
		Mean, Var, Z float64
		Two          float64 `json:"p_two_sided"`
		Few          float64 `json:"p_too_few"`
		Many         float64 `json:"p_too_many"`
	}
	c.input(&in)
	c.expect(&want)
	got := Runs(letters(in.Sequence))
	if got.Runs != want.Runs {
		c.Errorf("%d runs, want %d", got.Runs, want.Runs)
	}
	c.near("mean", got.Mean, want.Mean)
	c.near("variance", got.Var, want.Var)
	c.near("z", got.Z, want.Z)
	c.near("two-sided", got.P.P, want.Two)
	c.near("too few", got.TooFew.P, want.Few)
	c.near("too many", got.TooMany.P, want.Many)
}

func vectorKS(c checker) {
	var in struct{ X, Y []float64 }
	var want struct {
		D          float64
		Exact      float64 `json:"p_exact"`
		Asymptotic float64 `json:"p_asymptotic"`
	}
	c.input(&in)
	c.expect(&want)
	got, err := KolmogorovSmirnov(in.X, in.Y)
	c.ok(err)
	c.near("D", got.D, want.D)
	c.near("exact p", got.P.P, want.Exact)
	c.near("asymptotic p", got.Asymptotic.P, want.Asymptotic)
}

func vectorSerial(c checker) {
	var in struct {
		Sequence, Indicator string
		Lag                 int
	}
	var want struct {
		Transitions [][]int64
		Categories  []string
		LB          float64 `json:"ljung_box"`
		LBP         float64 `json:"ljung_box_p"`
		ACF1        float64
		Chisq       float64 `json:"transition_chisq"`
		DF          int     `json:"transition_df"`
		P           float64 `json:"transition_p"`
	}
	c.input(&in)
	c.expect(&want)
	seq, k := letters(in.Sequence, want.Categories...)
	tr := Transitions(seq, k)
	for i := range tr.Table {
		if !slices.Equal(tr.Table[i], want.Transitions[i]) {
			c.Errorf("transitions %v, want %v", tr.Table, want.Transitions)
		}
	}
	c.near("transition statistic", tr.Value, want.Chisq)
	c.near("transition p", tr.Asymptotic.P, want.P)
	if tr.DF != want.DF {
		c.Errorf("df %d, want %d", tr.DF, want.DF)
	}
	series := make([]bool, len(seq))
	for i, r := range in.Sequence {
		series[i] = string(r) == in.Indicator
	}
	lb := LjungBox(series, in.Lag)
	c.near("Ljung-Box", lb.Value, want.LB)
	c.near("Ljung-Box p", lb.Asymptotic.P, want.LBP)
	c.near("autocorrelation", lb.ACF1, want.ACF1)
}

func vectorHomogeneity(c checker) {
	var in struct {
		Windows [][]int64
		Weights []int64
	}
	var want struct {
		GTotal  float64 `json:"G_total"`
		GPooled float64 `json:"G_pooled"`
		GHet    float64 `json:"G_heterogeneity"`
		DFTotal int     `json:"df_total"`
		DFHet   int     `json:"df_heterogeneity"`
		PPooled float64 `json:"p_pooled"`
		PHet    float64 `json:"p_heterogeneity"`
		Chisq   float64
		DF      int     `json:"chisq_df"`
		P       float64 `json:"chisq_p"`
	}
	c.input(&in)
	c.expect(&want)
	got, err := Homogeneity(in.Windows, named(in.Weights...))
	c.ok(err)
	c.near("total", got.Total.Value, want.GTotal)
	c.near("pooled", got.Pooled.Value, want.GPooled)
	c.near("heterogeneity", got.Heterogeneity.Value, want.GHet)
	c.near("pooled p", got.Pooled.Asymptotic.P, want.PPooled)
	c.near("heterogeneity p", got.Heterogeneity.Asymptotic.P, want.PHet)
	c.near("contingency", got.Contingency.Value, want.Chisq)
	c.near("contingency p", got.Contingency.Asymptotic.P, want.P)
	if got.Total.DF != want.DFTotal || got.Heterogeneity.DF != want.DFHet || got.Contingency.DF != want.DF {
		c.Errorf("degrees of freedom %d %d %d", got.Total.DF, got.Heterogeneity.DF, got.Contingency.DF)
	}
}

func vectorChangePoint(c checker) {
	var in struct {
		Sequence   string
		Categories []string
		Before     []int64 `json:"weights_before"`
		After      []int64 `json:"weights_after"`
		MinSegment int     `json:"min_segment"`
	}
	var want struct {
		G2       float64 `json:"scan_max_G2"`
		At       int     `json:"scan_argmax"`
		Known    int     `json:"known_loglik_argmax"`
		Gain     float64 `json:"known_loglik_gain_vs_no_change"`
		Mode     float64 `json:"known_posterior_at_mode"`
		Credible [2]int  `json:"known_credible95"`
	}
	c.input(&in)
	c.expect(&want)
	seq, k := letters(in.Sequence, in.Categories...)
	scan := Scan(seq, k, in.MinSegment, 99, 1)
	c.near("G", scan.Score, want.G2)
	if scan.At != want.At {
		c.Errorf("scan found %d, want %d", scan.At, want.At)
	}
	if math.Abs(scan.P.P-0.01) > 1e-12 { // none of 99 permutations comes near G = 47
		c.Errorf("scan p %v", scan.P)
	}
	known, err := KnownChange(seq, named(in.Before...), named(in.After...))
	c.ok(err)
	c.near("gain", known.Score, want.Gain)
	c.near("posterior", known.Posterior, want.Mode)
	if known.At != want.Known || [2]int{known.Low, known.High} != want.Credible {
		c.Errorf("known change at %d (%d to %d), want %d %v", known.At, known.Low, known.High, want.Known, want.Credible)
	}
}

func vectorRaoScott(c checker) {
	var in struct {
		Clusters [][]int64
		Weights  []int64
	}
	var want struct {
		X2    float64
		Naive float64   `json:"naive_p"`
		Deffs []float64 `json:"design_effects"`
		Mean  float64   `json:"mean_deff"`
		Eigen []float64 `json:"eigenvalues"`
		RS1   float64
		RS1P  float64 `json:"rs1_p"`
		A2    float64
		RS2   float64
		RS2DF float64 `json:"rs2_df"`
		RS2P  float64 `json:"rs2_p"`
		Wald  float64
		F     float64 `json:"wald_F"`
		FP    float64 `json:"wald_F_p"`
		Eff   float64 `json:"n_effective"`
	}
	c.input(&in)
	c.expect(&want)
	got, err := RaoScott(in.Clusters, named(in.Weights...))
	c.ok(err)
	c.near("X2", got.X2, want.X2)
	c.near("naive p", got.Naive.P, want.Naive)
	c.nearAll("design effects", got.DesignEffects, want.Deffs)
	c.near("mean design effect", got.MeanDeff, want.Mean)
	c.nearAll("eigenvalues", got.Eigenvalues, want.Eigen)
	c.near("first order", got.First.Value, want.RS1)
	c.near("first order p", got.First.Asymptotic.P, want.RS1P)
	c.near("a2", got.A2, want.A2)
	c.near("second order", got.Second.Value, want.RS2)
	c.near("second order df", got.SecondDF, want.RS2DF)
	c.near("second order p", got.Second.Asymptotic.P, want.RS2P)
	c.near("Wald", got.Wald, want.Wald)
	c.near("Wald F", got.WaldF.Value, want.F)
	c.near("Wald F p", got.WaldF.Asymptotic.P, want.FP)
	c.near("effective size", got.Effective, want.Eff)
}
