package report

import (
	"math"
	"testing"

	"github.com/splitbench/splitbench/internal/untrusted"
)

func TestNumbersAsPeopleSayThem(t *testing.T) {
	check := func(name, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 7: "7", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234", math.MaxInt64: "9,223,372,036,854,775,807"} {
		check("count", count(n), want)
	}
	for share, want := range map[float64]string{
		0: "0%", 1: "100%", 0.5: "50%", 0.649: "64.9%", 0.005: "0.50%", 0.0005: "0.050%", 0.00001: "0.0010%",
		0.9999: "99.99%", 0.99999: "99.999%", 0.999: "99.9%", 0.33333: "33.3%",
	} {
		check("percentTight", percentTight(share), want)
	}
	check("percent", percent(0.649), "64.9 %")
	for p, want := range map[float64]string{5: "5 points", 1: "1 point", 2.72: "2.7 points", 0.94: "0.94 points", 0.05: "0.05 points", 12: "12 points"} {
		check("points", points(p), want)
	}
	for v, want := range map[float64]string{0.05: "0.05ms", 3.14: "3.1ms", 41.2: "41.2ms", 999.9: "999.9ms", 1250: "1.25s"} {
		check("ms", ms(&v), want)
	}
	check("ms", ms(nil), "-")
	for s, want := range map[float64]string{0.3: "0.3s", 5: "5s", 40: "40s", 100.4: "1m40s"} {
		check("seconds", seconds(s), want)
	}
	for in, want := range map[string]string{"-n": "-n", "a b": "'a b'", "": "''", "it's": `'it'\''s'`, "$(x)": "'$(x)'", "~": "'~'", "http://x:1/": "http://x:1/", "ü": "'ü'"} {
		check("shell", untrusted.Shell(in), want)
	}
}
