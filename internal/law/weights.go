package law

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// WeightError is a weight that cannot be used, and where it stands.
type WeightError struct {
	Object string // e.g. "TrafficSplit test/podinfo"
	Field  string // e.g. "spec.backends[1].weight"
	Raw    string // as written
	Why    string
}

// Error names object, field, what is written there and why it cannot be used.
func (e *WeightError) Error() string {
	return fmt.Sprintf("%s: %s is %s: %s", untrusted.Safe(e.Object), e.Field, strconv.Quote(untrusted.Short(e.Raw, 80)),
		e.Why)
}

// leafWeight is one entry of a split in the unit that Linkerd's control plane sends to proxies: ten-thousandths of the
// weight, rounded up to whole thousandths first.
type leafWeight struct {
	leaf          string
	tenThousandth uint64
}

// maxMilli is the largest weight in thousandths that Linkerd can send, as uint32 ten-thousandths: more wraps around.
const maxMilli = math.MaxUint32 / 10

// rawWeight is a weight as the JSON had it: a number or a string. Decoded numbers are int64 or float64.
func rawWeight(v any) string {
	switch w := v.(type) {
	case nil:
		return ""
	case string:
		return w
	case int64:
		return strconv.FormatInt(w, 10)
	case float64:
		return strconv.FormatFloat(w, 'f', -1, 64)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%T", v)
	}
	return string(b)
}

// parseWeight reads a weight as written in a TrafficSplit or a ServiceProfile and gives it in ten-thousandths, as
// Linkerd's destination controller computes them: MilliValue (which rounds any part of a thousandth up) times ten. The
// second result says why it cannot be used; it is empty if it can.
//
// Trap: ParseQuantity computes 10 to the written exponent, so "1e1000000000" takes all memory, and it cuts the exponent
// to 32 bits, so "1e4294967296" reads as 1. Exponents are therefore bounded first.
func parseWeight(raw string) (uint64, string) {
	const form = "want a whole number such as 50, or a quantity such as 500m"
	switch {
	case raw == "":
		return 0, "there is no weight; " + form
	case len(raw) > 64:
		return 0, "too long for a weight; " + form
	case longExponent(raw):
		return 0, "too large or too small for a weight; " + form
	}
	q, err := resource.ParseQuantity(raw)
	if err != nil {
		return 0, "not a quantity; " + form
	}
	if q.Sign() < 0 {
		return 0, "weights cannot be negative: proxies would read a very large one"
	}
	if q.Cmp(*resource.NewMilliQuantity(maxMilli, resource.DecimalSI)) > 0 {
		return 0, "too large: proxies take at most 429496.729, a larger weight wraps around"
	}
	return uint64(q.MilliValue()) * 10, ""
}

// wrapped is what proxies are told of a weight that is too large or negative: its low 32 bits in ten-thousandths
// (linkerd2 edge-26.8.3, controller/api/destination/profile_translator.go toDstOverrides).
func wrapped(raw string) (uint64, bool) {
	if len(raw) > 64 || longExponent(raw) {
		return 0, false
	}
	q, err := resource.ParseQuantity(raw)
	if err != nil {
		return 0, false
	}
	milli := q.MilliValue()
	return uint64(uint32(milli * 10)), milli > math.MinInt64/10 && milli < math.MaxInt64/10
}

// longExponent reports an exponent of more than two digits.
func longExponent(raw string) bool {
	i := strings.IndexAny(raw, "eE")
	return i >= 0 && len(strings.TrimLeft(raw[i+1:], "+-0")) > 2
}

// effective gives the weights that a proxy draws by. Entries of the same leaf add up; an entry of weight 0 is never
// drawn; if none is left everything goes to the root's own endpoints, if one is left everything goes to it. Entries of
// weight 0 stay in the result, since a split that names a backend with weight 0 says that it must not answer. The
// second result tells that all weights were zero (or that there was no entry); the third is an overflow of the sum,
// with which Linkerd's proxy cannot build a distribution.
func effective(root string, leaves []leafWeight) ([]Weight, bool, error) {
	var order []string
	merged := map[string]uint64{}
	var sum uint64
	for _, l := range leaves {
		if _, ok := merged[l.leaf]; !ok {
			order = append(order, l.leaf)
		}
		merged[l.leaf] += l.tenThousandth // at most 1000 entries of 32 bits: no overflow
		sum += l.tenThousandth
	}
	if sum > math.MaxUint32 {
		return nil, false, fmt.Errorf("the weights add up to %d ten-thousandths; proxies take at most %d", sum,
			uint32(math.MaxUint32))
	}
	if sum == 0 {
		if _, ok := merged[root]; !ok {
			order = append(order, root)
		}
		merged[root] = 1
	}
	unit := unitOf(merged)
	out := make([]Weight, 0, len(order))
	for _, leaf := range order {
		out = append(out, Weight{Service: leaf, Weight: int64(merged[leaf] / unit)})
	}
	return out, sum == 0, nil
}

// unitOf is the largest of "whole weights" and "thousandths" in which all weights are integers, so that 50 and 50 come
// out as 50 and 50, and 500m and 1 as 500 and 1000. The 1 of an all-zero split is its own unit.
func unitOf(weights map[string]uint64) uint64 {
	for _, unit := range []uint64{10000, 10} {
		fits := true
		for _, w := range weights {
			fits = fits && w%unit == 0
		}
		if fits {
			return unit
		}
	}
	return 1
}

// sameLaw reports whether two sets of weights give the same probabilities: equal ratios, weight 0 as good as absent.
func sameLaw(a, b []Weight) bool {
	return maps.Equal(reduced(a), reduced(b))
}

func reduced(ws []Weight) map[string]int64 {
	out := map[string]int64{}
	var g int64
	for _, w := range ws {
		if w.Weight > 0 {
			out[w.Service] += w.Weight
		}
	}
	for _, w := range out {
		g = gcd(g, w)
	}
	for leaf := range out {
		out[leaf] /= g
	}
	return out
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// Weights are those of a split, by backend.
type Weights []Weight

// String is the weights as people write them: "podinfo=50,podinfo-east=50".
func (ws Weights) String() string {
	parts := make([]string, 0, len(ws))
	for _, w := range ws {
		parts = append(parts, untrusted.Safe(w.Service)+"="+strconv.FormatInt(w.Weight, 10))
	}
	return strings.Join(parts, ",")
}

// Sum is what the weights add up to.
func (ws Weights) Sum() int64 {
	var sum int64
	for _, w := range ws {
		sum += w.Weight
	}
	return sum
}

// DeclaredWeights are the weights as the split object itself says them, whoever rules; nil where they cannot be used.
func (s Split) DeclaredWeights() Weights {
	if s.Kind != string(PathTrafficSplit) {
		return s.plainWeights()
	}
	var leaves []leafWeight
	for _, d := range s.Declared {
		n, why := parseWeight(d.Raw)
		if why != "" {
			return nil
		}
		leaves = append(leaves, leafWeight{leaf: d.Service, tenThousandth: n})
	}
	w, allZero, err := effective(s.Root, leaves)
	if err != nil || allZero {
		return nil
	}
	return w
}

// plainWeights are those of a kind whose weights are whole numbers.
func (s Split) plainWeights() Weights {
	var out Weights
	for _, d := range s.Declared {
		n, err := strconv.ParseInt(d.Raw, 10, 32)
		if err != nil || n < 0 {
			return nil
		}
		out = append(out, Weight{Service: d.Service, Weight: n})
	}
	return out
}
