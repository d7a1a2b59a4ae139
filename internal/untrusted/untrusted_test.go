package untrusted

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestHostileText(t *testing.T) {
	for _, row := range []struct{ in, safe, printable string }{
		{"podinfo-east", "podinfo-east", "podinfo-east"},
		{"a\x1b[31mb", "a\uFFFD[31mb", `a\x1b[31mb`},
		{"a\nb\tc\rd\x00", "a\uFFFDb\uFFFDc\uFFFDd\uFFFD", `a\nb\tc\rd\x00`},
		{"\u202ename", "\uFFFDname", `\u{202e}name`},
		{"bad \xff byte", "bad \uFFFD byte", `bad \xff byte`},
		{"grüße", "grüße", "grüße"},
	} {
		if got := Safe(row.in); got != row.safe {
			t.Errorf("Safe(%q) is %q, want %q", row.in, got, row.safe)
		}
		if got := Printable(row.in); got != row.printable {
			t.Errorf("Printable(%q) is %q, want %q", row.in, got, row.printable)
		}
	}
}

func TestCutsAtABorder(t *testing.T) {
	for n := range 12 {
		got := Cut("aüüüüb", n)
		if body := strings.TrimSuffix(got, "..."); !utf8.ValidString(got) || len(body) > n && n < len("aüüüüb") {
			t.Errorf("Cut to %d bytes: %q", n, got)
		}
	}
}

// Whatever comes in, what is shown is printable and bounded.
func FuzzShown(f *testing.F) {
	f.Add("a\x1b[0m\xff\u202e")
	f.Add(strings.Repeat("ü", 20_000))
	f.Fuzz(func(t *testing.T, s string) {
		safe, printable := Safe(s), Printable(s)
		if len(safe) > 500+len("...") || len(printable) > 8*(16<<10+len("...")) {
			t.Errorf("%d and %d bytes", len(safe), len(printable))
		}
		for _, shown := range []string{safe, printable} {
			if i := strings.IndexFunc(shown, func(r rune) bool { return !unicode.IsPrint(r) && r != unicode.ReplacementChar }); i >= 0 {
				t.Errorf("%q has %q", s, shown[i:])
			}
		}
	})
}
