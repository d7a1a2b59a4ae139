package attack

import (
	"net/http"
	"strings"
	"testing"
)

// podinfo 6.7.0 answers so, over many lines (field list of podinfo pkg/api/http, values of the walkthrough).
const podinfoBody = `{
  "hostname": "podinfo-7b9f4d5c6-abcde",
  "version": "6.7.0",
  "revision": "",
  "color": "#007bff",
  "message": "greetings from east",
  "goos": "linux",
  "num_cpu": 2,
  "nested": {"a/b": [10, {"c": "deep"}]}
}
`

func TestClassify(t *testing.T) {
	host := Rule{Backend: 1, Kind: RuleJSON, Key: "/hostname", Values: []string{"podinfo-7b9f4d5c6-abcde"}}
	tests := []struct {
		name   string
		rules  []Rule
		header http.Header
		body   string
		want   int16
	}{
		{"json pointer", []Rule{host}, nil, podinfoBody, 1},
		{"second rule at the same place", []Rule{
			{Backend: 0, Kind: RuleJSON, Key: "/hostname", Values: []string{"other"}}, host,
		}, nil, podinfoBody, 1},
		{"first match wins", []Rule{
			{Backend: 4, Kind: RuleRegexp, Key: `greetings from (east|west)`}, host,
		}, nil, podinfoBody, 4},
		{"the same value twice: the first wins", []Rule{
			host, {Backend: 2, Kind: RuleJSON, Key: "/hostname", Values: host.Values},
		}, nil, podinfoBody, 1},
		{"escaped pointer through an array", []Rule{
			{Backend: 3, Kind: RuleJSON, Key: "/nested/a~1b/1/c", Values: []string{"deep"}},
		}, nil, podinfoBody, 3},
		{"a number is taken as written", []Rule{
			{Backend: 2, Kind: RuleJSON, Key: "/num_cpu", Values: []string{"2"}},
		}, nil, podinfoBody, 2},
		{"header, whatever its case", []Rule{
			{Backend: 2, Kind: RuleHeader, Key: "x-CLUSTER", Values: []string{"east"}},
		}, http.Header{"X-Cluster": {"east"}}, "", 2},
		{"literal", []Rule{{Backend: 5, Kind: RuleLiteral, Key: `"greetings from east"`}}, nil, podinfoBody, 5},
		{"literal missing", []Rule{{Backend: 5, Kind: RuleLiteral, Key: "greetings from west"}}, nil, podinfoBody, Unattributed},
		{"header missing", []Rule{{Backend: 2, Kind: RuleHeader, Key: "X-Cluster", Values: []string{"east"}}}, nil, "", Unattributed},
		{"no rule matches", []Rule{host}, nil, `{"hostname":"somebody"}`, Unattributed},
		{"not JSON", []Rule{host}, nil, "<html>", Unattributed},
		{"cut short", []Rule{host}, nil, podinfoBody[:60], Unattributed},
		{"empty body", []Rule{host}, nil, "", Unattributed},
		{"null", []Rule{{Backend: 0, Kind: RuleJSON, Key: "/a", Values: []string{"null"}}}, nil, `{"a":null}`, Unattributed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := NewClassifier(tt.rules)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Classify(tt.header, []byte(tt.body)); got != tt.want {
				t.Errorf("got backend %d, want %d", got, tt.want)
			}
		})
	}
}

func TestNewClassifierRefuses(t *testing.T) {
	for name, r := range map[string]Rule{
		"kind":         {Kind: "xpath", Key: "/a"},
		"expression":   {Kind: RuleRegexp, Key: "("},
		"json pointer": {Kind: RuleJSON, Key: "message", Values: []string{"x"}},
		"no value":     {Kind: RuleJSON, Key: "/message"},
		"header":       {Kind: RuleHeader, Key: "a: b", Values: []string{"x"}},
		"out of range": {Backend: -1, Kind: RuleRegexp, Key: "x"},
		"key of 5000":  {Kind: RuleRegexp, Key: strings.Repeat("x", 5000)},
	} {
		_, err := NewClassifier([]Rule{{Kind: RuleRegexp, Key: "fine"}, r})
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "rule 2") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func FuzzClassify(f *testing.F) {
	f.Add("/hostname", "x", podinfoBody)
	f.Add("/nested/a~1b/1/c", "deep", podinfoBody)
	f.Add("", "a", `"a"`)
	f.Fuzz(func(t *testing.T, pointer, value, body string) {
		c, err := NewClassifier([]Rule{{Backend: 7, Kind: RuleJSON, Key: pointer, Values: []string{value}}})
		if err != nil {
			return
		}
		got := c.Classify(nil, []byte(body))
		s, ok := stringAt([]byte(body), pointer)
		if want := ok && s == value; (got == 7) != want {
			t.Fatalf("Classify = %d, but the string there is %q, %v", got, s, ok)
		}
	})
}

func BenchmarkClassifyPodinfo(b *testing.B) {
	c, err := NewClassifier([]Rule{{Backend: 1, Kind: RuleJSON, Key: "/hostname", Values: []string{"podinfo-7b9f4d5c6-abcde"}}})
	if err != nil {
		b.Fatal(err)
	}
	body := []byte(podinfoBody)
	b.ReportAllocs()
	for b.Loop() {
		if c.Classify(nil, body) != 1 {
			b.Fatal("not recognised")
		}
	}
}
