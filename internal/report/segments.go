package report

import (
	"fmt"
	"strings"
)

// Segment is a part of a run whose weights were changed while it sent, judged by the weights that held for it. It is
// for information: the outcome of such a run is invalid.
type Segment struct {
	FromSeconds float64 `json:"fromSeconds"` // sending of its first request, from the burst's start
	ToSeconds   float64 `json:"toSeconds"`   // of its last
	// attributed ones; those that may belong to either of two segments are in neither
	Requests    int64            `json:"requests"`
	Backends    []SegmentBackend `json:"backends"`
	Outcome     string           `json:"outcome,omitempty"` // pass | fail | inconclusive
	Pearson     *Statistic       `json:"pearson"`
	Why         string           `json:"why,omitempty"` // why there is no outcome
	Propagation *Propagation     `json:"propagation"`   // of the change that it began with; null for the first
}

// SegmentBackend is one backend in a segment.
type SegmentBackend struct {
	Name          string   `json:"name"`
	Weight        int64    `json:"weight"`
	ExpectedShare float64  `json:"expectedShare"`
	Observed      int64    `json:"observed"`
	ObservedShare *float64 `json:"observedShare"` // null where nothing was observed
}

// Propagation is how long it took from the API server's word of a write to the first request that was drawn by it. Low
// and high hold that with 95 % by the answers; the clocks add their error. null with a why where the answers do not
// show it.
type Propagation struct {
	What           string   `json:"what"`           // object that was written
	WriteAtSeconds float64  `json:"writeAtSeconds"` // from the burst's start
	Seconds        *float64 `json:"seconds"`
	LowSeconds     *float64 `json:"lowSeconds"`
	HighSeconds    *float64 `json:"highSeconds"`
	ClockErrorMs   float64  `json:"clockErrorMs"`
	Why            string   `json:"why,omitempty"`
}

// segmentSentences say what moved when, and how each part fits its own weights.
func segmentSentences(r Report) []string {
	var out []string
	for _, s := range r.Segments {
		if p := s.Propagation; p != nil {
			text := fmt.Sprintf("%s was written %s after the burst's start", p.What, seconds(p.WriteAtSeconds))
			switch {
			case p.Seconds == nil:
				text += "; " + p.Why
			case p.LowSeconds != nil && p.HighSeconds != nil:
				text += fmt.Sprintf("; the answers follow it from %s later on (95 of 100 sure: %s to %s, clocks within %.3g ms)",
					propagated(*p.Seconds), propagated(*p.LowSeconds), propagated(*p.HighSeconds), p.ClockErrorMs)
			}
			out = append(out, text)
		}
		var weights, shares []string
		for _, b := range s.Backends {
			if len(weights) == maxWeightsShown {
				weights, shares = append(weights, "..."), append(shares, "...")
				break
			}
			weights = append(weights, fmt.Sprint(b.Weight))
			if b.ObservedShare != nil {
				shares = append(shares, b.Name+" "+percent(*b.ObservedShare))
			}
		}
		text := fmt.Sprintf("by %s from %s to %s: %s", strings.Join(weights, "/"), seconds(s.FromSeconds),
			seconds(s.ToSeconds), plural(s.Requests, "request"))
		if len(shares) > 0 {
			text += ", " + strings.Join(shares, ", ")
		}
		switch {
		case s.Outcome != "":
			text += fmt.Sprintf(" (by itself %s)", article(s.Outcome))
		case s.Why != "":
			text += " (" + s.Why + ")"
		}
		out = append(out, text)
	}
	return out
}

// propagated is a delay with the precision that it is read at.
func propagated(s float64) string {
	if s < 1 {
		return fmt.Sprintf("%.0f ms", s*1000)
	}
	return fmt.Sprintf("%.2f s", s)
}

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
