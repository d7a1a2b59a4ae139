package judge

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/witness"
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

// Answers of looks after which the proxy was not asked are not held beside what it drew, and no agreement is claimed
// for them.
func TestAWatchComparesWhatItsProxyTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		told          []int64 // answers of the first look; nil: the proxy is not asked after it
		available, ok bool
		warning       string
	}{
		"agrees":    {[]int64{260, 260}, true, true, "does not tell of 456 counted answers"},
		"disagrees": {[]int64{250, 270}, true, false, "podinfo-east answered 270"},
		"not asked": {nil, false, false, report.SayNotReadAfter},
	} {
		w, err := NewWatch(twoWeights(50, 50), analyze.DefaultOptions())
		if err != nil {
			t.Fatal(err)
		}
		snap := splitSnapshot()
		m := record.Manifest{Kind: report.KindWatch, Before: &snap, Witness: &record.WitnessFacts{Kind: witness.Linkerd}}
		looks := [][]int64{{228, 228}}
		if c.told != nil {
			looks = append(looks, c.told)
			pages := record.ProxyPages{Before: []byte(queue("http", 0, 0)), After: []byte(queue("http", 260, 260))}
			w.Hear(m, pages, c.told, 520)
		}
		for _, n := range looks {
			if _, err := w.Update(analyze.Counts{N: n}); err != nil {
				t.Fatal(err)
			}
		}
		var doc draft
		w.heard(&doc, m)
		x := doc.Witness
		if x.Available != c.available || x.Agrees != c.ok || !strings.Contains(fmt.Sprint(doc.Warnings), c.warning) {
			t.Errorf("%s: %+v, warnings %q", name, x, doc.Warnings)
		}
		same := func(d report.WitnessDraws, n int64) bool { return d.Answered == n }
		if c.told != nil && !slices.EqualFunc(x.Draws, c.told, same) {
			t.Errorf("%s: %+v", name, x.Draws)
		}
	}
}
