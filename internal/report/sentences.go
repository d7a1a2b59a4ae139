package report

import (
	"strings"

	"github.com/splitbench/splitbench/analyze"
)

// What several kinds of documents say.

// maxWeightsShown is how many weights a sentence can hold.
const maxWeightsShown = 4

// weightsOf are the declared weights.
func weightsOf(r Report) analyze.Weights {
	w := make(analyze.Weights, len(r.Backends))
	for i, b := range r.Backends {
		w[i] = analyze.Weight{Backend: b.Name, W: b.Weight}
	}
	return w
}

// weightsLabel is the declared split in a word: "90/10", or "declared" where that would be a list.
func weightsLabel(r Report) string {
	if len(r.Backends) == 0 || len(r.Backends) > maxWeightsShown {
		return "declared"
	}
	return weightsOf(r).Ratio()
}

// requestsOf are the counted requests: with a known backend, and in all.
func requestsOf(r Report) (attributed, all int64) {
	for _, b := range r.Backends {
		attributed += b.Observed
	}
	return attributed, attributed + r.Unattributed.Requests
}

// size is "2,000 requests, 40s".
func size(r Report) string {
	n, _ := requestsOf(r)
	s := plural(n, unitOf(r))
	if r.Load != nil && r.Load.DurationSeconds > 0 {
		s += ", " + seconds(r.Load.DurationSeconds)
	}
	return s
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(n) + " " + noun + "s"
}

// listed is "a, b and c".
func listed(names []string) string {
	n := len(names) - 1
	if n < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:n], ", ") + " and " + names[n]
}

func article(outcome string) string {
	if outcome == Inconclusive {
		return outcome
	}
	return "a " + outcome
}

// capital begins a sentence.
func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
