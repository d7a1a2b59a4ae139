package judge

import (
	"testing"

	"github.com/splitbench/splitbench/analyze"
)

// Of a batch whose stream broke only the answers of a backend of weight 0 are counted.
func TestABrokenBatchIsDiscarded(t *testing.T) {
	t.Parallel()
	c := analyze.Counts{N: []int64{7, 1}, Unattributed: 2}
	w := Watch{weights: analyze.Weights{{Backend: "a", W: 1}, {Backend: "b"}}}
	if !w.Discard(&c) || c.N[0] != 0 || c.N[1] != 1 || c.Unattributed != 0 || w.SetAside != 9 {
		t.Errorf("%+v, %+v", c, w)
	}
}
