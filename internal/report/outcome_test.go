package report

import (
	"strings"
	"testing"
)

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		failOn                            FailOn
		pass, inconclusive, fail, invalid int
	}{
		{"", 0, 3, 1, 4},
		{FailOnInconclusive, 0, 3, 1, 4},
		{FailOnFail, 0, 0, 1, 4},
		{FailOnInvalid, 0, 0, 0, 4},
		{FailOnNever, 0, 0, 0, 0},
		{"nonsense", 0, 3, 1, 4}, // what nobody parsed is the strict default
	} {
		for outcome, want := range map[string]int{Pass: c.pass, Inconclusive: c.inconclusive, Fail: c.fail, Invalid: c.invalid, "": 2, "PASS": 2} {
			if got := ExitCode(outcome, c.failOn); got != want {
				t.Errorf("ExitCode(%q, %q) = %d, want %d", outcome, c.failOn, got, want)
			}
		}
	}
}

func TestParseFailOn(t *testing.T) {
	for in, want := range map[string]FailOn{"": FailOnInconclusive, "inconclusive": FailOnInconclusive, "fail": FailOnFail, "invalid": FailOnInvalid, "never": FailOnNever} {
		if got, err := ParseFailOn(in); err != nil || got != want {
			t.Errorf("ParseFailOn(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"Fail", "pass", "fail,invalid", " "} {
		if got, err := ParseFailOn(in); err == nil || !strings.Contains(err.Error(), "--fail-on") || !strings.Contains(err.Error(), "never") {
			t.Errorf("ParseFailOn(%q) = %q, %v, want an error that names the flag and its values", in, got, err)
		}
	}
}
