// Package untrusted makes text harmless to show that came from a cluster, from a response or from a command line.
//
// It bounds text and takes away what a terminal would obey; it does not escape for Markdown, HTML or a shell, which is
// for whoever writes those. Invariant: what Safe and Printable return is printable characters alone, on one line.
package untrusted

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds in bytes.
const (
	maxSafe      = 500
	maxPrintable = 16 << 10
)

// Safe is s Masked and with everything but printable characters replaced, at most 500 bytes of it: for names and parts
// of sentences.
func Safe(s string) string {
	return Cut(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, Masked(Cut(s, 4*maxSafe))), maxSafe)
}

// Error is what err says, Safe. Errors that were joined have a line each, and become parts of one sentence.
func Error(err error) string { return Safe(strings.ReplaceAll(err.Error(), "\n", "; ")) }

// Printable is s Masked and with an escape for what is not plainly printable (control bytes, ESC, line ends,
// bidirectional and zero-width marks, private and unassigned code points), at its full length but for 16 KiB: for whole
// sentences and for what is quoted. It is stricter than what kubectl's printers do, which let direction marks through.
func Printable(s string) string {
	s = Masked(Cut(s, maxPrintable))
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1, r < 0x80 && !unicode.IsPrint(r) && !strings.ContainsRune("\n\t\r", r):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x80:
			b.WriteString(strings.Trim(fmt.Sprintf("%q", r), "'"))
		default:
			fmt.Fprintf(&b, `\u{%x}`, r)
		}
		i += size
	}
	return b.String()
}

// Short is Safe bounded to n bytes.
func Short(s string, n int) string { return Cut(Safe(s), n) }

// Cut is s bounded to n bytes, at the border of a character, with three dots where something was left out.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}
