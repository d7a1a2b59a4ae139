package report

import (
	"math"
	"strconv"
	"strings"
	"time"
)

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
	inMs := *us / 1000
	return ms(&inMs)
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
