package analyze

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
)

// vector is one case of testdata/statistics.json, whose provenance is in testdata/README.md.
type vector struct {
	ID     string          `json:"id"`
	Kind   string          `json:"kind"`
	Input  json.RawMessage `json:"input"`
	Expect json.RawMessage `json:"expect"`
	RTol   float64         `json:"rtol"`
	ATol   float64         `json:"atol"`
}

// checker compares at the tolerance of one vector.
type checker struct {
	*testing.T
	v vector
}

func (c checker) input(into any) {
	c.Helper()
	if err := json.Unmarshal(c.v.Input, into); err != nil {
		c.Fatal(err)
	}
}

func (c checker) expect(into any) {
	c.Helper()
	if err := json.Unmarshal(c.v.Expect, into); err != nil {
		c.Fatal(err)
	}
}

func (c checker) near(what string, got, want float64) {
	c.Helper()
	if !(math.Abs(got-want) <= c.v.ATol+c.v.RTol*math.Abs(want)) {
		c.Errorf("%s = %.17g, want %.17g (rtol %g)", what, got, want, c.v.RTol)
	}
}

func (c checker) nearAll(what string, got, want []float64) {
	c.Helper()
	if len(got) != len(want) {
		c.Fatalf("%s has %d values, want %d", what, len(got), len(want))
	}
	for i := range got {
		c.near(fmt.Sprintf("%s[%d]", what, i), got[i], want[i])
	}
}

