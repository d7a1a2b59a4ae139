package record

import (
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/wire"
)

// Of two, three or more pods each sends its part, and together they send what one would.
func TestPartsAddUpToThePlan(t *testing.T) {
	t.Parallel()
	whole := attack.Plan{
		URL: "http://x", Rate: attack.Rate{Hits: 7, Per: time.Second}, Requests: 103, WarmUp: 5,
		Connections: 10, Limits: &attack.Limits{Bytes: 1003},
	}.WithDefaults()
	for n := 1; n <= 5; n++ {
		var requests, warmUp uint64
		var bytes int64
		at := map[time.Duration]bool{}
		for k := range n {
			p := PartOf(whole, k, n)
			if err := p.Validate(); err != nil {
				t.Errorf("part %d of %d: %v", k, n, err)
			}
			requests += p.Requests
			warmUp += p.WarmUp
			bytes += p.Limits.Bytes
			for i := range p.Requests {
				at[p.Schedule().At(i)+Stagger(whole, k)] = true
			}
		}
		if requests != whole.Requests || warmUp != whole.WarmUp || bytes != 1003 || whole.Limits.Bytes != 1003 {
			t.Errorf("%d parts: %d requests, %d of warm-up, %d bytes", n, requests, warmUp, bytes)
		}
		for i := range whole.Requests { // each when the whole plan has it due, but for rounding
			due := whole.Schedule().At(i)
			if !at[due] && !at[due-1] && !at[due+1] {
				t.Errorf("%d parts: nobody sends at %s", n, due)
			}
		}
	}
}

// A manifest that was brought here from anywhere costs neither memory nor time.
func TestStreamsThatNoRunHas(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]Stream{
		"a pod below 0": {Pod: -1}, "a pod too far": {Pod: 1 << 30}, "an end before the start": {First: 5, Next: 5},
		"more requests than planned": {Next: 1 << 60}, "a start before the run's": {Offset: -1},
	} {
		m := Manifest{Plan: attack.Plan{Requests: 100}, Streams: []Stream{s}}
		var totals wire.Totals
		var last error
		for _, err := range m.Samples(store.Folder{Dir: t.TempDir()}, &totals) {
			last = err
		}
		if last == nil || !strings.Contains(last.Error(), "none that a run can have") {
			t.Errorf("%s: %v", name, last)
		}
	}
}

// Names of pods stand by their numbers, and a manifest from anywhere cannot ask for more of them than a run has.
func TestPodNames(t *testing.T) {
	t.Parallel()
	m := Manifest{Streams: []Stream{{Pod: 1, Name: "b"}, {Pod: 0, Name: "a"}}}
	if got := m.PodNames(); len(got) != 2 || got[0] != "a" || got[1] != "b" {
		t.Errorf("two pods: %q", got)
	}
	m.Streams[0].Pod = 1 << 40
	if got := m.PodNames(); got != nil {
		t.Errorf("a pod of number 1<<40: %q", got)
	}
}
