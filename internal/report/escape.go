package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText bounds one piece of text that is shown, in runes. The JSON has all of it.
const maxText = 4000

// Printable makes foreign text harmless to look at: what is not plainly printable (control bytes, ESC, line ends,
// bidirectional and zero-width marks, private and unassigned code points) is shown as an escape, and it is cut where it
// is too long. It is stricter than what kubectl's printers do, which let direction marks through.
func Printable(s string) string {
	var b strings.Builder
	n := 0
	for i := 0; i < len(s); {
		if n++; n > maxText {
			b.WriteString("...")
			break
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u{%x}`, r)
		}
		i += size
	}
	return b.String()
}
