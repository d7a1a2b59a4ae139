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

func TestMasked(t *testing.T) {
	for in, want := range map[string]string{
		"http://podinfo:9898/a?b=c&d=e":                         "http://podinfo:9898/a?b=***&d=***",
		"GET /login?access_token=s3cret HTTP/1.1":               "GET /login?access_token=*** HTTP/1.1",
		"https://me:s3cret@host:1/x":                            "https://***@host:1/x",
		"https://s3cret@host/x":                                 "https://***@host/x",
		`parse "http://me:s3 cret%zz@h/": invalid`:              `parse "http://***@h/": invalid`,
		"could not parse: ftp://me:s3 cret%zz@h:1":              "could not parse: ftp://***@h:1",
		"http://me:s3/cr/et@host":                               "http://***@host",
		"http://h/#access_token=s3cret":                         "http://h/#***",
		`"http://h/#id=s3cret" and so on`:                       `"http://h/#***" and so on`,
		"socks5://a:s3cret@p:1080, then https://b:s3cret@q/":    "socks5://***@p:1080, then https://***@q/",
		"https://h/version?timeout=15s":                         "https://h/version?timeout=15s",
		"http://h/page#part, by me@example.com":                 "http://h/page#part, by me@example.com",
		"http://h/@scope/name":                                  "http://h/@scope/name",
		"docker-pullable://nginx@sha256:0123":                   "docker-pullable://nginx@sha256:0123",
		"a=b; c=d":                                              "a=b; c=d",
		"--weights podinfo=50,podinfo-east=50 is what was said": "--weights podinfo=50,podinfo-east=50 is what was said",
	} {
		if got := Masked(in); got != want {
			t.Errorf("Masked(%q) is %q, want %q", in, got, want)
		}
	}
}
