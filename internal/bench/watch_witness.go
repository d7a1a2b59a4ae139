package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/witness"
)

// heard is what a proxy's counters last showed of a code of findings.
type heard struct {
	at      time.Time
	finding witness.Finding
}

// askFirst reads the counters of the proxy before the first look of a session.
func (w *watchRun) askFirst(ctx context.Context) (err error) {
	facts := w.locateWitness()
	if facts == nil || facts.Why != "" {
		return nil
	}
	if len(w.active) > 1 {
		facts.Why = "the proxies of several pods are not asked at every look"
		return nil
	}
	w.page, facts.Why, err = w.readPage(ctx, w.active[0].session, facts)
	w.asked = time.Now()
	return err
}

// askAgain reads them after a look whose answers are counted, also after the last one, which the end of the watch cuts
// short. A proxy that does not obey the split ends the watch: it will not while it is used.
func (w *watchRun) askAgain(ctx context.Context, counted []int64, sent int64) error {
	facts := w.m.Witness
	if facts == nil || facts.Why != "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), witnessTimeout)
	defer cancel()
	page, why, err := w.readPage(ctx, w.active[0].session, facts)
	facts.Why = why
	if err != nil || facts.Why != "" {
		return err
	}
	pages := record.ProxyPages{
		Pod: w.pod(), Before: w.page, After: page, ElapsedMs: time.Since(w.asked).Milliseconds(),
	}
	w.page, w.asked = page, time.Now()
	for _, f := range w.w.Hear(w.m, pages, counted, sent) {
		if f.Effect == witness.Invalid {
			w.heardOf[f.Code] = heard{w.asked, f}
		}
	}
	return nil
}

// heardSince says what the proxy's counters showed since then that explains shares which are not the weights', "" where
// it was nothing.
func (w *watchRun) heardSince(t time.Time) string {
	for _, code := range []string{witness.CodeRestarted, witness.CodeRedistributed, witness.CodeForeign} {
		if h, ok := w.heardOf[code]; ok && !h.at.Before(t) {
			if h.finding.Remedy != "" {
				w.m.Remedies = append(w.m.Remedies, h.finding.Remedy)
			}
			return fmt.Sprintf(report.SayLeftBecause, h.finding.Text)
		}
	}
	return ""
}