func (c checker) ok(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// named gives weights the names a, b, c ...
func named(w ...int64) Weights {
	out := make(Weights, len(w))
	for i, x := range w {
		out[i] = Weight{Backend: string(rune('a' + i)), W: x}
	}
	return out
}

func TestVectors(t *testing.T) {
	data, err := os.ReadFile("testdata/statistics.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 45 {
		t.Errorf("%d vectors, want 45", len(all))
	}
	kinds := map[string]func(checker){
		"chisq_gof": vectorChisqGof, "chisq_log_sf": vectorChisqLogSF, "structural_zero": vectorStructuralZero,
		"power_divergence": vectorPowerDivergence, "exact_multinomial": vectorExactMultinomial, "binomial": vectorBinomial,
		"simultaneous_ci": vectorSimultaneousCI, "holm": vectorHolm, "gof_power": vectorGofPower, "ncx2": vectorNoncentral,
		"mann_whitney": vectorMannWhitney, "runs_test": vectorRuns, "ks_2samp": vectorKS,
		"serial_dependence": vectorSerial, "homogeneity": vectorHomogeneity, "change_point": vectorChangePoint,
		"rao_scott": vectorRaoScott, "ssrm": vectorSSRM, "mixture_eprocess": vectorMixture, "verdict": vectorVerdict,
		"tost_sample_size": vectorTostSampleSize, "missing_bounds": vectorMissing, "quantile_ci": vectorQuantileCI,
		"quantile_types": vectorQuantileTypes, "quantile_difference": vectorQuantileDifference, "dispersion": vectorDispersion,
	}
	seen := map[string]bool{}
	for _, v := range all {
		seen[v.Kind] = true
		run, known := kinds[v.Kind]
		if !known {
			t.Errorf("%s: kind %q is unknown", v.ID, v.Kind)
			continue
		}
		t.Run(v.ID, func(t *testing.T) { run(checker{t, v}) })
	}
	for kind := range kinds {
		if !seen[kind] {
			t.Errorf("no vector of kind %q", kind)
		}
	}
}

type countsInput struct {
	Counts       []int64 `json:"counts"`
	Weights      []int64 `json:"weights"`
	Alpha        float64 `json:"alpha"`
	Tolerance    float64 `json:"tolerance"`
	Unattributed int64   `json:"unattributed"`
}

// judge decides with alpha 0.05 and a wide tolerance unless the input says otherwise.
func (in countsInput) judge(c checker) Decision {
	c.Helper()
	o := DefaultOptions()
	if in.Alpha > 0 {
		o.Alpha = in.Alpha
	}
	if in.Tolerance > 0 {
		o.Tolerance = Tolerance{Points: 100 * in.Tolerance}
	}
	d, err := Judge(named(in.Weights...), Counts{N: in.Counts, Unattributed: in.Unattributed}, o)
	c.ok(err)
	return d
}

func vectorChisqGof(c checker) {
	var in countsInput
	var want struct {
		Statistic, P, TVD float64
		DF                int
		LogP              float64   `json:"log_p"`
		LeftP             float64   `json:"left_p"`
		W                 float64   `json:"cohens_w"`
		MaxAbsDev         float64   `json:"max_abs_dev"`
		Expected          []float64 `json:"expected"`
		Residuals         []float64 `json:"residuals"`
		StdRes            []float64 `json:"stdres"`
	}
	c.input(&in)
	c.expect(&want)
	d := in.judge(c)
	g := d.GoodnessOfFit
	c.near("statistic", g.Pearson.Value, want.Statistic)
	c.near("ln p", g.Pearson.Asymptotic.LnP, want.LogP)
	c.near("p", g.Pearson.Asymptotic.P, want.P)
	c.near("left p", math.Exp(ChiSquareLogCDF(g.Pearson.Value, float64(g.Pearson.DF))), want.LeftP)
	c.near("w", g.CohensW, want.W)
	c.near("largest deviation", g.MaxDeviationPoints/100, want.MaxAbsDev)
	c.near("total variation", g.TotalVariation, want.TVD)
	if g.Pearson.DF != want.DF {
		c.Errorf("df %d, want %d", g.Pearson.DF, want.DF)
	}
	for i, b := range d.Backends {
		c.near("expected", b.Expected, want.Expected[i])
		c.near("residual", (float64(b.Observed)-b.Expected)/math.Sqrt(b.Expected), want.Residuals[i])
		c.near("standardised residual", b.StandardizedResidual, want.StdRes[i])
	}
}

func vectorChisqLogSF(c checker) {
	var in struct {
		Points []struct{ Statistic, DF float64 }
	}
	var want struct {
		Points []struct {
			LogP float64 `json:"log_p"`
			P    float64
		}
	}
	c.input(&in)
	c.expect(&want)
	for i, p := range in.Points {
		got := ChiSquareLogSF(p.Statistic, p.DF)
		c.near(fmt.Sprintf("ln p of %v", p), got, want.Points[i].LogP)
		if want.Points[i].P > 1e-300 {
			c.near("p", math.Exp(got), want.Points[i].P)
		}
	}
}

func vectorStructuralZero(c checker) {
	var in countsInput
	var want struct {
		DF         int
		Statistic  float64 `json:"statistic_positive_cells"`
		P          float64 `json:"p_positive_cells"`
		Leaks      int64   `json:"leak_count"`
		Upper      float64 `json:"leak_upper_1sided"`
		Impossible bool    `json:"null_impossible"`
	}
	c.input(&in)
	c.expect(&want)
	d := in.judge(c)
	// The statistic of the positive cells is what is left when the zero-weight backends are taken out.
	positive := countsInput{Alpha: in.Alpha}
	for i, w := range in.Weights {
		if w > 0 {
			positive.Weights, positive.Counts = append(positive.Weights, w), append(positive.Counts, in.Counts[i])
		}
	}
	p := positive.judge(c).GoodnessOfFit.Pearson
	c.near("statistic", p.Value, want.Statistic)
	c.near("p", p.Asymptotic.P, want.P)
	if got := d.GoodnessOfFit.Pearson; got.DF != want.DF || math.IsInf(got.Value, 1) != want.Impossible {
		c.Errorf("df %d, statistic %v, want df %d, impossible %v", got.DF, got.Value, want.DF, want.Impossible)
	}
	for i, b := range d.Backends {
		if in.Weights[i] == 0 {
			c.near("upper bound", b.LeakUpper, want.Upper)
			if b.Observed != want.Leaks {
				c.Errorf("%d leaks, want %d", b.Observed, want.Leaks)
			}
		}
	}
	if (d.Outcome == Fail) != want.Impossible {
		c.Errorf("outcome %s, impossible %v", d.Outcome, want.Impossible)
	}
}

func vectorPowerDivergence(c checker) {
	var in countsInput
	var want map[string]struct{ Statistic, P float64 }
	c.input(&in)
	c.expect(&want)
	lambdas := map[string]float64{
		"pearson": LambdaPearson, "log-likelihood": LambdaG, "freeman-tukey": LambdaFreemanTukey,
		"mod-log-likelihood": LambdaModifiedG, "neyman": LambdaNeyman, "cressie-read": LambdaCressieRead,
	}
	for name, w := range want {
		got, err := PowerDivergence(named(in.Weights...), Counts{N: in.Counts}, lambdas[name])
		c.ok(err)
		c.near(name, got.Value, w.Statistic)
		c.near(name+" p", got.Asymptotic.P, w.P)
	}
}

func vectorExactMultinomial(c checker) {
	var in countsInput
	var want struct {
		Statistic  float64
		Chisq      float64 `json:"p_chisq"`
		LLR        float64 `json:"p_llr"`
		Prob       float64 `json:"p_prob"`
		Asymptotic float64 `json:"asymptotic_p"`
		Outcomes   float64
	}
	c.input(&in)
	c.expect(&want)
	g := in.judge(c).GoodnessOfFit
	c.near("statistic", g.Pearson.Value, want.Statistic)
	c.near("asymptotic p", g.Pearson.Asymptotic.P, want.Asymptotic)
	if g.Pearson.Exact.Method != Exact {
		c.Errorf("method %s", g.Pearson.Exact.Method)
	}
	c.near("exact p", g.Pearson.Exact.P, want.Chisq)
	w, n := named(in.Weights...), Counts{N: in.Counts}
	for order, p := range map[Order]float64{OrderPearson: want.Chisq, OrderG: want.LLR, OrderProbability: want.Prob} {
		if p == 0 {
			continue
		}
		got, ok, err := ExactTest(w, n, order, 0)
		c.ok(err)
		if !ok {
			c.Errorf("order %s: not computed", order)
		}
		c.near(string(order), got.P, p)
	}
	var total int64
	for _, x := range in.Counts {
		total += x
	}
	c.near("outcomes", outcomes(total, len(in.Counts)), want.Outcomes)
}

func vectorBinomial(c checker) {
	var in struct {
		X, N int64
		P0   float64
		Conf float64
	}
	var want struct {
		Minlike  float64   `json:"p_minlike"`
		CP       []float64 `json:"clopper_pearson"`
		Wilson   []float64
		Score    float64 `json:"score_p"`
		Upper    float64 `json:"upper_tail"`
		LogUpper float64 `json:"log_upper_tail"`
		Lower    float64 `json:"lower_tail"`
	}
	c.input(&in)
	c.expect(&want)
	upper, lower := lnUpper(in.X, in.N, in.P0, 1-in.P0), lnLower(in.X, in.N, in.P0, 1-in.P0)
	c.near("upper tail", math.Exp(upper), want.Upper)
	c.near("ln upper tail", upper, want.LogUpper)
	c.near("lower tail", math.Exp(lower), want.Lower)
	cp, wilson := ClopperPearson(in.X, in.N, in.Conf), Wilson(in.X, in.N, in.Conf)
	c.nearAll("Clopper-Pearson", []float64{cp.Low, cp.High}, want.CP)
	c.nearAll("Wilson", []float64{wilson.Low, wilson.High}, want.Wilson)
	// R's "minlike" is the order by probability; p0 = 1/2 and 1/100 as whole-number weights.
	scale := int64(math.Round(1 / in.P0))
	w, n := named(1, scale-1), Counts{N: []int64{in.X, in.N - in.X}}
	p, ok, err := ExactTest(w, n, OrderProbability, 0)
	c.ok(err)
	if !ok {
		c.Error("not computed")
	}
	c.near("p by probability", p.P, want.Minlike)
	s, err := PowerDivergence(w, n, LambdaPearson)
	c.ok(err)
	c.near("score p", s.Asymptotic.P, want.Score)
}

func vectorSimultaneousCI(c checker) {
	var in countsInput
	var want map[string][][]float64
	c.input(&in)
	c.expect(&want)
	methods := map[string]string{
		"goodman": MethodGoodman, "sison_glaz": MethodSisonGlaz,
		"bonferroni_clopper_pearson": MethodBonferroni, "quesenberry_hurst": MethodQuesenberryHurst,
	}
	for name, w := range want {
		got, err := SimultaneousIntervals(in.Counts, 1-in.Alpha, methods[name])
		c.ok(err)
		for i, ci := range got {
			c.nearAll(fmt.Sprintf("%s[%d]", name, i), []float64{ci.Low, ci.High}, w[i])
		}
	}
}

func vectorHolm(c checker) {
	var in struct{ P []float64 }
	var want struct{ Holm, BH, Bonferroni []float64 }
	c.input(&in)
	c.expect(&want)
	c.nearAll("Holm", Holm(in.P), want.Holm)
	c.nearAll("Benjamini-Hochberg", BenjaminiHochberg(in.P), want.BH)
	c.nearAll("Bonferroni", Bonferroni(in.P), want.Bonferroni)
}

func vectorGofPower(c checker) {
	var in struct {
		W, Alpha float64
		N        int64
		DF       int
		Target   float64 `json:"target_power"`
	}
	var want struct {
		Critical, Power float64
		Lambda          float64 `json:"lambda_star"`
		N               int64   `json:"n_required"`
		MDE             float64 `json:"mde_w_at_n"`
	}
	c.input(&in)
	c.expect(&want)
	c.near("critical value", ChiSquareISF(in.Alpha, float64(in.DF)), want.Critical)
	c.near("power", Power(in.W, in.N, in.DF, in.Alpha), want.Power)
	c.near("lambda", noncentralityFor(in.Alpha, in.Target, in.DF), want.Lambda)
	c.near("smallest effect", MinDetectableW(in.N, in.Alpha, in.Target, in.DF), want.MDE)
	if got := SampleSize(in.W, in.Alpha, in.Target, in.DF); got != want.N {
		c.Errorf("sample size %d, want %d", got, want.N)
	}
}

func vectorNoncentral(c checker) {
	var in struct {
		Points []struct{ X, DF, Lambda float64 }
	}
	var want struct {
		Points []struct{ CDF, SF float64 }
	}
	c.input(&in)
	c.expect(&want)
	for i, p := range in.Points {
		cdf, sf := NoncentralChiSquare(p.X, p.DF, p.Lambda)
		c.near(fmt.Sprintf("cdf of %v", p), cdf, want.Points[i].CDF)
		c.near(fmt.Sprintf("sf of %v", p), sf, want.Points[i].SF)
	}
}

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

func vectorVerdict(c checker) {
	var in countsInput
	var want struct {
		PerBackend []struct {
			Tost    float64 `json:"tost_p"`
			Differs float64 `json:"differs_p"`
		} `json:"per_backend"`
		Match   float64 `json:"match_p"`
		Differs float64 `json:"differs_p"`
		Verdict string
		Chisq   float64 `json:"chisq_p"`
	}
	c.input(&in)
	c.expect(&want)
	d := in.judge(c)
	c.near("match", d.Match.P, want.Match)
	c.near("differs", d.Differs.P, want.Differs)
	c.near("chi-square", d.GoodnessOfFit.Pearson.Asymptotic.P, want.Chisq)
	for i, b := range d.Backends {
		c.near("match of "+b.Backend, b.Match.P, want.PerBackend[i].Tost)
		c.near("differs of "+b.Backend, b.Differs.P, want.PerBackend[i].Differs)
	}
	words := map[string]Outcome{"matches": Pass, "differs": Fail, "inconclusive": Inconclusive}
	if d.Outcome != words[want.Verdict] {
		c.Errorf("outcome %s, want %s", d.Outcome, want.Verdict)
	}
}

func vectorTostSampleSize(c checker) {
	var in struct{ P, Tolerance, Alpha, Power float64 }
	var want struct {
		N     int64   `json:"n_normal_approx"`
		Low   int64   `json:"accept_lo"`
		High  int64   `json:"accept_hi"`
		Power float64 `json:"exact_power_at_n"`
	}
	c.input(&in)
	c.expect(&want)
	n := MatchSampleSize(in.P, in.Tolerance, in.Alpha, in.Power)
	low, high, power := MatchRange(in.P, in.Tolerance, want.N, in.Alpha)
	if n != want.N || low != want.Low || high != want.High {
		c.Errorf("n %d, accepts %d to %d, want %d, %d to %d", n, low, high, want.N, want.Low, want.High)
	}
	c.near("power", power, want.Power)
}

func vectorMissing(c checker) {
	var in countsInput
	var want struct {
		Bounds   [][]float64 `json:"share_bounds"`
		Relaxed  float64     `json:"x2_min_continuous"`
		Least    float64     `json:"x2_min_integer"`
		Most     float64     `json:"x2_max"`
		Best     float64     `json:"p_best_case"`
		Worst    float64     `json:"p_worst_case"`
		Complete float64     `json:"x2_complete_case"`
	}
	c.input(&in)
	c.expect(&want)
	got, err := Missing(named(in.Weights...), Counts{N: in.Counts, Unattributed: in.Unattributed})
	c.ok(err)
	c.near("relaxed", got.X2LeastRelaxed, want.Relaxed)
	c.near("least", got.X2Least, want.Least)
	c.near("most", got.X2Most, want.Most)
	c.near("complete", got.X2Complete, want.Complete)
	c.near("best", got.Best.P, want.Best)
	c.near("worst", got.Worst.P, want.Worst)
	d := in.judge(c)
	for i, b := range want.Bounds {
		c.nearAll("bounds", []float64{got.Low[i], got.High[i]}, b)
		c.nearAll("bounds of the decision", []float64{d.Unattributed.Low[i], d.Unattributed.High[i]}, b)
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
