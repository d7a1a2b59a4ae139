package analyze

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseTolerance(t *testing.T) {
	for in, want := range map[string]Tolerance{
		"2pt": {Points: 2}, "2.5pt": {Points: 2.5}, "20%": {Relative: 0.2}, "5pt,50%": {Points: 5, Relative: 0.5},
		"50%, 5pt": {Points: 5, Relative: 0.5}, "100pt": {Points: 100}, ".5pt": {Points: 0.5}, "100%": {Relative: 1},
	} {
		got, err := ParseTolerance(in)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%q: %v %s", in, err, diff)
		}
	}
	for _, in := range []string{
		"", "2", "pt", "%", "0pt", "-1pt", "+1pt", "101pt", "101%", "NaNpt", "Infpt", "1e1pt", "0x1pt", "1_0pt", "2pt,3pt", "20%,20%",
		"2pt,", "1..2pt", "2 pt", "2PT", strings.Repeat("9", 400) + "pt",
	} {
		if got, err := ParseTolerance(in); !errors.Is(err, ErrInput) {
			t.Errorf("%q: %+v %v, want ErrInput", in, got, err)
		}
	}
}

func TestParseWeightsAndCounts(t *testing.T) {
	w, err := ParseWeights("podinfo=50, podinfo-east=0")
	if diff := cmp.Diff(Weights{{"podinfo", 50}, {"podinfo-east", 0}}, w); err != nil || diff != "" {
		t.Fatalf("%v %s", err, diff)
	}
	c, err := ParseCounts("podinfo-east=7,podinfo=9,unattributed=3", w)
	if diff := cmp.Diff(Counts{N: []int64{9, 7}, Unattributed: 3}, c); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	for _, in := range []string{"", "a", "a=", "=1", "a=-1", "a=1.5", "a=1,a=2", "a=0,b=0", "a=+1", "a=9223372036854775808", "a=1,", "a=9223372036854775807,b=1"} {
		if got, err := ParseWeights(in); !errors.Is(err, ErrInput) {
			t.Errorf("weights %q: %v %v, want ErrInput", in, got, err)
		}
	}
	for in, part := range map[string]string{
		"podinfo=1":                                "podinfo-east",
		"podinfo=1,podinfo-east=1,other=1":         `"other"`,
		"podinfo=1,podinfo=1,podinfo-east=1":       "twice",
		"podinfo=-1,podinfo-east=1":                "-1",
		"podinfo=1.5,podinfo-east=1":               "1.5",
		"podinfo=1,podinfo-east=9999999999999999":  "9007199254740992",
		"podinfo=1,podinfo-east=1,unattributed=-3": "-3",
	} {
		if got, err := ParseCounts(in, w); !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), part) {
			t.Errorf("counts %q: %v %v, want ErrInput naming %s", in, got, err, part)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("podinfo=50,podinfo-east=50", "podinfo=1,podinfo-east=2,unattributed=3", "2.5pt,20%")
	f.Add("a=1", "a=9007199254740992", "1%")
	f.Fuzz(func(t *testing.T, weights, counts, tol string) {
		if parsed, err := ParseTolerance(tol); err == nil {
			if err := parsed.Validate(); err != nil {
				t.Errorf("%q parses to what is not valid: %v", tol, err)
			}
		} else if !errors.Is(err, ErrInput) {
			t.Errorf("%v", err)
		}
		w, err := ParseWeights(weights)
		if err != nil {
			return
		}
		if err := w.Validate(); err != nil {
			t.Errorf("%q parses to what is not valid: %v", weights, err)
		}
		if c, err := ParseCounts(counts, w); err == nil && c.validate(w) != nil {
			t.Errorf("%q parses to what is not valid", counts)
		}
	})
}
