package analyze

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Weight is the declared weight of one backend. Only ratios between weights matter; a weight of 0 is a structural zero:
// no request may reach that backend.
type Weight struct {
	Backend string `json:"backend"` // name of the backend, unique within Weights
	W       int64  `json:"w"`       // weight, >= 0, unitless
}

// Weights are the declared weights of a split, in the order in which counts are given.
type Weights []Weight

// Shares returns the declared share of each backend, 0 to 1; all 0 where the weights sum up to 0.
func (w Weights) Shares() []float64 {
	sum := 0.0
	for _, x := range w {
		sum += float64(x.W)
	}
	out := make([]float64, len(w))
	if sum > 0 {
		for i, x := range w {
			out[i] = float64(x.W) / sum
		}
	}
	return out
}

// String writes the weights as ParseWeights reads them: "podinfo=50,podinfo-east=50".
func (w Weights) String() string {
	parts := make([]string, len(w))
	for i, x := range w {
		parts[i] = fmt.Sprintf("%s=%d", x.Backend, x.W)
	}
	return strings.Join(parts, ",")
}

// Ratio writes the weights without the backends: "50/50".
func (w Weights) Ratio() string {
	parts := make([]string, len(w))
	for i, x := range w {
		parts[i] = strconv.FormatInt(x.W, 10)
	}
	return strings.Join(parts, "/")
}

// Validate reports the first thing wrong with the weights: none at all, a backend without a name or named twice, a
// negative weight, all weights 0, or a sum above the largest int64. The error wraps ErrInput.
func (w Weights) Validate() error {
	if len(w) == 0 {
		return inputErrorf("weights: none given, want at least one backend with a weight above 0")
	}
	seen := make(map[string]bool, len(w))
	var sum int64
	for _, x := range w {
		switch {
		case x.Backend == "":
			return inputErrorf("weights: a backend without a name")
		case seen[x.Backend]:
			return inputErrorf("weights: backend %q is named twice", x.Backend)
		case x.W < 0:
			return inputErrorf("weights: backend %q has weight %d, want 0 or more", x.Backend, x.W)
		case x.W > math.MaxInt64-sum:
			return inputErrorf("weights: their sum overflows at backend %q with weight %d; "+
				"use smaller numbers of the same ratio", x.Backend, x.W)
		}
		seen[x.Backend] = true
		sum += x.W
	}
	if sum == 0 {
		return inputErrorf("weights: all %d are 0, want at least one above 0", len(w))
	}
	return nil
}

// Positive returns how many weights are above 0.
func (w Weights) Positive() (k int) {
	for _, x := range w {
		if x.W > 0 {
			k++
		}
	}
	return k
}

// reduced returns the weights divided by their greatest common divisor, so that scaled weights give the same bits.
func (w Weights) reduced() []int64 {
	out := make([]int64, len(w))
	for i, x := range w {
		out[i] = x.W
	}
	return reduced(out)
}

// reduced divides whole numbers by their greatest common divisor.
func reduced(w []int64) []int64 {
	var divisor int64
	for _, x := range w {
		divisor = gcd(divisor, x)
	}
	out := make([]int64, len(w))
	for i, x := range w {
		out[i] = x / max(1, divisor)
	}
	return out
}

// Observation is one request, for the questions that counts cannot answer. Times are from the start of the run on the
// client's monotonic clock.
type Observation struct {
	Seq     uint64        // position in the order in which requests were sent
	Planned time.Duration // when it should have been sent
	Sent    time.Duration // when it was
	Done    time.Duration // when its answer was complete
	Backend int           // position in Weights; -1: unattributed
	Conn    int           // connection, from 0; -1 where the generator cannot know
	Pod     int           // source pod, from 0; -1 where there is only one or nobody knows
	OK      bool          // answered, and not an error
}

// inOrder are the observations by Seq; the slice itself where they are so already.
func inOrder(observations []Observation) []Observation {
	by := func(a, b Observation) int { return cmp.Compare(a.Seq, b.Seq) }
	if slices.IsSortedFunc(observations, by) {
		return observations
	}
	out := slices.Clone(observations)
	slices.SortStableFunc(out, by)
	return out
}
