package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/render"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Bounds of asking the cluster after the burst whether anything moved.
const (
	rereads     = 3
	rereadPause = time.Second
	rereadLimit = 5 * time.Second // of the first try; each has twice the time of the one before
)

// look reads the cluster after the burst, where one was measured. That nothing moved must be seen, not assumed.
func (r *run) look(ctx context.Context, measured bool) {
	r.progress("judge", "judging")
	if !measured {
		return
	}
	ctx = context.WithoutCancel(ctx)
	q := r.cfg.Query.Pinned(*r.m.Before)
	var last error
	for try := range rereads {
		limited, cancel := context.WithTimeout(ctx, rereadLimit<<try)
		snap, err := mesh.Discover(limited, r.cfg.Local, r.cfg.Remotes, q)
		cancel()
		if err == nil {
			r.m.After = &snap
			if t := snap.Told; t != nil && t.Required && t.Why != "" {
				r.m.Failures = append(r.m.Failures,
					tellWord+"what proxies are told could not be asked right after the burst: "+t.Why)
			}
			return
		}
		last = err
		if e, ok := errors.AsType[*mesh.Error](err); ok && e.Kind != mesh.KindUnreachable && e.Kind != mesh.KindServer {
			break
		}
		time.Sleep(rereadPause) // until what was cancelled has left its connection
		r.cfg.Local.Redial()    // the connections may have died during the burst, and nobody told us
		for _, remote := range r.cfg.Remotes {
			remote.Client.Redial()
		}
	}
	r.m.Failures = append(r.m.Failures,
		"whether the split stayed the same during the run could not be seen: "+untrusted.Error(last))
}

// conclude computes the report of the live run.
func (r *run) conclude(kind steps) report.Report {
	r.m.Ended = time.Now().UTC()
	e := kind.evidence()
	rep := judge.Conclude(r.m.Kept(), e)
	if b := r.cfg.Baseline; b != nil && e.Tally != nil {
		var err error
		if rep.Baseline, err = judge.CompareWith(*b, rep, r.m.Kept(), e.Totals, e.Tally); err != nil {
			rep.Warnings = append(rep.Warnings, untrusted.Safe(fmt.Sprintf("the baseline %s could not be compared: %v",
				b.Folder.ID, err)))
		}
	}
	return rep
}

// status is how a run ended.
func (r *run) status(rep report.Report, measured bool) store.Status {
	switch {
	case !measured && failedCheck(r.m.Checks) != "":
		return store.Refused
	case !measured:
		return store.Aborted
	case !rep.Run.Complete:
		return store.Partial
	}
	return store.Complete
}

// close writes the report into the run's folder and closes it. Where that fails, as on a full disk, the outcome is
// invalid. What decides is written last, so that no folder says pass which is not whole.
func (r *run) close(rep *report.Report, status store.Status) {
	kept := true
	for _, write := range []func() error{
		func() error { return r.write(*rep) },
		func() error { return r.writeVerdict(*rep) },
		func() error { return r.folder.Close(status) },
	} {
		if err := write(); err != nil && kept {
			judge.NotKept(rep, err)
			kept, status = false, store.Partial
		}
	}
}

// write writes what the run saw, and the report for people.
func (r *run) write(rep report.Report) error {
	var markdown, text, page bytes.Buffer
	outline := rep.Outline()
	err := errors.Join(render.Markdown(&markdown, outline, render.Long),
		render.Text(&text, outline, render.TextOptions{}), render.HTML(&page, outline, rep))
	if err == nil {
		err = r.m.Write(r.folder)
	}
	if r.m.After != nil && err == nil {
		err = r.keep("split.after.yaml", r.m.After.Split.YAML)
	}
	return r.keepAll(err, map[string][]byte{
		record.LogFile: r.log.bytes(), record.MarkdownFile: markdown.Bytes(), record.TextFile: text.Bytes(),
		record.HTMLFile: page.Bytes(),
	})
}

// writeVerdict writes the report for programs.
func (r *run) writeVerdict(rep report.Report) error {
	var verdict bytes.Buffer
	err := report.WriteJSON(&verdict, rep)
	summary, unsummed := report.WriteSummary(report.Summarize(rep))
	return r.keepAll(errors.Join(err, unsummed), map[string][]byte{
		record.VerdictFile: verdict.Bytes(), record.SummaryFile: summary,
	})
}

// keepAll writes files until one cannot be: where the first does not fit, what the others say is the same.
func (r *run) keepAll(err error, files map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err == nil {
			err = r.keep(name, files[name])
		}
	}
	return err
}
