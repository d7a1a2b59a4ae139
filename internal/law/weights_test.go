package law

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Expected values follow Linkerd's destination controller: uint32(MilliValue()*10), where MilliValue rounds up.
func TestParseWeight(t *testing.T) {
	for _, row := range []struct {
		raw  any
		want uint64
		why  string // part of the reason where it cannot be used
	}{
		{int64(50), 500000, ""},
		{"50", 500000, ""},
		{"500m", 5000, ""},
		{"1", 10000, ""},
		{0.5, 5000, ""},
		{"0.5", 5000, ""},
		{"1500m", 15000, ""},
		{"100u", 10, ""}, // a tenth of a thousandth counts as one
		{"1n", 10, ""},
		{int64(0), 0, ""},
		{"0", 0, ""},
		{"1k", 10000000, ""},
		{"1e3", 10000000, ""},
		{"1E03", 10000000, ""},
		{"429496.729", 4294967290, ""}, // the last that fits 32 bits
		{"429496.7291", 0, "wraps around"},
		{int64(429497), 0, "wraps around"},
		{int64(math.MaxInt64), 0, "wraps around"},
		{1e30, 0, "wraps around"},
		{"1E", 0, "wraps around"},         // 10^18
		{"1e1000000000", 0, "too large"},  // ParseQuantity would need gigabytes
		{"1e-1000000000", 0, "too large"}, // and here
		{"1e4294967296", 0, "too large"},  // and would read this as 1
		{strings.Repeat("9", 65), 0, "too long"},
		{int64(-1), 0, "negative"},
		{"-500m", 0, "negative"},
		{-0.5, 0, "negative"},
		{"50%", 0, "not a quantity"},
		{"abc", 0, "not a quantity"},
		{" 50", 0, "not a quantity"},
		{"NaN", 0, "not a quantity"},
		{"", 0, "no weight"},
		{nil, 0, "no weight"},
		{true, 0, "not a quantity"},
		{[]any{int64(1)}, 0, "not a quantity"},
	} {
		got, why := parseWeight(rawWeight(row.raw))
		if got != row.want || (why == "") != (row.why == "") || !strings.Contains(why, row.why) {
			t.Errorf("weight %v: got %d, %q; want %d, %q", row.raw, got, why, row.want, row.why)
		}
	}
}

// FuzzParseWeight: whatever a cluster says, the parser ends, and what it takes fits 32 bits and is what it was written for.
func FuzzParseWeight(f *testing.F) {
	for _, s := range []string{"50", "500m", "0.5", "-1", "50%", "1e3", "1e1000000000", "429496.729", "1Ki", "+5", "1E", "", "00.5n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		n, why := parseWeight(raw)
		if why != "" && n != 0 {
			t.Errorf("%q: weight %d together with the reason %q", raw, n, why)
		}
		if n > math.MaxUint32 || n%10 != 0 {
			t.Errorf("%q: %d is not a proxy's weight", raw, n)
		}
		if why == "" && strings.HasPrefix(raw, "-") && n != 0 {
			t.Errorf("%q: taken for %d", raw, n)
		}
	})
}

