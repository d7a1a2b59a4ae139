package analyze

import (
	"math"
	"testing"
)

func TestQuantile(t *testing.T) {
	x := []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	// R 4.2.2 quantile(1:10, q, type=1).
	for q, want := range map[float64]int64{0: 1, 0.1: 1, 0.11: 2, 0.5: 5, 0.7: 7, 0.99: 10, 1: 10, -3: 1, 7: 10} {
		if got := Quantile(x, q); got != want {
			t.Errorf("quantile %v = %d, want %d", q, got, want)
		}
	}
	if Quantile(nil, 0.5) != 0 || Quantile(x, math.NaN()) != 1 {
		t.Error("empty sample or quantile that is no number")
	}
}

func TestMinSamples(t *testing.T) {
	// n >= ln(0.025)/ln(q): 36, 72, 368, 3688; symmetric in q.
	for q, want := range map[float64]int{0.9: 36, 0.95: 72, 0.99: 368, 0.999: 3688, 0.01: 368, 0.5: 6, 0: 0, 1: 0} {
		if got := MinSamples(q, 0.95); got != want {
			t.Errorf("quantile %v needs %d, want %d", q, got, want)
		}
	}
}
