package analyze

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
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
	if len(all) != 37 {
		t.Errorf("%d vectors, want 37", len(all))
	}
	kinds := map[string]func(checker){
		"chisq_gof": vectorChisqGof, "chisq_log_sf": vectorChisqLogSF, "structural_zero": vectorStructuralZero,
		"g_statistic": vectorG, "exact_multinomial": vectorExactMultinomial, "binomial": vectorBinomial,
		"simultaneous_ci": vectorSimultaneousCI, "holm": vectorHolm, "gof_power": vectorGofPower, "ncx2": vectorNoncentral,
		"runs_test": vectorRuns, "serial_dependence": vectorSerial, "homogeneity": vectorHomogeneity,
		"change_point": vectorChangePoint, "cluster_design": vectorClusterDesign, "mixture_eprocess": vectorMixture,
		"verdict": vectorVerdict, "match_range": vectorMatchRange, "missing_bounds": vectorMissing,
		"min_samples": vectorMinSamples, "dispersion": vectorDispersion,
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

func vectorG(c checker) {
	var in countsInput
	var want struct{ Statistic, P float64 }
	c.input(&in)
	c.expect(&want)
	g := in.judge(c).GoodnessOfFit.G
	c.near("G", g.Value, want.Statistic)
	c.near("p", g.Asymptotic.P, want.P)
}

func vectorExactMultinomial(c checker) {
	var in countsInput
	var want struct {
		Statistic  float64
		Chisq      float64 `json:"p_chisq"`
		LLR        float64 `json:"p_llr"`
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
	if want.LLR > 0 {
		c.near("exact p of G", g.G.Exact.P, want.LLR)
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
	scale := int64(math.Round(1 / in.P0)) // p0 = 1/2 and 1/100 as whole-number weights
	test := countsInput{Counts: []int64{in.X, in.N - in.X}, Weights: []int64{1, scale - 1}}
	c.near("score p", test.judge(c).GoodnessOfFit.Pearson.Asymptotic.P, want.Score)
}

func vectorSimultaneousCI(c checker) {
	var in countsInput
	var want map[string][][]float64
	c.input(&in)
	c.expect(&want)
	methods := map[string]func(x, total int64, level float64, k int, method string) Interval{
		"goodman": scoreInterval, "bonferroni_clopper_pearson": exactInterval,
	}
	var total int64
	for _, x := range in.Counts {
		total += x
	}
	for name, w := range want {
		for i, x := range in.Counts {
			ci := methods[name](x, total, 1-in.Alpha, len(in.Counts), name)
			c.nearAll(fmt.Sprintf("%s[%d]", name, i), []float64{ci.Low, ci.High}, w[i])
		}
	}
}

func vectorHolm(c checker) {
	var in struct{ P []float64 }
	var want struct{ Holm []float64 }
	c.input(&in)
	c.expect(&want)
	c.nearAll("Holm", Holm(in.P), want.Holm)
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
	}
	c.input(&in)
	c.expect(&want)
	critical := ChiSquareISF(in.Alpha, float64(in.DF))
	_, power := NoncentralChiSquare(critical, float64(in.DF), float64(in.N)*in.W*in.W)
	c.near("critical value", critical, want.Critical)
	c.near("power", power, want.Power)
	c.near("lambda", noncentralityFor(in.Alpha, in.Target, in.DF), want.Lambda)
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

func vectorMatchRange(c checker) {
	var in struct {
		P, Tolerance, Alpha float64
		N                   int64
	}
	var want struct {
		Low   int64   `json:"accept_lo"`
		High  int64   `json:"accept_hi"`
		Power float64 `json:"exact_power_at_n"`
	}
	c.input(&in)
	c.expect(&want)
	low, high := band{pi: in.P, delta: in.Tolerance}.matchRange(in.N, math.Log(in.Alpha))
	if low != want.Low || high != want.High {
		c.Errorf("accepts %d to %d, want %d to %d", low, high, want.Low, want.High)
	}
	c.near("power", between(low, high, in.N, in.P), want.Power)
}

func vectorMissing(c checker) {
	var in countsInput
	var want struct {
		Bounds [][]float64 `json:"share_bounds"`
		Least  float64     `json:"x2_min_integer"`
		Most   float64     `json:"x2_max"`
	}
	c.input(&in)
	c.expect(&want)
	cl := positiveCells(named(in.Weights...), Counts{N: in.Counts})
	least, most := cl.with(leastPearson(cl, in.Unattributed)), cl.with(mostPearson(cl, in.Unattributed))
	c.near("least", pearsonValue(least.floats()), want.Least)
	c.near("most", pearsonValue(most.floats()), want.Most)
	d := in.judge(c)
	for i, b := range want.Bounds {
		c.nearAll("bounds", []float64{d.Unattributed.Low[i], d.Unattributed.High[i]}, b)
	}
}
