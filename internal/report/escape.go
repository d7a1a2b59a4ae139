package report

import (
	"fmt"
	"hash/fnv"
	"html"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText bounds one string of foreign origin in a rendered report, in runes. The JSON has all of it.
const maxText = 400

// forTerminal makes foreign text harmless on a terminal: what is not plainly printable (control bytes, ESC, line
// ends, bidirectional and zero-width marks, private and unassigned code points) is shown as an escape, and it is cut
// at maxText. It is stricter than what kubectl's printers do, which let direction marks through.
func forTerminal(s string) string { return printable(s, maxText) }

// forPre makes foreign text harmless between <pre> tags, where Markdown and a host's own links are not read, so that
// what is copied from there is the text itself.
func forPre(s string, limit int) string { return html.EscapeString(printable(s, limit)) }

func printable(s string, limit int) string {
	var b strings.Builder
	n := 0
	for i := 0; i < len(s); {
		if n++; n > limit {
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

// markdownSpecial are the characters that mean something to Markdown, GFM tables, HTML, mathematics or a host's own
// links.
const markdownSpecial = "\\`*_~[]|<>&!$#@"

// forMarkdown makes foreign text harmless in Markdown, in prose as well as between raw <code> or <pre> tags: it is
// made harmless for a terminal first, then every special character becomes a character reference, which Markdown
// never takes for markup. Hosts look for mentions after that, in the finished page, so @, # and ! are also cut from
// what follows by a zero-width space; so are the parts of a URL that would make it a link.
func forMarkdown(s string) string {
	s = strings.TrimSpace(forTerminal(s))
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

// code shows escaped Markdown text in a fixed-width font. Not with backticks: character references are not read
// between them.
func code(escaped string) string { return "<code>" + escaped + "</code>" }

// pre shows lines that were made harmless by forPre.
func pre(escaped ...string) string { return "<pre>\n" + strings.Join(escaped, "\n") + "\n</pre>" }

// mapStrings returns a deep copy of v in which f was applied to every string, map keys included. Renderers escape
// this way, all at once, because a call at each place would one day be forgotten.
func mapStrings[T any](v T, f func(string) string) T {
	var out T
	copyMapped(reflect.ValueOf(&out).Elem(), reflect.ValueOf(&v).Elem(), f)
	return out
}

func copyMapped(dst, src reflect.Value, f func(string) string) {
	switch src.Kind() {
	case reflect.String:
		dst.SetString(f(src.String()))
	case reflect.Pointer:
		if !src.IsNil() {
			dst.Set(reflect.New(src.Type().Elem()))
			copyMapped(dst.Elem(), src.Elem(), f)
		}
	case reflect.Slice:
		if !src.IsNil() {
			dst.Set(reflect.MakeSlice(src.Type(), src.Len(), src.Len()))
			for i := range src.Len() {
				copyMapped(dst.Index(i), src.Index(i), f)
			}
		}
	case reflect.Map:
		if !src.IsNil() {
			dst.Set(reflect.MakeMapWithSize(src.Type(), src.Len()))
			for it := src.MapRange(); it.Next(); {
				key, value := reflect.New(src.Type().Key()).Elem(), reflect.New(src.Type().Elem()).Elem()
				copyMapped(key, it.Key(), f)
				copyMapped(value, it.Value(), f)
				dst.SetMapIndex(key, value)
			}
		}
	case reflect.Struct:
		dst.Set(src) // unexported fields, as those of time.Time, are copied as they are
		for i := range src.NumField() {
			if src.Type().Field(i).IsExported() {
				copyMapped(dst.Field(i), src.Field(i), f)
			}
		}
	default:
		dst.Set(src)
	}
}

// Printable makes foreign text harmless to look at, for other renderers of a report: what is not plainly printable is shown as
// an escape, and it is cut where it is too long.
func Printable(s string) string { return forTerminal(s) }
