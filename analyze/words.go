package analyze

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// InWords says a probability as a frequency that needs no statistics to read: "37 of 100 runs", "2 of 1,000 runs",
// and below one in a billion "fewer than 1 in a billion runs". It never says 0.
func (p PValue) InWords() string {
	if p.LnP == math.Inf(-1) {
		return "no run at all"
	}
	if p.P >= 0.995 {
		return "nearly every run"
	}
	if p.P < 1e-9 {
		return "fewer than 1 in a billion runs"
	}
	for out := int64(100); ; out *= 10 {
		if hits := math.Round(p.P * float64(out)); hits >= 1 {
			return fmt.Sprintf("%s of %s runs", grouped(int64(hits)), grouped(out))
		}
	}
}

// grouped writes a whole number with commas: 1,234,567.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// percent writes a share as "49.4 %", with more digits below 1 %.
func percent(share float64) string { return digits(100*share) + " %" }

// digits writes a number of points with one decimal, or two significant ones where it is small, without trailing zeros.
func digits(x float64) string {
	decimals := 1
	for a := math.Abs(x); a > 0 && a < 1 && decimals < 12; a *= 10 {
		decimals++
	}
	s := strconv.FormatFloat(x, 'f', decimals, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

func points(x float64) string {
	if s := digits(x); s != "1" {
		return s + " points"
	}
	return "1 point"
}

// label names the weights: "50/50", or their number where there are many.
func (w Weights) label() string {
	if len(w) == 1 {
		return "weight of the only backend"
	}
	if len(w) > 4 {
		return fmt.Sprintf("declared weights of %d backends", len(w))
	}
	return w.Ratio() + " weights"
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}
