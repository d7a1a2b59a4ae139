package bench

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

// What the user marks while a run sends, and what is seen to change meanwhile, stands on the run's axis of time, live
// and stored.
func TestRunKeepsMarksAndMoves(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 31})
	cfg := connect(t, w, 1500)
	cfg.Load.Rate.Hits, cfg.Load.Rate.Per = 500, time.Second
	var markedAt, changedAt time.Time
	cfg.Progress = func(p Progress) {
		if p.Live != nil && p.Live.Requests >= 300 && markedAt.IsZero() {
			f, err := store.OpenRunning(cfg.ResultsDir, "latest")
			mustDo(t, err)
			markedAt = time.Now()
			mustDo(t, MarkRun(f, "deployed\x1b[31m"))
		}
		if p.Live != nil && p.Live.Requests >= 800 && changedAt.IsZero() {
			changedAt = time.Now()
			mustDo(t, w.SetWeights(90, 10))
		}
	}
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Series == nil || markedAt.IsZero() || changedAt.IsZero() {
		t.Fatalf("series %+v, marked %v, changed %v", r.Series, markedAt, changedAt)
	}
	f := latest(t, cfg.ResultsDir)
	m, err := record.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	v, err := f.Verify()
	if err != nil {
		t.Errorf("%v, %v", v, err)
	}
	var marked, moved []report.Mark
	for i, x := range r.Series.Marks {
		if i > 0 && x.AtSeconds < r.Series.Marks[i-1].AtSeconds {
			t.Errorf("not in order: %+v", r.Series.Marks)
		}
		if strings.Contains(x.Text, "\x1b") {
			t.Errorf("a mark is not escaped: %q", x.Text)
		}
		switch {
		case strings.HasPrefix(x.Text, "mark: deployed"):
			marked = append(marked, x)
		case strings.Contains(x.Text, "TrafficSplit"):
			moved = append(moved, x)
		}
	}
	if len(marked) != 1 || len(moved) != 1 || len(m.Marks) != 1 {
		t.Fatalf("marks %+v", r.Series.Marks)
	}
	// Both are placed by clocks that are at most the time of one exchange apart.
	if apart := moved[0].AtSeconds - marked[0].AtSeconds - changedAt.Sub(markedAt).Seconds(); apart < -0.5 || apart > 0.5 {
		t.Errorf("mark at %g, move at %g, in truth %s apart", marked[0].AtSeconds, moved[0].AtSeconds,
			changedAt.Sub(markedAt))
	}
	again, err := judge.Analyze(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(r.Series, again.Series, cmpopts.EquateApproxTime(0)); d != "" {
		t.Errorf("live and stored differ (-live +stored):\n%s", d)
	}
}

// A kind of run without a timeline takes no mark, and says so: what is marked there nobody would see.
func TestMarkOfARunWithoutTimeline(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 32})
	cfg := compareTargets(t, w)
	var refused error
	tried := false
	cfg.Progress = func(p Progress) {
		if p.Live != nil && p.Live.Requests > 0 && !tried {
			tried = true
			f, err := store.OpenRunning(cfg.ResultsDir, "latest")
			mustDo(t, err)
			refused = MarkRun(f, "deployed")
		}
	}
	if _, err := Latency(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	var usage *record.UsageError
	if !tried || !errors.As(refused, &usage) || !strings.Contains(refused.Error(),
		"is a latency run, which has no timeline to mark") {
		t.Errorf("tried %v: %v", tried, refused)
	}
}

// Lines of the marks' file come from anywhere.
func TestMarksInAFile(t *testing.T) {
	t.Parallel()
	whole := `{"at":"2026-11-22T07:15:02Z","text":"one"}` + "\nnonsense\n" + `{"text":""}` + "\n" +
		`{"at":"2026-11-22T07:15:03Z","text":"two\u0007"}` + "\n"
	got, read := marksIn([]byte(whole + `{"at":"2026-`))
	if read != len(whole) || len(got) != 2 || got[0].Text != "one" || strings.Contains(got[1].Text, "\x07") {
		t.Errorf("%d bytes, %+v", read, got)
	}
	if many, _ := marksIn([]byte(strings.Repeat("{\"text\":\"x\"}\n", 5000))); len(many) != maxFacts {
		t.Errorf("%d marks are kept", len(many))
	}
}
