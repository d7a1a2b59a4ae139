package report

import (
	"fmt"
	"strings"
)

// InForce is what proxies obey where that is not what the split declares, and the same counts against it. It is for
// information: the verdict is of the weights that were declared.
type InForce struct {
	From     string           `json:"from"` // the object that proxies obey
	Backends []SegmentBackend `json:"backends"`
	Outcome  string           `json:"outcome,omitempty"` // pass | fail | inconclusive
	Pearson  *Statistic       `json:"pearson"`           // null where the counts cannot be judged
}

// inForceSentence sets the two apart.
func inForceSentence(r Report) string {
	f := r.InForce
	if f == nil || r.Split == nil {
		return ""
	}
	weights := make([]string, 0, len(f.Backends))
	for i, b := range f.Backends {
		if i == maxWeightsShown {
			weights = append(weights, "...")
			break
		}
		weights = append(weights, fmt.Sprintf("%s=%d", b.Name, b.Weight))
	}
	s := fmt.Sprintf("What proxies obey is not what %s %s/%s declares: %s says %s.", r.Split.Kind, r.Split.Namespace,
		r.Split.Name, f.From, strings.Join(weights, ", "))
	if f.Outcome != "" {
		s += fmt.Sprintf(" Against what is in force the same counts are %s, which is no verdict of the split.",
			article(f.Outcome))
	}
	return s
}
