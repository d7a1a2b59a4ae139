package bench

import (
	"bytes"
	"encoding/csv"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/export"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/store"
)

// Each round of each target is one replicate, with all of its answers, in the order in which they were sent; a run of a
// split has one for each backend; and what is no benchmark, or no load test with one clock, is refused in a sentence
// that says so.
func TestReplicatesOfRuns(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 51})
	cfg := compareTargets(t, w)
	cfg.Labels = map[string]string{"Linkerd version": "2.18"}
	r, err := Latency(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	f := latest(t, cfg.ResultsDir)
	got, err := judge.ReplicatesOf(f)
	if err != nil || got.Cut != nil {
		t.Fatal(err, got.Cut)
	}
	answers, sent := map[string]int64{}, map[string]int64{}
	for i, x := range got.All {
		answers[x.Name] += int64(len(x.Took))
		sent[x.Name] += x.Sent
		if !slices.IsSorted(x.Took) {
			t.Errorf("replicate %d is not in order", i)
		}
	}
	if len(got.All) != 40 || got.Benchmark != "Latency" || !slices.Contains(got.Config,
		[2]string{"label-linkerd_version", "2.18"}) {
		t.Errorf("%d replicates of %s, %v", len(got.All), got.Benchmark, got.Config)
	}
	for _, x := range r.Comparison.Targets {
		if answers[x.Name] != x.Counted || sent[x.Name] != x.Sent {
			t.Errorf("%s: %d of %d, the report has %d of %d", x.Name, answers[x.Name], sent[x.Name], x.Counted, x.Sent)
		}
	}
	rows := tabulated(t, f)
	perRound, last := map[string]int{}, rows[0][5]
	for _, row := range rows {
		sent[row[1]]--
		perRound[row[1]+" "+row[2]]++
		if row[2] == "20" && row[5] < last {
			t.Errorf("a row of round 20 was planned at %s, before the run began at %s", row[5], last)
		}
	}
	if len(perRound) != 40 || perRound["svc/podinfo 1"] == 0 || perRound["svc/podinfo-east 20"] == 0 {
		t.Errorf("rows by target and round: %v", perRound)
	}
	for name, missing := range sent {
		if missing != 0 {
			t.Errorf("%s: the table lacks %d of its requests", name, missing)
		}
	}
	var usage *record.UsageError
	if _, err := judge.ExportFacts(f); !errors.As(err, &usage) || !strings.Contains(err.Error(),
		"latency run of 40 bursts") {
		t.Errorf("samples of a latency run: %v", err)
	}

	run := connect(t, w, 500)
	split, err := Run(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	got, err = judge.ReplicatesOf(latest(t, run.ResultsDir))
	if err != nil || len(got.All) != 2 || got.Benchmark != "Split" || got.All[0].Sent != split.Backends[0].Observed {
		t.Errorf("%+v, %v", got.Config, err)
	}

	drill := drillOf(t, w, nil)
	drill.Load.Requests, drill.Load.Rate = 100, attack.Rate{Hits: 200, Per: time.Second}
	if _, err := Drill(t.Context(), drill); err != nil {
		t.Fatal(err)
	}
	if _, err := judge.ReplicatesOf(latest(t, drill.ResultsDir)); !errors.As(err,
		&usage) || !strings.Contains(err.Error(), "is a drill run, which is no benchmark") {
		t.Errorf("a drill: %v", err)
	}
	facts, err := judge.ExportFacts(latest(t, drill.ResultsDir))
	if err != nil || len(facts.Backends) != 2 {
		t.Errorf("samples of a drill: %+v, %v", facts, err)
	}
}

// tabulated are the rows of a stored run's CSV.
func tabulated(t *testing.T, f store.Folder) [][]string {
	t.Helper()
	var b bytes.Buffer
	table := export.NewCSV(&b)
	if cut, err := judge.Tabulate(f, table); err != nil || cut != nil {
		t.Fatal(cut, err)
	}
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(lines) < 2 {
		t.Fatalf("%d lines: %v", len(lines), err)
	}
	return lines[1:]
}
