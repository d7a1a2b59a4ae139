package render

import (
	"fmt"
	"hash/fnv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// maxText bounds one piece of text that is shown, in bytes. The JSON has all of it.
const maxText = 4000

// printable makes foreign text harmless to look at.
func printable(s string) string { return untrusted.Printable(untrusted.Cut(s, maxText)) }

// markdownSpecial are the characters that mean something to Markdown, GFM tables, HTML, mathematics or a host's own
// links.
const markdownSpecial = "\\`*_~[]|<>&!$#@"

// forMarkdown makes foreign text harmless in Markdown, in prose as well as between raw <code> tags: it is made
// harmless to look at first, then every special character becomes a character reference, which Markdown never takes
// for markup. Hosts look for mentions after that, in the finished page, so @, # and ! are also cut from what follows
// by a zero-width space; so are the parts of a URL that would make it a link.
func forMarkdown(s string) string {
	s = strings.TrimSpace(printable(s))
	var b strings.Builder
	for i, r := range s {
		switch {
		case strings.ContainsRune(markdownSpecial, r):
			fmt.Fprintf(&b, "&#%d;", r)
			if strings.ContainsRune("@#!", r) {
				b.WriteString("&#8203;")
			}
		case r == ':' && strings.HasPrefix(s[i:], "://"):
			b.WriteString(":&#8203;")
		case r == '.' && i >= 3 && strings.EqualFold(s[i-3:i], "www"):
			b.WriteString("&#8203;.")
		case startsBlock(s, i, r):
			fmt.Fprintf(&b, "&#%d;", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// startsBlock reports whether r, at byte i, could begin a list, a rule or a heading underline at the start of a line.
func startsBlock(s string, i int, r rune) bool {
	switch r {
	case '-', '+':
		return strings.Trim(s[:i], "-+") == ""
	case '.', ')':
		return i > 0 && strings.Trim(s[:i], "0123456789") == "" && (i+1 == len(s) || s[i+1] == ' ')
	}
	return false
}

// maxMarker bounds the text of a marker.
const maxMarker = 120

// forHTMLComment keeps what is safe inside <!-- -->. Where that is not all of it, a sum of the whole tells it from
// its likes.
func forHTMLComment(s string) string {
	safe := strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("./_:-", r)) {
			return r
		}
		return '_'
	}, strings.ReplaceAll(s, "--", "-_"))
	if safe == s && len(s) <= maxMarker {
		return s
	}
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(s)) // never fails
	return fmt.Sprintf("%s:%08x", safe[:min(len(safe), maxMarker)], sum.Sum32())
}

// forXML makes foreign text harmless where XML is shown, and holds nothing that ends a CDATA section.
func forXML(s string) string { return strings.ReplaceAll(printable(s), "]]>", "]] >") }
