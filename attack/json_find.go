package attack

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxJSONDepth is encoding/json's limit on nesting. A deeper document is not valid to either.
const maxJSONDepth = 10000

// step is one reference token of a JSON pointer: a member's name, and the element's index where it can be one.
type step struct {
	name  string
	index int64 // -1: not an index
}

func stepsOf(path []string) []step {
	steps := make([]step, len(path))
	for i, name := range path {
		steps[i] = step{name, -1}
		if n, err := strconv.ParseUint(name, 10, 31); err == nil {
			steps[i].index = int64(n)
		}
	}
	return steps
}

// jsonFinder looks a string up in a JSON document without allocating. It judges documents exactly as encoding/json does
// (a fuzz test holds the two together): a document that is broken anywhere has no strings at all, and of two members
// with one name the last counts. Nesting is a bit per level, not a call per level, so that a hostile document cannot
// grow a stack. The zero value is ready; it is not safe for concurrent use.
type jsonFinder struct {
	isObject [maxJSONDepth/64 + 1]uint64 // per level
	text     []byte                      // the last string that had to be unescaped
}

// find returns the string at the end of a path, with numbers and booleans as they are written; false where there is none.
// The result is valid until the next call and as long as doc is not changed.
func (f *jsonFinder) find(doc []byte, path []step) ([]byte, bool) {
	for i := range path {
		lo, hi, ok := f.child(doc, &path[i])
		if !ok {
			return nil, false
		}
		doc = doc[lo:hi]
	}
	if len(path) == 0 {
		if _, _, ok := f.scan(doc, nil); !ok {
			return nil, false
		}
		doc = bytes.Trim(doc, " \t\r\n")
	}
	switch c := doc[0]; {
	case c == '"':
		return f.unescape(doc[1 : len(doc)-1]), true
	case c == '{', c == '[', c == 'n':
		return nil, false
	case (c == '-' || c >= '0' && c <= '9') && overflows(doc):
		return nil, false
	}
	return doc, true
}

// overflows reports whether a number is beyond a float64, which makes encoding/json refuse it.
func overflows(number []byte) bool {
	if len(number) < 300 && bytes.IndexByte(number, 'e') < 0 && bytes.IndexByte(number, 'E') < 0 {
		return false
	}
	v, err := strconv.ParseFloat(string(number), 64)
	return err != nil || math.IsInf(v, 0)
}

// child returns where the member or element that s names lies in doc, without the space around it.
func (f *jsonFinder) child(doc []byte, s *step) (lo, hi int, ok bool) {
	lo, hi, ok = f.scan(doc, s)
	return lo, hi, ok && hi > 0
}

// What may come next in a document.
const (
	wantValue = iota
	wantValueOrEnd
	wantKey
	wantKeyOrEnd
	wantMore // a comma, the end of the container, or of the document
)

// scan checks that doc is one JSON value, and notes the last child of that value that s names; hi is 0 where there is none.
func (f *jsonFinder) scan(doc []byte, s *step) (lo, hi int, ok bool) {
	state, depth, index, named := wantValue, 0, int64(0), false
	for i := 0; ; {
		for i < len(doc) && isSpace(doc[i]) {
			i++
		}
		if i == len(doc) {
			return lo, hi, depth == 0 && state == wantMore
		}
		c, start := doc[i], i
		switch state {
		case wantMore:
			i++
			switch {
			case depth == 0:
				return 0, 0, false
			case c == ',' && f.inObject(depth):
				state = wantKey
				continue
			case c == ',':
				state = wantValue
				continue
			case c != f.closer(depth):
				return 0, 0, false
			}
			depth--
		case wantKey, wantKeyOrEnd:
			if c == '}' && state == wantKeyOrEnd {
				i++
				depth--
				break
			}
			if i = skipString(doc, i); i < 0 {
				return 0, 0, false
			}
			if depth == 1 {
				named = s != nil && f.equal(doc[start+1:i-1], s.name)
			}
			for i < len(doc) && isSpace(doc[i]) {
				i++
			}
			if i == len(doc) || doc[i] != ':' {
				return 0, 0, false
			}
			i++
			state = wantValue
			continue
		default:
			if c == ']' && state == wantValueOrEnd {
				i++
				depth--
				break
			}
			if depth == 1 && !f.inObject(1) {
				named = s != nil && index == s.index
				index++
			}
			if named && depth == 1 {
				lo, hi = i, 0
			}
			if c == '{' || c == '[' {
				if depth++; depth > maxJSONDepth {
					return 0, 0, false
				}
				state = f.enter(depth, c)
				i++
				continue
			}
			if i = skipScalar(doc, i); i < 0 {
				return 0, 0, false
			}
		}
		// A value has ended at i.
		state = wantMore
		if named && depth == 1 {
			hi, named = i, false
		}
	}
}

