package attack

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

// slowString is what stringAt means, said with encoding/json.
func slowString(doc []byte, path []string) (string, bool) {
	raw := json.RawMessage(doc)
	for _, key := range path {
		switch first(raw) {
		case '{':
			var object map[string]json.RawMessage
			if json.Unmarshal(raw, &object) != nil {
				return "", false
			}
			next, ok := object[key]
			if !ok {
				return "", false
			}
			raw = next
		case '[':
			var array []json.RawMessage
			i, err := strconv.ParseUint(key, 10, 31)
			if err != nil || json.Unmarshal(raw, &array) != nil || i >= uint64(len(array)) {
				return "", false
			}
			raw = array[i]
		default:
			return "", false
		}
	}
	switch first(raw) {
	case '"':
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return "", false
		}
		return s, true
	case '{', '[', 'n', 0:
		return "", false
	default:
		var v any
		if json.Unmarshal(raw, &v) != nil {
			return "", false
		}
		return strings.Trim(string(raw), " \t\r\n"), true
	}
}

// stringAt is the string at a JSON pointer of a document.
func stringAt(doc []byte, pointer string) (string, bool) {
	path, err := parsePointer(pointer)
	if err != nil {
		return "", false
	}
	var f jsonFinder
	v, ok := f.find(doc, stepsOf(path))
	return string(v), ok
}

func first(doc []byte) byte {
	for _, b := range doc {
		if !isSpace(b) {
			return b
		}
	}
	return 0
}

var jsonSeeds = []struct{ doc, pointer string }{
	{podinfoBody, "/hostname"},
	{podinfoBody, "/nested/a~1b/1/c"},
	{podinfoBody[:60], "/hostname"},
	{`"a"`, ""},
	{` 12 `, ""},
	{`{"a":1e999}`, "/a"},
	{`{"a":-0.5E+3}`, "/a"},
	{`{"a":01}`, "/a"},
	{`{"a":1,"a":{"b":"last counts"}}`, "/a/b"},
	{`{"a":{"b":"first"},"a":2}`, "/a/b"},
	{`{"a":{"b":"first"},"a":null}`, "/a"},
	{`{"\u0061":"caf\u00e9 \ud83d\ude00 \ud83d x \/ \n"}`, "/a"},
	{"{\"\xff\":\"\xff\xc3\"}", "/\ufffd"},
	{`{"":{"":"empty names"}}`, "//"},
	{`[[],{},"x",[1,"y"]]`, "/3/1"},
	{`[1,2]`, "/01"},
	{`[1,2]`, "/+1"},
	{`[1,2]`, "/2"},
	{`[1,]`, "/0"},
	{`{"a":"x",}`, "/a"},
	{`{"a":"x"}}`, "/a"},
	{`{"a":"x"`, "/a"},
	{`{"a" "x"}`, "/a"},
	{`{"a":tru}`, "/a"},
	{`{"a":true}`, "/a"},
	{"{\"a\":\"x\ny\"}", "/a"},
	{`{"a":"\x"}`, "/a"},
	{`{"a":"\u12"}`, "/a"},
	{`{"a":"x"} garbage`, "/a"},
	{`[}`, "/0"},
	{`{]`, "/0"},
	{``, ""},
}

func TestJSONStringIsEncodingJSONs(t *testing.T) {
	deep := strings.Repeat("[", maxJSONDepth)
	seeds := append(jsonSeeds[:len(jsonSeeds):len(jsonSeeds)],
		struct{ doc, pointer string }{deep + strings.Repeat("]", maxJSONDepth), strings.Repeat("/0", 3)},
		struct{ doc, pointer string }{`["x",` + deep + strings.Repeat("]", maxJSONDepth) + "]", "/0"}, // one level too deep
		struct{ doc, pointer string }{`["x",` + deep[1:] + strings.Repeat("]", maxJSONDepth-1) + "]", "/0"},
	)
	found := 0
	for _, s := range seeds {
		sameString(t, s.doc, s.pointer)
		if _, ok := stringAt([]byte(s.doc), s.pointer); ok {
			found++
		}
	}
	if found < 10 {
		t.Errorf("only %d of the documents have their string: the comparison shows little", found)
	}
}

func FuzzJSONString(f *testing.F) {
	for _, s := range jsonSeeds {
		f.Add(s.doc, s.pointer)
	}
	f.Fuzz(sameString)
}

func sameString(t *testing.T, doc, pointer string) {
	path, err := parsePointer(pointer)
	if err != nil {
		return
	}
	want, wantOK := slowString([]byte(doc), path)
	got, ok := stringAt([]byte(doc), pointer)
	if got != want || ok != wantOK {
		t.Fatalf("stringAt(%.200q, %.40q) = %q, %v; encoding/json says %q, %v", doc, pointer, got, ok, want, wantOK)
	}
}

func TestFindingDoesNotAllocate(t *testing.T) {
	c, err := NewClassifier([]Rule{
		{Backend: 0, Kind: RuleHeader, Key: "X-Cluster", Values: []string{"west"}},
		{Backend: 1, Kind: RuleJSON, Key: "/nested/a~1b/1/c", Values: []string{"deep"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var f jsonFinder
	a := answer{raw: []byte("Server: x\r\nx-cluster:  east \r\n\r\n"), body: []byte(podinfoBody)}
	if n := testing.AllocsPerRun(100, func() {
		if c.classify(&a, &f) != 1 {
			t.Error("not found")
		}
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func BenchmarkJSONString(b *testing.B) {
	var f jsonFinder
	doc, path := []byte(podinfoBody), stepsOf([]string{"message"})
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := f.find(doc, path); !ok {
			b.Fatal("not found")
		}
	}
}
