// Package untrusted makes text harmless to show that came from a cluster, from a response or from a command line.
//
// It bounds text and replaces what a terminal would obey; it does not escape for Markdown, HTML or a shell, which is for
// whoever writes those. Invariant: what Safe and Printable return is printable characters alone, on one line.
package untrusted

import (
	"strings"
	"unicode"
)

// Bounds in bytes.
const (
	maxSafe      = 500
	maxPrintable = 16 << 10
)

// Safe is s with everything but printable characters replaced, at most 500 bytes of it.
func Safe(s string) string { return Cut(printable(Cut(s, 4*maxSafe)), maxSafe) }

// Printable is s with everything but printable characters replaced, at its full length but for 16 KiB: for sentences put
// together of parts which were bounded each by itself, and whose end says what to do.
func Printable(s string) string { return printable(Cut(s, maxPrintable)) }

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// Cut is s bounded to n bytes, at the border of a character, with three dots where something was left out.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n] + "..."
}