func TestEffective(t *testing.T) {
	leaf := func(name, weight string) leafWeight {
		n, why := parseWeight(weight)
		if why != "" {
			t.Fatal(why)
		}
		return leafWeight{leaf: name, tenThousandth: n}
	}
	for _, row := range []struct {
		name    string
		leaves  []leafWeight
		want    []Weight
		allZero bool
		err     bool
	}{
		{"whole numbers stay", []leafWeight{leaf("a", "50"), leaf("b", "50")}, []Weight{{"a", 50}, {"b", 50}}, false, false},
		{"half and one", []leafWeight{leaf("a", "500m"), leaf("b", "1")}, []Weight{{"a", 500}, {"b", 1000}}, false, false},
		{"0.5 and 0.25", []leafWeight{leaf("a", "0.5"), leaf("b", "0.25")}, []Weight{{"a", 500}, {"b", 250}}, false, false},
		{"weight 0 stays in the table", []leafWeight{leaf("a", "1"), leaf("b", "0")}, []Weight{{"a", 1}, {"b", 0}}, false, false},
		{"duplicates add up", []leafWeight{leaf("a", "1"), leaf("b", "2"), leaf("a", "3")}, []Weight{{"a", 4}, {"b", 2}}, false, false},
		{"one backend", []leafWeight{leaf("b", "7")}, []Weight{{"b", 7}}, false, false},
		{"all zero goes to the root", []leafWeight{leaf("a", "0"), leaf("b", "0")}, []Weight{{"a", 0}, {"b", 0}, {"root", 1}}, true, false},
		{"all zero with the root as a leaf", []leafWeight{leaf("root", "0"), leaf("b", "0")}, []Weight{{"root", 1}, {"b", 0}}, true, false},
		{"none", nil, []Weight{{"root", 1}}, true, false},
		{"sum at the limit", []leafWeight{{"a", math.MaxUint32 - 5}, {"b", 5}}, []Weight{{"a", math.MaxUint32 - 5}, {"b", 5}}, false, false},
		{"sum beyond it", []leafWeight{{"a", math.MaxUint32 - 5}, {"b", 6}}, nil, false, true},
		{"two that fit alone", []leafWeight{leaf("a", "400000"), leaf("b", "400000")}, nil, false, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, allZero, err := effective("root", row.leaves)
			if (err != nil) != row.err || allZero != row.allZero {
				t.Fatalf("all zero %v, error %v", allZero, err)
			}
			if d := cmp.Diff(row.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestSameLaw(t *testing.T) {
	for _, row := range []struct {
		a, b []Weight
		want bool
	}{
		{[]Weight{{"a", 50}, {"b", 50}}, []Weight{{"b", 1}, {"a", 1}}, true},
		{[]Weight{{"a", 500}, {"b", 1000}}, []Weight{{"a", 1}, {"b", 2}}, true},
		{[]Weight{{"a", 1}, {"b", 0}}, []Weight{{"a", 7}}, true},
		{[]Weight{{"a", 1}, {"b", 1}}, []Weight{{"a", 1}}, false},
		{[]Weight{{"a", 90}, {"b", 10}}, []Weight{{"a", 10}, {"b", 90}}, false},
		{nil, nil, true},
		{nil, []Weight{{"a", 1}}, false},
	} {
		if got := sameLaw(row.a, row.b); got != row.want {
			t.Errorf("%v and %v: same law %v", row.a, row.b, got)
		}
	}
}

func TestParseAuthority(t *testing.T) {
	for _, row := range []struct {
		in, service string
		port        int32
		ok          bool
	}{
		{"podinfo.test.svc.cluster.local", "podinfo", 0, true},
		{"podinfo.test.svc.cluster.local.", "podinfo", 0, true},
		{"podinfo.test.svc.cluster.local:8081", "podinfo", 8081, true},
		{"podinfo.test.svc.corp.example", "podinfo", 0, true},
		{"podinfo.other.svc.cluster.local", "podinfo.other", 0, true},
		// The destination controller takes no name without the cluster's domain (linkerd2 edge-26.8.3,
		// controller/api/destination/server.go: parseK8sServiceName).
		{"podinfo.test", "podinfo.test", 0, false},
		{"podinfo", "podinfo", 0, false},
		{"podinfo:80", "podinfo", 80, false},
		{"podinfo.test.svc", "podinfo.test.svc", 0, false},
		{"www.example.com", "www.example.com", 0, false},
		{"podinfo.test.svc.cluster.local:0", "podinfo.test.svc.cluster.local:0", 0, false},
		{"podinfo.test.svc.cluster.local:http", "podinfo.test.svc.cluster.local:http", 0, false},
		{"podinfo.test.svc.cluster.local:70000", "podinfo.test.svc.cluster.local:70000", 0, false},
		{".test.svc.cluster.local", ".test.svc.cluster.local", 0, false},
		{"", "", 0, false},
	} {
		service, port, ok := parseAuthority(row.in, "test")
		if service != row.service || port != row.port || ok != row.ok {
			t.Errorf("%q: got %q, %d, %v", row.in, service, port, ok)
		}
	}
}
