package attack

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
)

// RuleKind is where a Rule looks.
type RuleKind string

// The kinds of rules.
const (
	RuleJSON   RuleKind = "json"   // Key is a JSON pointer (RFC 6901) into the body; the string there must be one of Values
	RuleHeader RuleKind = "header" // Key is a header name; its first value must be one of Values
	RuleRegexp RuleKind = "regexp" // Key is a regular expression (RE2) that must match in the body
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

// Classifier names the backend of an answer: the first rule that matches wins. It is immutable, and safe for concurrent use.
type Classifier struct{ lookups []lookup }

// lookup is a run of neighbouring rules that look at the same place, answered by one look.
type lookup struct {
	kind     RuleKind
	path     []string // RuleJSON: the pointer's reference tokens
	header   string   // RuleHeader: canonical name
	re       *regexp.Regexp
	backend  int16            // RuleRegexp
	backends map[string]int16 // RuleJSON, RuleHeader: value to backend
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
	switch r.Kind {
	case RuleRegexp:
		re, err := regexp.Compile(r.Key)
		if err != nil {
			return fmt.Errorf("regular expression %q: %w", r.Key, err)
		}
		l.re = re
		c.lookups = append(c.lookups, l)
		return nil
	case RuleJSON:
		path, err := parsePointer(r.Key)
		if err != nil {
			return err
		}
		l.path = path
	case RuleHeader:
		if l.header = textproto.CanonicalMIMEHeaderKey(r.Key); l.header == "" || strings.ContainsAny(r.Key, " \r\n:") {
			return fmt.Errorf("header %q: not a header name", r.Key)
		}
	default:
		return fmt.Errorf("kind %q: want json, header or regexp", r.Kind)
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

// Classify returns the index of the backend that gave the answer, or Unattributed.
func (c *Classifier) Classify(h http.Header, body []byte) int16 {
	for i := range c.lookups {
		l := &c.lookups[i]
		switch l.kind {
		case RuleRegexp:
			if l.re.Match(body) {
				return l.backend
			}
		case RuleHeader:
			if v, ok := h[l.header]; ok && len(v) > 0 {
				if b, ok := l.backends[v[0]]; ok {
					return b
				}
			}
		case RuleJSON:
			if v, ok := jsonString(body, l.path); ok {
				if b, ok := l.backends[v]; ok {
					return b
				}
			}
		}
	}
	return Unattributed
}

// JSONString returns the string at a JSON pointer of a document; false where there is none.
func JSONString(doc []byte, pointer string) (string, bool) {
	path, err := parsePointer(pointer)
	if err != nil {
		return "", false
	}
	return jsonString(doc, path)
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

// jsonString descends without decoding what it passes by. Numbers and booleans are taken as they are written.
func jsonString(doc []byte, path []string) (string, bool) {
	raw := json.RawMessage(doc)
	for _, key := range path {
		switch firstByte(raw) {
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
	switch firstByte(raw) {
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
		return strings.TrimSpace(string(raw)), true
	}
}

func firstByte(doc []byte) byte {
	for _, b := range doc {
		if b != ' ' && b != '\n' && b != '\t' && b != '\r' {
			return b
		}
	}
	return 0
}