func (f *jsonFinder) inObject(depth int) bool { return f.isObject[depth/64]>>(depth%64)&1 == 1 }

func (f *jsonFinder) closer(depth int) byte {
	if f.inObject(depth) {
		return '}'
	}
	return ']'
}

func (f *jsonFinder) enter(depth int, c byte) (state int) {
	bit := uint64(1) << (depth % 64)
	if c == '{' {
		f.isObject[depth/64] |= bit
		return wantKeyOrEnd
	}
	f.isObject[depth/64] &^= bit
	return wantValueOrEnd
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

//nolint:gochecknoglobals // a table that never changes
var inString = func() (t [256]bool) { // bytes that stand for themselves in a string
	for c := 0x20; c < 256; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// skipString returns the place after the string that starts at i, or -1.
func skipString(doc []byte, i int) int {
	if doc[i] != '"' {
		return -1
	}
	for i++; ; i++ {
		for i < len(doc) && inString[doc[i]] {
			i++
		}
		if i == len(doc) {
			return -1
		}
		if doc[i] == '"' {
			return i + 1
		}
		if doc[i] != '\\' || i+1 == len(doc) {
			return -1
		}
		i++
		switch doc[i] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		case 'u':
			if hex4(doc[i+1:]) < 0 {
				return -1
			}
			i += 4
		default:
			return -1
		}
	}
}

// hex4 is the number that four hexadecimal digits at the start of b say, or -1.
func hex4(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	var r rune
	for _, c := range b[:4] {
		d := hexDigit(c)
		if d < 0 {
			return -1
		}
		r = r<<4 | rune(d)
	}
	return r
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// skipScalar returns the place after the string, number or word that starts at i, or -1.
func skipScalar(doc []byte, i int) int {
	switch doc[i] {
	case '"':
		return skipString(doc, i)
	case 't':
		return skipWord(doc, i, "true")
	case 'f':
		return skipWord(doc, i, "false")
	case 'n':
		return skipWord(doc, i, "null")
	}
	return skipNumber(doc, i)
}

func skipWord(doc []byte, i int, word string) int {
	if len(doc)-i < len(word) || string(doc[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

func skipNumber(doc []byte, i int) int {
	if doc[i] == '-' {
		i++
	}
	first := i
	if i = skipDigits(doc, i); i == first || doc[first] == '0' && i > first+1 {
		return -1
	}
	if i < len(doc) && doc[i] == '.' {
		start := i + 1
		if i = skipDigits(doc, start); i == start {
			return -1
		}
	}
	if i < len(doc) && (doc[i] == 'e' || doc[i] == 'E') {
		i++
		if i < len(doc) && (doc[i] == '+' || doc[i] == '-') {
			i++
		}
		start := i
		if i = skipDigits(doc, start); i == start {
			return -1
		}
	}
	return i
}

func skipDigits(doc []byte, i int) int {
	for i < len(doc) && doc[i] >= '0' && doc[i] <= '9' {
		i++
	}
	return i
}

func (f *jsonFinder) equal(quoted []byte, s string) bool { return string(f.unescape(quoted)) == s }

// unescape returns what the inside of a valid string stands for: quoted itself, or f.text. Bytes that are not UTF-8 and
// surrogates without their other half become U+FFFD, as in encoding/json.
func (f *jsonFinder) unescape(quoted []byte) []byte {
	plain := true
	for _, c := range quoted {
		if c == '\\' || c >= utf8.RuneSelf {
			plain = false
			break
		}
	}
	if plain {
		return quoted
	}
	out := f.text[:0]
	for i := 0; i < len(quoted); {
		c := quoted[i]
		switch {
		case c == '\\' && quoted[i+1] == 'u':
			r := hex4(quoted[i+2:])
			i += 6
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if len(quoted)-i >= 6 && quoted[i] == '\\' && quoted[i+1] == 'u' {
					low = hex4(quoted[i+2:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					i += 6
				}
			}
			out = utf8.AppendRune(out, r)
		case c == '\\':
			out = append(out, unescaped(quoted[i+1]))
			i += 2
		case c < utf8.RuneSelf:
			out = append(out, c)
			i++
		default:
			r, size := utf8.DecodeRune(quoted[i:])
			out = utf8.AppendRune(out, r)
			i += size
		}
	}
	f.text = out
	return out
}

func unescaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c // quote, backslash, slash
}
