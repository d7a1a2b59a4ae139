package judge

import (
	"fmt"
	"slices"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// heldAgainstForce holds the counts also against the weights that proxies obey, where those are not the declared ones:
// a verdict is of what was declared, whichever check was waived.
func (doc *draft) heldAgainstForce(m record.Manifest) {
	if m.Before == nil || !m.Before.Split.Differs {
		return
	}
	s := m.Before.Split
	if _, known := record.DeclaredOf(*m.Before); !known {
		doc.refuse(report.SayDeclaredUnread, untrusted.Safe(s.EffectiveFrom), s.Object())
		return
	}
	inForce := record.WeightsOf(*m.Before)
	if record.SameShares(inForce, m.Weights) || len(doc.counts.N) != len(inForce) {
		return
	}
	doc.InForce = &report.InForce{From: untrusted.Safe(s.EffectiveFrom), Backends: partOf(inForce, doc.counts)}
	if d, err := analyze.Judge(inForce, doc.counts, m.Options); err == nil {
		doc.InForce.Outcome, doc.InForce.Pearson = string(d.Outcome), new(statistic(d.GoodnessOfFit.Pearson))
	}
}

// Drift says how what proxies obey has come to differ from what the split declares, with the objects that say so and
// what to do; "" where it has not.
func Drift(before, after law.Snapshot) (why, remedy string) {
	if before.Split.Differs || !after.Split.Differs {
		return "", ""
	}
	if after.Facts.Adaptor.Sight == "" { // not looked for again
		after.Facts = before.Facts
	}
	checks := preflight.Run(preflight.View{Snapshot: after})
	i := slices.IndexFunc(checks, func(c preflight.Result) bool { return c.ID == preflight.ToldCheck })
	if i < 0 {
		return "", ""
	}
	if after.Split.Kind == string(law.PathTrafficSplit) {
		return fmt.Sprintf(report.SayDrift, checks[i].Seen), checks[i].Hint
	}
	return fmt.Sprintf(report.SayShadowed, checks[i].Seen), checks[i].Hint
}
