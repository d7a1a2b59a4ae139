package record

import (
	"slices"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/wire"
)

// ProxyAnswers says by its status to which party of the law an answer belongs that the client's proxy gave itself, and
// that therefore names no backend.
type ProxyAnswers map[uint16]int16

// ProxyAnswers are those that the law of the run expects. Where two parties are answered by one status no answer can be
// told to either.
func (m *Manifest) ProxyAnswers() ProxyAnswers {
	out := ProxyAnswers{}
	for i, w := range m.Weights {
		status := uint16(m.Law().Leaf(w.Backend).ProxyStatus)
		if status == 0 {
			continue
		}
		if _, taken := out[status]; taken {
			out[status] = attack.Unattributed
			continue
		}
		out[status] = int16(i)
	}
	return out
}

// Tell has a result name its party.
func (a ProxyAnswers) Tell(r attack.Result) attack.Result {
	if party, ok := a[r.Status]; ok && r.Backend < 0 && r.Err == attack.OK {
		r.Backend = party
	}
	return r
}

// TellAll has the counts of totals name their parties.
func (a ProxyAnswers) TellAll(t wire.Totals) wire.Totals {
	t.Tally = slices.Clone(t.Tally)
	for i, e := range t.Tally {
		if party, ok := a[e.Status]; ok && e.Backend < 0 && e.Class == attack.OK.String() {
			t.Tally[i].Backend = party
		}
	}
	return t
}
