package analyze

import (
	"cmp"
	"slices"
	"time"
)

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
