package attack

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"unicode"
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
//
// go-json-experiment's jsontext, which has the same rules, took 2.5 times as long for podinfo's answer.
type jsonFinder struct {
	isObject [maxJSONDepth/64 + 1]uint64 // per level
}

// find returns the string at the end of a path, with numbers and booleans as they are written; false where there is
// none. The result is valid as long as doc is not changed.
func (f *jsonFinder) find(doc []byte, path []step) ([]byte, bool) {
	for i := range path {
		lo, hi, ok := f.scan(doc, &path[i])
		if !ok || hi == 0 {
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
		return unquote(doc), true
	case c == '{', c == '[', c == 'n':
		return nil, false
	case c == '-', c >= '0' && c <= '9': // encoding/json refuses what no float64 holds
		if _, err := strconv.ParseFloat(string(doc), 64); err != nil {
			return nil, false
		}
	}
	return doc, true
}

// What may come next in a document.
const (
	wantValue = iota
	wantValueOrEnd
	wantKey
	wantKeyOrEnd
	wantMore // a comma, the end of the container, or of the document
)

// scan checks that doc is one JSON value, and notes its last child that s names; hi is 0 where there is none.
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
				named = s != nil && string(unquote(doc[start:i])) == s.name
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
			if !isHex4(doc[i+1:]) {
				return -1
			}
			i += 4
		default:
			return -1
		}
	}
}

func isHex4(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	for _, c := range b[:4] {
		if (c < '0' || c > '9') && (lower(c) < 'a' || lower(c) > 'f') {
			return false
		}
	}
	return true
}

// skipScalar returns the place after the string, number or word that starts at i, or -1.
func skipScalar(doc []byte, i int) int {
	if doc[i] == '"' {
		return skipString(doc, i)
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if doc[i] == word[0] {
			if bytes.HasPrefix(doc[i:], []byte(word)) {
				return i + len(word)
			}
			return -1
		}
	}
	return skipNumber(doc, i)
}

func skipNumber(doc []byte, i int) int {
	if doc[i] == '-' {
		i++
	}
	if i < len(doc) && doc[i] == '0' {
		i++
	} else {
		i = skipDigits(doc, i)
	}
	if i > 0 && i < len(doc) && doc[i] == '.' {
		i = skipDigits(doc, i+1)
	}
	if i > 0 && i < len(doc) && doc[i]|0x20 == 'e' {
		if i++; i < len(doc) && (doc[i] == '+' || doc[i] == '-') {
			i++
		}
		i = skipDigits(doc, i)
	}
	return i
}

// skipDigits returns the place after the digits that start at i, of which there must be one, or -1.
func skipDigits(doc []byte, i int) int {
	first := i
	for i < len(doc) && doc[i] >= '0' && doc[i] <= '9' {
		i++
	}
	if i == first {
		return -1
	}
	return i
}

// unquote returns what a valid string stands for, quotes and all. Escapes and bytes that are not UTF-8 are rare in
// names and identities, so they are left to encoding/json and may allocate.
func unquote(quoted []byte) []byte {
	inside := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inside, '\\') < 0 && utf8.Valid(inside) {
		return inside
	}
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return nil
	}
	return []byte(s)
}

// protoFields yields the fields of a protobuf message that hold bytes: texts and messages look alike on the wire. It
// ends where what follows is no field, https://protobuf.dev/programming-guides/encoding/.
func protoFields(message []byte) iter.Seq2[uint64, []byte] {
	return func(yield func(uint64, []byte) bool) {
		for len(message) > 0 {
			tag, n := binary.Uvarint(message)
			if n <= 0 || tag>>3 == 0 {
				return
			}
			message = message[n:]
			size, skip := uint64(0), 0
			switch tag & 7 {
			case 0:
				_, skip = binary.Uvarint(message)
			case 1:
				skip = 8
			case 2:
				size, skip = binary.Uvarint(message)
			case 5:
				skip = 4
			}
			if skip <= 0 || skip > len(message) || size > uint64(len(message)-skip) {
				return
			}
			value := message[skip : skip+int(size)]
			message = message[skip+int(size):]
			if tag&7 == 2 && !yield(tag>>3, value) {
				return
			}
		}
	}
}

// findProto returns the first field at a path of field numbers.
func findProto(message []byte, path []uint64) ([]byte, bool) {
	for number, value := range protoFields(message) {
		if number != path[0] {
			continue
		}
		if len(path) == 1 {
			return value, true
		}
		if v, ok := findProto(value, path[1:]); ok {
			return v, true
		}
	}
	return nil, false
}

// maxProtoDepth bounds how deep messages in messages are looked at.
const maxProtoDepth = 8

// parseProtoPath reads a path of field numbers, such as /1/4.
func parseProtoPath(s string) ([]uint64, error) {
	parts := strings.Split(s, "/")
	if parts[0] != "" || len(parts) < 2 || len(parts) > maxProtoDepth+1 {
		return nil, fmt.Errorf("path of fields %q: want numbers such as /1 or /1/4, %d at most", s, maxProtoDepth)
	}
	var path []uint64
	for _, p := range parts[1:] {
		n, err := strconv.ParseUint(p, 10, 29)
		if err != nil || n == 0 {
			return nil, fmt.Errorf("path of fields %q: %q is not a field's number", s, p)
		}
		path = append(path, n)
	}
	return path, nil
}

// ProtoTexts returns what may be texts in a protobuf message whose type nobody knows, by the paths of their fields as
// RuleProto takes them, of each path the first: so many at most, and none longer than so many bytes.
func ProtoTexts(message []byte, most, longest int) map[string]string {
	out := map[string]string{}
	var walk func(message []byte, under string, depth int)
	walk = func(message []byte, under string, depth int) {
		for number, value := range protoFields(message) {
			path := under + "/" + strconv.FormatUint(number, 10)
			if _, have := out[path]; have || len(out) >= most {
				continue
			}
			if len(value) > 0 && len(value) <= longest && readable(value) {
				out[path] = string(value)
			}
			if depth < maxProtoDepth {
				walk(value, path, depth+1)
			}
		}
	}
	walk(message, "", 1)
	return out
}

func readable(b []byte) bool {
	return utf8.Valid(b) && strings.IndexFunc(string(b), func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}
