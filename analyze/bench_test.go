package analyze

import "testing"

// The limits of these benchmarks are the project's: 10 us for two backends at any N up to 1e9, 5 ms for three at 1e5,
// 150 ms for four at 1e4, 5 ms for one main and 15 canaries at 1000, and no input above one second.

func benchmarkExact(b *testing.B, n, w []int64) {
	b.Helper()
	c := cells{n: n, w: w}
	for i := range n {
		c.total += n[i]
		c.sum += float64(w[i])
	}
	observed, expected := c.floats()
	x2 := pearsonValue(observed, expected)
	var p PValue
	for b.Loop() {
		p = exactPearson(c, x2, Options{Seed: 1})
	}
	b.ReportMetric(p.LnP, "lnP")
	b.Logf("method %s", p.Method)
}

func BenchmarkExactTwoBackends1e9(b *testing.B) {
	benchmarkExact(b, []int64{500_040_000, 499_960_000}, []int64{1, 1})
}

func BenchmarkExactTwoBackends1e5(b *testing.B) {
	benchmarkExact(b, []int64{52_000, 48_000}, []int64{1, 1})
}

func BenchmarkExactTwoBackends1000(b *testing.B) {
	benchmarkExact(b, []int64{505, 495}, []int64{1, 1})
}

func BenchmarkExactThreeBackends1e5(b *testing.B) {
	benchmarkExact(b, []int64{50_200, 29_900, 19_900}, []int64{50, 30, 20})
}

func BenchmarkExactThreeBackendsFar1e5(b *testing.B) {
	benchmarkExact(b, []int64{55_000, 29_000, 16_000}, []int64{50, 30, 20})
}

func BenchmarkExactFourBackends1e4(b *testing.B) {
	benchmarkExact(b, []int64{4050, 2970, 2010, 970}, []int64{40, 30, 20, 10})
}

func BenchmarkExactFourBackendsFar1e4(b *testing.B) {
	benchmarkExact(b, []int64{4400, 2700, 2010, 890}, []int64{40, 30, 20, 10})
}

func BenchmarkExactSixteenCanaries1000(b *testing.B) {
	n, w := make([]int64, 16), make([]int64, 16)
	n[0], w[0] = 984, 985
	for i := 1; i < 16; i++ {
		n[i], w[i] = 1, 1
	}
	n[1] = 2
	benchmarkExact(b, n, w)
}

func BenchmarkExactSixteenEqual1000(b *testing.B) {
	n, w := make([]int64, 16), make([]int64, 16)
	for i := range n {
		n[i], w[i] = 62+int64(i%3), 1
	}
	benchmarkExact(b, n, w)
}

func BenchmarkExactEightUnequal1000(b *testing.B) {
	benchmarkExact(b, []int64{35, 52, 87, 101, 139, 155, 199, 232}, []int64{3, 5, 8, 11, 14, 16, 20, 23})
}

func BenchmarkExactThreeBackends1e9(b *testing.B) {
	benchmarkExact(b, []int64{500_020_000, 299_990_000, 199_990_000}, []int64{50, 30, 20})
}

// A whole decision, with everything a report prints.
func BenchmarkJudge(b *testing.B) {
	for name, c := range map[string]struct {
		w Weights
		c Counts
	}{
		"two":     {named(50, 50), Counts{N: []int64{1210, 1200}}},
		"three":   {named(50, 30, 20), Counts{N: []int64{50_200, 29_900, 19_900}}},
		"missing": {named(50, 30, 20), Counts{N: []int64{5020, 2990, 1990}, Unattributed: 12}},
		"sixteen": {
			named(3, 5, 8, 11, 14, 16, 20, 23, 29, 31, 37, 41, 43, 47, 53, 59),
			Counts{N: []int64{35, 52, 87, 101, 139, 155, 199, 232, 285, 312, 365, 413, 428, 466, 533, 588}, Unattributed: 3},
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Judge(c.w, c.c, DefaultOptions()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
