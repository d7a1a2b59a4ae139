package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/wire"
	"github.com/splitbench/splitbench/internal/witness"
)

// Bounds of reading the proxy's counters.
const (
	maxWitnessPage = 4 << 20 // of the lines that are kept
	witnessTimeout = 10 * time.Second
)

// witnessed asks the proxies of the pods that send for their counters right before and right after do sends. That there
// is no witness never ends a run.
func (r *run) witnessed(ctx context.Context, sources []*source, do func() error) error {
	if err := r.witnessBefore(ctx, sources); err != nil {
		return err
	}
	return errors.Join(do(), r.witnessAfter(ctx, sources))
}

// alone is the source pod as the only one that sends.
func (r *run) alone(client session) []*source {
	return []*source{{r: r, pod: r.m.Before.Source, session: client}}
}

// locateWitness finds where the proxies' counters are; nil: they are not to be asked.
func (r *run) locateWitness() *record.WitnessFacts {
	if r.cfg.Witness == witness.Off {
		return nil
	}
	w := &record.WitnessFacts{}
	r.m.Witness = w
	var err error
	if w.Kind, w.URL, err = witness.Locate(r.cfg.Witness, *r.m.Before); err != nil {
		w.Why = err.Error()
	}
	return w
}

func (r *run) witnessBefore(ctx context.Context, sources []*source) error {
	w := r.locateWitness()
	if w == nil || w.Why != "" {
		return nil
	}
	for n, s := range sources {
		pages := record.ProxyPages{Pod: s.pod.Name}
		var err error
		if pages.Before, err = r.readPage(ctx, s.session, w); err != nil || w.Why != "" {
			return err
		}
		s.asked = time.Now()
		w.Pods = append(w.Pods, pages)
		if err := r.folder.WriteFile(record.PageFile(record.PageBefore, n), orNewline(pages.Before)); err != nil {
			return &StoreError{err}
		}
	}
	return nil
}

// witnessAfter asks again right after the burst, also where that did not end well.
func (r *run) witnessAfter(ctx context.Context, sources []*source) error {
	w := r.m.Witness
	if w == nil || w.Why != "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), witnessTimeout)
	defer cancel()
	for n, s := range sources {
		pages := &w.Pods[n]
		err := errNoSession
		if s.session != nil {
			pages.After, err = r.readPage(ctx, s.session, w)
		}
		pages.ElapsedMs = time.Since(s.asked).Milliseconds()
		if err != nil {
			w.Why = "its counters could not be read after the burst: " + brief(err.Error())
		}
		if w.Why != "" {
			return nil
		}
		if err := r.folder.WriteFile(record.PageFile(record.PageAfter, n), orNewline(pages.After)); err != nil {
			return &StoreError{err}
		}
	}
	return nil
}

var errNoSession = errors.New("there is no session any more")

// orNewline keeps a page without any line of the split as a file, too.
func orNewline(page []byte) []byte {
	if len(page) == 0 {
		return []byte("\n")
	}
	return page
}

// readPage fetches the lines of the page that say something of the split. Only the way to the pod can fail; what the
// proxy did not say is w.Why.
func (r *run) readPage(ctx context.Context, f fetcher, w *record.WitnessFacts) ([]byte, error) {
	res, body, err := f.Fetch(ctx, wire.FetchRequest{
		URL: w.URL, TimeoutMs: witnessTimeout.Milliseconds(), MaxBytes: maxWitnessPage,
		Keep: witness.TargetOf(*r.m.Before).Keep(w.Kind),
	})
	switch {
	case err != nil:
		return nil, err
	case res.Error != "":
		w.Why = "the proxy's counters could not be read at " + w.URL + ": " + brief(res.Error)
	case res.Status != 200:
		w.Why = fmt.Sprintf("the proxy's counters could not be read at %s: status %d", w.URL, res.Status)
	case res.Truncated:
		w.Why = fmt.Sprintf("the proxy's counters at %s say more than %d MiB of this split, "+
			"or the agent is too old to leave out the rest",
			w.URL, maxWitnessPage>>20)
	}
	return body, nil
}
