package judge

import (
	"slices"

	"github.com/splitbench/splitbench/internal/report"
)

// lossesByKind are a drill's losses by kind and bin of its timeline, kinds by name. Only bins with losses are named: of a drill
// of hours in which little is lost little is kept. shots are in the order of sending.
func lossesByKind(shots []Shot) []report.TimelineLoss {
	var out []report.TimelineLoss
	place := map[string]int{}
	for _, s := range shots {
		if s.failed == "" {
			continue
		}
		at, ok := place[s.failed]
		if !ok {
			at = len(out)
			place[s.failed] = at
			out = append(out, report.TimelineLoss{Kind: s.failed})
		}
		l, bin := &out[at], int64(max(s.sent, 0)/timelineBin)
		if n := len(l.Bins); n > 0 && l.Bins[n-1] == bin {
			l.Lost[n-1]++
			continue
		}
		l.Bins, l.Lost = append(l.Bins, bin), append(l.Lost, 1)
	}
	slices.SortFunc(out, func(a, b report.TimelineLoss) int {
		if a.Kind < b.Kind {
			return -1
		}
		return 1
	})
	return out
}
