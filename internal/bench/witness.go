package bench

import (
	"cmp"
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
func (r *run) witnessed(ctx context.Context, do func() error) error {
	if err := r.witnessBefore(ctx); err != nil {
		return err
	}
	return errors.Join(do(), r.witnessAfter(ctx))
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

func (r *run) witnessBefore(ctx context.Context) error {
	w := r.locateWitness()
	if w == nil || w.Why != "" {
		return nil
	}
	w.Pods = make([]record.ProxyPages, len(r.active))
	return r.readPages(ctx, w, record.PageBefore, func(s *source, page []byte) {
		s.asked = time.Now()
		w.Pods[s.n] = record.ProxyPages{Pod: s.pod.Name, Before: page}
	})
}

// witnessAfter asks again right after the burst, also where that did not end well.
func (r *run) witnessAfter(ctx context.Context) error {
	w := r.m.Witness
	if w == nil || w.Why != "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), witnessTimeout)
	defer cancel()
	err := r.readPages(ctx, w, record.PageAfter, func(s *source, page []byte) {
		w.Pods[s.n].After, w.Pods[s.n].ElapsedMs = page, time.Since(s.asked).Milliseconds()
	})
	if _, full := errors.AsType[*StoreError](err); err != nil && !full {
		w.Why = "its counters could not be read after the burst: " + brief(err.Error())
		return nil
	}
	return err
}

// readPages reads and keeps the pages of all sources, several at a time. A pod without a session, or whose proxy does
// not tell, is w.Why: the counters of the others are no sum.
func (r *run) readPages(
	ctx context.Context, w *record.WitnessFacts, when string, take func(*source, []byte),
) error {
	whys := make([]string, len(r.active))
	errs := each(r.active, func(s *source) error {
		if s.session == nil {
			whys[s.n] = "there is no session with pod " + s.pod.Name
			return nil
		}
		page, why, err := r.readPage(ctx, s.session, w)
		if err != nil || why != "" {
			whys[s.n] = why
			return err
		}
		take(s, page)
		if err := r.folder.WriteFile(record.PageFile(when, s.n), orNewline(page)); err != nil {
			return &StoreError{err}
		}
		return nil
	})
	w.Why = cmp.Or(whys...)
	return worstOf(errs)
}

// orNewline keeps a page without any line of the split as a file, too.
func orNewline(page []byte) []byte {
	if len(page) == 0 {
		return []byte("\n")
	}
	return page
}

// readPage fetches the lines of the page that say something of the split. Only the way to the pod can fail; why is what
// the proxy did not say.
func (r *run) readPage(ctx context.Context, f fetcher, w *record.WitnessFacts) (page []byte, why string, err error) {
	res, body, err := f.Fetch(ctx, wire.FetchRequest{
		URL: w.URL, TimeoutMs: witnessTimeout.Milliseconds(), MaxBytes: maxWitnessPage,
		Keep: witness.TargetOf(*r.m.Before).Keep(w.Kind),
	})
	switch {
	case err != nil:
		return nil, "", err
	case res.Error != "":
		why = "the proxy's counters could not be read at " + w.URL + ": " + brief(res.Error)
	case res.Status != 200:
		why = fmt.Sprintf("the proxy's counters could not be read at %s: status %d", w.URL, res.Status)
	case res.Truncated:
		why = fmt.Sprintf("the proxy's counters at %s say more than %d MiB of this split, "+
			"or the agent is too old to leave out the rest",
			w.URL, maxWitnessPage>>20)
	}
	return body, why, nil
}
