package record

import (
	"math"
	"time"

	"github.com/splitbench/splitbench/analyze"
)

// Move is a change of what the verdict rests on, seen while the run sent.
type Move struct {
	At     time.Time `json:"at"`    // when it was seen, by this machine's clock
	Since  time.Time `json:"since"` // earlier than At only where it was missed at first: when the stream was last alive
	What   string    `json:"what"`
	Before string    `json:"before"`
	After  string    `json:"after"`
	Law    bool      `json:"law"` // of an object that says the weights
	// Weights are the weights that proxies are told since, where they are others than before: set with the first write
	// that led to them, which may have been to another object than they are read from.
	Weights analyze.Weights `json:"weights,omitempty"`
}

// Clock is how far the source pod's clock is ahead of this machine's: between two bounds, in nanoseconds, which each
// answer that tells the pod's clock may bring closer.
type Clock struct {
	LowNs  int64 `json:"lowNs"`
	HighNs int64 `json:"highNs"`
	Known  bool  `json:"known"`
}

// See takes one answer into account: it was asked for at began, had its instant written in it at pod, and was here at
// ended.
func (c *Clock) See(began, ended time.Time, pod int64) {
	low, high := pod-ended.UnixNano(), pod-began.UnixNano()
	if !c.Known || low > c.HighNs || high < c.LowNs { // nothing in common: a clock was set
		*c = Clock{low, high, true}
		return
	}
	c.LowNs, c.HighNs = max(c.LowNs, low), min(c.HighNs, high)
}

// Local is an instant of the pod's clock on this machine's, give or take the second result.
func (c *Clock) Local(podNs int64) (time.Time, time.Duration) {
	return time.Unix(0, podNs-c.LowNs/2-c.HighNs/2), time.Duration(math.Abs(float64(c.HighNs-c.LowNs)) / 2)
}
