package record

import (
	"time"

	"github.com/splitbench/splitbench/analyze"
)

// DrillFacts is what a drill saw besides its requests.
type DrillFacts struct {
	MaxLost   *int64         `json:"maxLost"`
	MaxOutage *time.Duration `json:"maxOutageNs"`
	Began     time.Time      `json:"began"` // instant 0 of the burst, by the clock of the machine that ran splitbench
	Events    []DrillFact    `json:"events"`
	Unwatched []string       `json:"unwatched,omitempty"`
}

// DrillFact is one mark or change.
type DrillFact struct {
	At      time.Time       `json:"at"`
	Kind    string          `json:"kind"` // mark, weights, endpoints or object
	Text    string          `json:"text"`
	Weights analyze.Weights `json:"weights,omitempty"` // from then on
}

// Kinds of a DrillFact.
const (
	FactMark      = "mark"
	FactWeights   = "weights"
	FactEndpoints = "endpoints"
	FactObject    = "object"
)
