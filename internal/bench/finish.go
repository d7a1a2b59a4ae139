package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/render"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// rereads is how often the cluster is asked after the burst whether anything moved, before that is given up.
const (
	rereads     = 3
	rereadPause = time.Second
	rereadLimit = 20 * time.Second
)

// reread reads the cluster after the burst. That nothing moved must be seen, not assumed.
func (r *run) reread(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rereadLimit)
	defer cancel()
	q := r.cfg.Query.Pinned(*r.m.Before)
	var err error
	for range rereads {
		var snap law.Snapshot
		if snap, err = mesh.Discover(ctx, r.cfg.Local, r.cfg.Remotes, q); err == nil {
			r.m.After = &snap
			return
		}
		var e *mesh.Error
		if errors.As(err, &e) && e.Kind != mesh.KindUnreachable && e.Kind != mesh.KindServer {
			break
		}
		select {
		case <-time.After(rereadPause):
		case <-ctx.Done():
		}
	}
	r.m.Failures = append(r.m.Failures, "whether the split stayed the same during the run could not be seen: "+untrusted.Safe(err.Error()))
}

// finish looks at the cluster again, judges, and writes everything. The report's outcome is right also where the folder
// cannot be finished; that is then a warning in it.
func (r *run) finish(ctx context.Context) (report.Report, error) {
	r.progress("judge", "judging")
	measured := r.tally != nil && r.tally.N > 0
	if measured {
		r.reread(ctx)
	}
	var err error
	rep := r.conclude()
	if b := r.cfg.Baseline; b != nil && r.tally != nil {
		if rep.Baseline, err = judge.CompareWith(*b, rep, r.m, r.totals, r.tally); err != nil {
			rep.Warnings = append(rep.Warnings, untrusted.Safe(fmt.Sprintf("the baseline %s could not be compared: %v", b.Folder.ID, err)))
		}
	}
	r.close(&rep, measured)
	return rep, nil
}

func (r *run) write(rep report.Report) error {
	var verdict, markdown, text, page bytes.Buffer
	err := errors.Join(report.WriteJSON(&verdict, rep), render.Markdown(&markdown, rep.Outline()),
		render.Text(&text, rep.Outline(), render.TextOptions{}), render.HTML(&page, rep.Outline(), rep))
	if err != nil {
		return err
	}
	summary, err := report.WriteSummary(report.Summarize(rep))
	if err != nil {
		return err
	}
	if r.m.After != nil {
		err = r.keep("split.after.yaml", r.m.After.Split.YAML, r.folder)
	}
	return errors.Join(err, r.m.Write(r.folder), r.keep(record.LogFile, r.log.bytes(), r.folder),
		r.folder.WriteFile(record.VerdictFile, verdict.Bytes()), r.folder.WriteFile(record.SummaryFile, summary),
		r.folder.WriteFile(record.MarkdownFile, markdown.Bytes()), r.folder.WriteFile(record.TextFile, text.Bytes()),
		r.folder.WriteFile(record.HTMLFile, page.Bytes()))
}

// conclude computes the report of the live run.
func (r *run) conclude() report.Report {
	r.m.Ended = time.Now().UTC()
	return judge.Conclude(r.m, judge.Evidence{Totals: r.totals, Tally: r.tally})
}
