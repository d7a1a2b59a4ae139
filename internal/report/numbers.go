package report

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/splitbench/splitbench/analyze"
)

// Finite is nil for what JSON cannot say.
func Finite(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// Ms turns nanoseconds into milliseconds, to the microsecond; nil where there is no such time.
func Ms(ns float64) *float64 { return Finite(math.Round(ns/1e3) / 1e3) }

// list makes a JSON [] of a nil slice.
func list[T any](s []T) []T { return append([]T{}, s...) }

// quantileLevel is the confidence at which a quantile must be bracketed by the sample to be reported at all.
const quantileLevel = 0.95

// Enough reports whether n times are enough for a quantile of them.
func Enough(n int64, q float64) bool {
	return n > 0 && n >= int64(analyze.MinSamples(q, quantileLevel))
}

// QuantileOf is a quantile of n times in a unit, nil where they are too few for it.
func QuantileOf(n int64, q float64, at func(float64) time.Duration, unit time.Duration) *float64 {
	if !Enough(n, q) {
		return nil
	}
	return Finite(float64(at(q)) / float64(unit))
}

// QuantilesOf are those of n times which the sample is large enough for.
func QuantilesOf(n int64, at func(float64) time.Duration) (out Quantiles) {
	if n == 0 {
		return out
	}
	of := func(q float64) *float64 { return QuantileOf(n, q, at, time.Millisecond) }
	return Quantiles{
		P50Ms: of(0.5), P90Ms: of(0.9), P99Ms: of(0.99), P999Ms: of(0.999),
		MaxMs: Finite(float64(at(1)) / float64(time.Millisecond)),
	}
}

// TooFew says why quantiles of n times are null, "" where none is.
func TooFew(n int64) string {
	quantiles := []float64{0.5, 0.9, 0.99, 0.999}
	i := slices.IndexFunc(quantiles, func(q float64) bool { return !Enough(n, q) })
	if i < 0 {
		return ""
	}
	q := quantiles[i]
	return fmt.Sprintf("the %g %% quantile and those above it need at least %s answers", q*100,
		count(int64(analyze.MinSamples(q, quantileLevel))))
}
