package judge

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/render"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/wire"
)

// forged is a stored run that says what somebody wants it to say: folders come by mail. Its sums, checksums and totals are right.
func forged(t *testing.T, m record.Manifest, results []attack.Result) store.Folder {
	t.Helper()
	m.Schema = record.ManifestSchema
	if m.ID == "" {
		m.ID = "20261122t071502z-test-podinfo-k3f9"
	}
	run, err := store.Create(t.TempDir(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := run.WriteFile(record.ManifestFile, b); err != nil {
		t.Fatal(err)
	}
	block := wire.AppendSamples(nil, results)
	var tally wire.Tally
	for _, r := range results {
		tally.Add(r)
	}
	n := uint64(len(results))
	end, err := json.Marshal(wire.Totals{
		Reason: wire.ReasonDone, Requests: n, Samples: n, Blocks: 1, SamplesCRC: wire.Checksum(0, block), Tally: tally.Entries(), StartedUnixNs: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	var frames bytes.Buffer
	w := wire.NewWriter(&frames)
	for _, f := range []struct {
		t       wire.Type
		payload []byte
	}{{wire.Hello, []byte(`{"protocol":2}`)}, {wire.Samples, block}, {wire.End, end}} {
		if err := w.Write(f.t, f.payload); err != nil {
			t.Fatal(err)
		}
	}
	if err := run.Append(frames.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := run.Close(store.Complete); err != nil {
		t.Fatal(err)
	}
	f, err := store.Open(t.TempDir(), run.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Whatever a folder says, judging it ends, with a report or an error, and never in a pass.
func TestForgedFoldersAreNoPassAndNoCrash(t *testing.T) {
	t.Parallel()
	weights := analyze.Weights{{Backend: "podinfo", W: 50}, {Backend: "podinfo-east", W: 50}}
	two := &law.Snapshot{Backends: []law.Backend{{Name: "podinfo", Weight: 50}, {Name: "podinfo-east", Weight: 50, Mirror: &law.Mirror{Mode: law.MirrorGateway}}}}
	manifest := func(kind string, edit func(*record.Manifest)) record.Manifest {
		m := record.Manifest{Kind: kind, Weights: weights, Options: analyze.DefaultOptions(), Before: two, After: two}
		m.Plan = attack.Plan{Rate: attack.Rate{Hits: 100, Per: time.Second}, Requests: 1000}
		if edit != nil {
			edit(&m)
		}
		return m
	}
	results := func(at func(i int) time.Duration) []attack.Result {
		out := make([]attack.Result, 1000)
		for i := range out {
			planned := at(i)
			out[i] = attack.Result{
				Seq: uint64(i), Planned: planned, Sent: planned, FirstByte: planned + time.Millisecond, Done: planned + 2*time.Millisecond,
				Status: 200, Backend: drawn(i, 50), Conn: int32(i),
			}
		}
		return out
	}
	steady := results(func(i int) time.Duration { return time.Duration(i) * 10 * time.Millisecond })
	early := results(func(i int) time.Duration { return time.Duration(i-500) * 10 * time.Millisecond })
	late := results(func(i int) time.Duration { return time.Duration(i) * 10 * 24 * time.Hour })
	for name, f := range map[string]store.Folder{
		"instants before the start": forged(t, manifest(report.KindSplit, nil), early),
		"a drill before the start":  forged(t, manifest(report.KindDrill, func(m *record.Manifest) { m.Drill = &record.DrillFacts{} }), early),
		"a drill of 27 years":       forged(t, manifest(report.KindDrill, func(m *record.Manifest) { m.Drill = &record.DrillFacts{} }), late),
		"an end without beginning":  forged(t, manifest(report.KindSplit, func(m *record.Manifest) { m.Before = nil }), steady),
		"a schedule without a step": forged(t, manifest(report.KindSplit, func(m *record.Manifest) {
			m.Plan.Shape = &attack.Shape{Kind: attack.ShapeSteps}
			m.Streams = []record.Stream{{File: store.SamplesFile, Next: 900}, {File: "frames-1.sbw", First: 900, Segment: 1}}
		}), steady[:100]),
	} {
		r, err := Analyze(f, nil)
		if err == nil && r.Verdict.Outcome == report.Pass {
			t.Errorf("%s: %s", name, r.Verdict.Outcome)
		}
		if err == nil {
			var b bytes.Buffer
			if err := render.HTML(&b, r.Outline(), r); err != nil || b.Len() > 8<<20 {
				t.Errorf("%s: a page of %d bytes, %v", name, b.Len(), err)
			}
		}
	}
}
