package record

import (
	"slices"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// WeightsOf are the effective weights in the order in which results number the backends.
func WeightsOf(s law.Snapshot) analyze.Weights {
	w := make(analyze.Weights, len(s.Split.Effective))
	for i, e := range s.Split.Effective {
		w[i] = analyze.Weight{Backend: e.Service, W: e.Weight}
	}
	return w
}

// DeclaredOf are the weights that a verdict of the split is about, in the same order: those that the object itself
// says, also where proxies obey another. known is false where they cannot be told; they are then those in force.
func DeclaredOf(s law.Snapshot) (w analyze.Weights, known bool) {
	inForce := WeightsOf(s)
	if !s.Split.Differs {
		return inForce, true
	}
	declared := make(analyze.Weights, 0, len(inForce))
	for _, d := range s.Split.DeclaredWeights() {
		declared = append(declared, analyze.Weight{Backend: d.Service, W: d.Weight})
	}
	if w, known = Aligned(declared, inForce); !known {
		return inForce, false
	}
	return w, true
}

// BackendNames are the names of the backends, in their order.
func BackendNames(w analyze.Weights) []string {
	names := make([]string, len(w))
	for i, x := range w {
		names[i] = x.Backend
	}
	return names
}

// Aligned gives w in the order of the run's backends, 0 for those that it lacks; false where one is unknown.
func Aligned(w, like analyze.Weights) (analyze.Weights, bool) {
	out := slices.Clone(like)
	for i := range out {
		out[i].W = 0
	}
	for _, x := range w {
		i := slices.IndexFunc(out, func(y analyze.Weight) bool { return y.Backend == x.Backend })
		if i < 0 {
			return nil, false
		}
		out[i].W = x.W
	}
	return out, out.Validate() == nil
}

// SameShares reports whether weights are those of the same backends in the same ratio, as 1/1 and 50/50 are.
func SameShares(a, b analyze.Weights) bool {
	like, ok := Aligned(b, a)
	return ok && len(a) == len(b) && slices.Equal(a.Shares(), like.Shares())
}

// WeightsText is what weights say, safe to print.
func WeightsText(w analyze.Weights) string { return untrusted.Safe(w.String()) }
