package bench

import (
	"context"
	"errors"
	"time"

	"github.com/splitbench/splitbench/internal/record"
)

// newRun is a run of a kind that has just been asked for.
func newRun(cfg Config, kind string) *run {
	return &run{cfg: cfg, log: newRunLog(cfg.Log), m: record.Manifest{
		Schema: record.ManifestSchema, Kind: kind, Started: time.Now().UTC(), Command: cfg.Command, Flags: cfg.Flags,
		Labels: cfg.Labels, Tool: cfg.Tool, Simulated: cfg.Simulated, Options: cfg.Options,
	}}
}

// begin does what comes before the first request, of every kind of run: it prepares, and opens a folder. false: there is nothing to
// send, and the report says why. The error is a *UsageError.
func (r *run) begin(ctx context.Context, prepare func(context.Context) error) (bool, error) {
	if err := prepare(ctx); err != nil {
		var u *record.UsageError
		if errors.As(err, &u) {
			return false, err
		}
		r.fail(ctx, err)
		return false, nil
	}
	if r.m.Refused() {
		return false, nil
	}
	folder, err := r.open()
	if err != nil {
		return false, &record.UsageError{Err: err}
	}
	r.folder = folder
	return true, nil
}
