package attack

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/textproto"
	"regexp"
	"strings"
)

// RuleKind is where a Rule looks.
type RuleKind string

// The kinds of rules.
const (
	RuleJSON   RuleKind = "json"   // Key is a JSON pointer (RFC 6901) to a string of the body that must be one of Values
	RuleHeader RuleKind = "header" // Key is a header name; its first value must be one of Values
	RuleRegexp RuleKind = "regexp" // Key is a regular expression (RE2) that must match in the body

	RuleLiteral RuleKind = "literal" // Key is a text that must stand somewhere in the body
	// RuleProto: Key is a path of field numbers, such as /1/4, to a text of a protobuf message that must be one of Values;
	// of a gRPC call the message stands without its frame
	RuleProto RuleKind = "proto"
)

// Rule recognises the answers of one backend.
type Rule struct {
	Backend int      `json:"backend"` // index of the backend, 0 to 32767
	Kind    RuleKind `json:"kind"`
	Key     string   `json:"key"`
	Values  []string `json:"values,omitempty"`
}

// Bounds of a classifier that came over the wire.
const (
	maxRules      = 4096
	maxRuleValues = 100_000
	maxKeyLen     = 4096
)

// Classifier names the backend of an answer: the first rule that matches wins. It never changes, for concurrent use.
type Classifier struct{ lookups []lookup }

// lookup is a run of neighbouring rules that look at the same place, answered by one look.
type lookup struct {
	kind     RuleKind
	path     []step   // RuleJSON
	fields   []uint64 // RuleProto
	header   string   // RuleHeader: canonical name
	re       *regexp.Regexp
	text     []byte           // RuleLiteral
	backend  int16            // RuleRegexp, RuleLiteral
	backends map[string]int16 // of the others: value to backend
	key      string
}

// NewClassifier compiles rules. The error names the rule by its place, counted from 1.
func NewClassifier(rules []Rule) (*Classifier, error) {
	if len(rules) > maxRules {
		return nil, fmt.Errorf("classifier: %d rules, at most %d are allowed", len(rules), maxRules)
	}
	c := &Classifier{}
	values := 0
	for i, r := range rules {
		if r.Backend < 0 || r.Backend > math.MaxInt16 {
			return nil, fmt.Errorf("classifier rule %d: backend index %d is out of range", i+1, r.Backend)
		}
		if len(r.Key) > maxKeyLen {
			return nil, fmt.Errorf("classifier rule %d: key of %d bytes, at most %d are allowed", i+1, len(r.Key), maxKeyLen)
		}
		if values += len(r.Values); values > maxRuleValues {
			return nil, fmt.Errorf("classifier rule %d: more than %d values in all", i+1, maxRuleValues)
		}
		if err := c.add(r); err != nil {
			return nil, fmt.Errorf("classifier rule %d: %w", i+1, err)
		}
	}
	return c, nil
}

func (c *Classifier) add(r Rule) error {
	l := lookup{kind: r.Kind, key: r.Key, backend: int16(r.Backend)}
	var err error
	switch r.Kind {
	case RuleRegexp:
		if l.re, err = regexp.Compile(r.Key); err != nil {
			return fmt.Errorf("regular expression %q: %w", r.Key, err)
		}
	case RuleLiteral:
		if l.text = []byte(r.Key); r.Key == "" {
			return errors.New("literal: no text to look for")
		}
	case RuleJSON:
		path, err := parsePointer(r.Key)
		if err != nil {
			return err
		}
		l.path = stepsOf(path)
	case RuleProto:
		if l.fields, err = parseProtoPath(r.Key); err != nil {
			return err
		}
	case RuleHeader:
		if l.header = textproto.CanonicalMIMEHeaderKey(r.Key); l.header == "" || strings.ContainsAny(r.Key, " \r\n:") {
			return fmt.Errorf("header %q: not a header name", r.Key)
		}
	default:
		return fmt.Errorf("kind %q: want json, proto, header, regexp or literal", r.Kind)
	}
	if l.re != nil || l.text != nil {
		c.lookups = append(c.lookups, l)
		return nil
	}
	if len(r.Values) == 0 {
		return fmt.Errorf("%s %q: no value to look for", r.Kind, r.Key)
	}
	// Neighbours that look at the same place share one look. Only neighbours: the first matching rule must win.
	if n := len(c.lookups); n == 0 || c.lookups[n-1].kind != r.Kind || c.lookups[n-1].key != r.Key {
		l.backends = make(map[string]int16)
		c.lookups = append(c.lookups, l)
	}
	m := c.lookups[len(c.lookups)-1].backends
	for _, v := range r.Values {
		if _, taken := m[v]; !taken {
			m[v] = int16(r.Backend)
		}
	}
	return nil
}

// answer is what a classifier looks at: a body, and the header either parsed or as it was received.
type answer struct {
	header http.Header
	raw    []byte // header lines with their CRLFs, where header is nil
	body   []byte
}

// Classify returns the index of the backend that gave the answer, or Unattributed.
func (c *Classifier) Classify(h http.Header, body []byte) int16 {
	var f jsonFinder
	return c.classify(&answer{header: h, body: body}, &f)
}

// classify does not allocate, but for what a regular expression may.
func (c *Classifier) classify(a *answer, f *jsonFinder) int16 {
	for i := range c.lookups {
		l := &c.lookups[i]
		var v []byte
		var found bool
		switch l.kind {
		case RuleRegexp:
			if l.re.Match(a.body) {
				return l.backend
			}
		case RuleLiteral:
			if bytes.Contains(a.body, l.text) {
				return l.backend
			}
		case RuleHeader:
			if a.raw != nil {
				v, found = rawHeader(a.raw, l.header)
			} else if values := a.header[l.header]; len(values) > 0 {
				v, found = []byte(values[0]), true
			}
		case RuleJSON:
			v, found = f.find(a.body, l.path)
		case RuleProto:
			v, found = findProto(a.body, l.fields)
		}
		if b, ok := l.backends[string(v)]; found && ok {
			return b
		}
	}
	return Unattributed
}

// rawHeader returns the first value of a field in header lines that have been checked.
func rawHeader(raw []byte, name string) ([]byte, bool) {
	for len(raw) > 0 {
		line := raw
		if i := bytes.IndexByte(raw, '\n'); i >= 0 {
			line, raw = raw[:i+1], raw[i+1:]
		} else {
			raw = nil
		}
		if len(line) > len(name) && line[len(name)] == ':' && equalFold(line[:len(name)], name) {
			return bytes.Trim(line[len(name)+1:], " \t\r\n"), true
		}
	}
	return nil, false
}

// equalFold compares header names; it knows no letters but ASCII's.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if lower(c) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func parsePointer(p string) ([]string, error) {
	if p == "" {
		return nil, nil
	}
	if p[0] != '/' {
		return nil, fmt.Errorf("json pointer %q: must start with /", p)
	}
	path := strings.Split(p[1:], "/")
	for i, s := range path {
		path[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(s)
	}
	return path, nil
}
