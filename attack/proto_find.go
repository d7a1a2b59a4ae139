package attack

import (
	"encoding/binary"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

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
