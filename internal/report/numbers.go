package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
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

// dash stands for what is not known.
const dash = "-"

// known writes a value, nil as a dash.
func known[T any](v *T, text func(T) string) string {
	if v == nil {
		return dash
	}
	return text(*v)
}

// count writes 12345 as 12,345.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// percent writes a share for a sentence, e.g. 64.9 %.
func percent(share float64) string { return strings.TrimSuffix(percentTight(share), "%") + " %" }

// percentTight writes a share with as many decimals as it takes to tell it from zero and from one, e.g. 64.9%.
func percentTight(share float64) string {
	p := share * 100
	decimals := 1
	for decimals < 4 && (p > 0 && p < math.Pow10(1-decimals) || p < 100 && 100-p < 0.5*math.Pow10(-decimals)) {
		decimals++
	}
	s := strconv.FormatFloat(p, 'f', decimals, 64)
	return strings.TrimSuffix(s, ".0") + "%"
}

// shareColumn is percentTight with its decimals kept, for columns.
func shareColumn(share float64) string {
	if s := percentTight(share); strings.Contains(s, ".") {
		return s
	}
	return strconv.FormatFloat(share*100, 'f', 1, 64) + "%"
}

// likelyRange writes an interval of a share, e.g. 48.8-51.4%.
func likelyRange(i *Interval) string {
	if i == nil || i.Low == nil || i.High == nil {
		return dash
	}
	return strings.TrimSuffix(shareColumn(*i.Low), "%") + "-" + shareColumn(*i.High)
}

// points writes percentage points with as many digits as exactPercent.
func points(x float64) string {
	if s := digits(x); s != "1" {
		return s + " points"
	}
	return "1 point"
}

// ms writes milliseconds, nil as a dash.
func ms(v *float64) string {
	switch {
	case v == nil:
		return dash
	case *v >= 1000:
		return strconv.FormatFloat(*v/1000, 'f', 2, 64) + "s"
	case *v < 1:
		return strconv.FormatFloat(*v, 'f', 2, 64) + "ms"
	}
	return strconv.FormatFloat(*v, 'f', 1, 64) + "ms"
}

// micros writes microseconds for a sentence, as milliseconds where they are many.
func micros(us *float64) string {
	if us == nil {
		return "an unknown time"
	}
	if *us < 1000 {
		return strconv.FormatFloat(*us, 'f', 0, 64) + "us"
	}
	return ms(new(*us / 1000))
}

// seconds writes a duration as people say it: 40s, 1m40s, 0.3s.
func seconds(s float64) string {
	if s < 10 {
		return strings.TrimSuffix(strconv.FormatFloat(s, 'f', 1, 64), ".0") + "s"
	}
	return (time.Duration(math.Round(s)) * time.Second).String()
}

// rate writes requests per second.
func rate(r float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(r, 'f', 1, 64), ".0") + "/s"
}

// statisticValue writes a number of the details: 17.978, 0.0424, 2.2e-05.
func statisticValue(x float64) string { return strconv.FormatFloat(x, 'g', 5, 64) }
