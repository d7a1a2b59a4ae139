package record

import (
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/report"
)

// LatencyPlan is what a stored comparison was to do.
type LatencyPlan struct {
	Targets    []LatencyTarget    `json:"targets"` // the one that the others are compared with is last
	Against    bool               `json:"against"` // there is one
	Rounds     int                `json:"rounds"`
	Round      time.Duration      `json:"roundNs"`
	Margin     analyze.Margin     `json:"margin"`
	MarginText string             `json:"marginText,omitempty"`
	Quantiles  []float64          `json:"quantiles,omitempty"` // that are judged; none: all of analyze.DefaultQuantiles
	Sweep      bool               `json:"sweep,omitempty"`
	Limit      *report.SweepLimit `json:"limit,omitempty"`
	Bursts     []LatencyBurst     `json:"bursts"` // in the order in which they were sent
}

// LatencyTarget is one target as it was found.
type LatencyTarget struct {
	Name  string        `json:"name"` // as given
	UID   string        `json:"uid"`
	URL   string        `json:"url"`
	Root  string        `json:"root,omitempty"` // the split whose root Service it is
	Own   int           `json:"own"`            // the split's backend that is the Service itself; -1: all answers count
	Rules []attack.Rule `json:"rules,omitempty"`
}

// LatencyBurst is one burst: a round of a target, or a step of a sweep.
type LatencyBurst struct {
	Target   int         `json:"target"`
	Round    int         `json:"round"`
	Rate     attack.Rate `json:"rate"`
	Requests uint64      `json:"requests"`
}

// MaxRounds bounds the rounds of a comparison of targets.
const MaxRounds = 500
