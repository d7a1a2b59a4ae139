package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	rereadLimit = 20 * time.Second
)

// look reads the cluster after the burst, where one was measured. That nothing moved must be seen, not assumed.
func (r *run) look(ctx context.Context, measured bool) {
	r.progress("judge", "judging")
	if !measured {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rereadLimit)
	defer cancel()
	q := r.cfg.Query.Pinned(*r.m.Before)
	var last error
	for range rereads {
		snap, err := mesh.Discover(ctx, r.cfg.Local, r.cfg.Remotes, q)
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
		pause(ctx, rereadPause) //nolint:errcheck // the next look says it
	}
	r.m.Failures = append(r.m.Failures,
		"whether the split stayed the same during the run could not be seen: "+untrusted.Error(last))
}

// conclude computes the report of the live run.
func (r *run) conclude(kind steps) report.Report {
	r.m.Ended = time.Now().UTC()
	e := kind.evidence()
	rep := judge.Conclude(r.m, e)
	if b := r.cfg.Baseline; b != nil && e.Tally != nil {
		var err error
		if rep.Baseline, err = judge.CompareWith(*b, rep, r.m, e.Totals, e.Tally); err != nil {
			rep.Warnings = append(rep.Warnings, untrusted.Safe(fmt.Sprintf("the baseline %s could not be compared: %v",
				b.Folder.ID, err)))
		}
	}
	return rep
}

// close writes the report into the run's folder and closes it. The report's outcome is right also where the folder
// cannot be finished: that is a warning in it.
func (r *run) close(rep *report.Report, measured bool) {
	status := store.Complete
	switch {
	case !measured:
		status = store.Aborted
	case !rep.Run.Complete:
		status = store.Partial
	}
	if err := r.write(*rep); err != nil {
		rep.Warnings = append(rep.Warnings, untrusted.Safe(fmt.Sprintf("the run's folder is not whole: %v", err)))
		status = store.Partial
	}
	if err := r.folder.Close(status); err != nil {
		rep.Warnings = append(rep.Warnings, untrusted.Safe(fmt.Sprintf("the run's folder could not be closed: %v", err)))
	}
}

// write writes the report in every format, and what the run saw.
func (r *run) write(rep report.Report) error {
	var verdict, markdown, text, page bytes.Buffer
	outline := rep.Outline()
	err := errors.Join(report.WriteJSON(&verdict, rep), render.Markdown(&markdown, outline, render.Long),
		render.Text(&text, outline, render.TextOptions{}), render.HTML(&page, outline, rep))
	if err != nil {
		return err
	}
	summary, err := report.WriteSummary(report.Summarize(rep))
	if err != nil {
		return err
	}
	if r.m.After != nil {
		err = r.keep("split.after.yaml", r.m.After.Split.YAML)
	}
	return errors.Join(err, r.m.Write(r.folder), r.keep(record.LogFile, r.log.bytes()),
		r.folder.WriteFile(record.VerdictFile, verdict.Bytes()), r.folder.WriteFile(record.SummaryFile, summary),
		r.folder.WriteFile(record.MarkdownFile, markdown.Bytes()), r.folder.WriteFile(record.TextFile, text.Bytes()),
		r.folder.WriteFile(record.HTMLFile, page.Bytes()))
}
