package bench

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/report"
)

func watchOf(t *testing.T, w *demo.Clusters) WatchConfig {
	t.Helper()
	cfg := WatchConfig{Config: connect(t, w, 0), For: 4 * time.Second, Every: 250 * time.Millisecond}
	cfg.Load.Rate = attack.Rate{Hits: 1000, Per: time.Second}
	return cfg
}

// Some 3,000 requests or more at a true 50/50: the confidence sequence at level 0.99 has a half width of about 0.04,
// which is within 5 points; that it ever excludes the truth by more than the tolerance has a probability far below one
// in 10,000.
func TestWatchOfARightSplit(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 31})
	cfg := watchOf(t, w)
	looks := 0
	cfg.State = func(s WatchState) {
		looks++
		if s.Outcome == report.Fail {
			t.Errorf("look %d: %+v", looks, s)
		}
	}
	r, err := Watch(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Kind != report.KindWatchReport || r.Verdict.Outcome != report.Pass && r.Verdict.Outcome != report.Inconclusive {
		t.Errorf("%s %s %q", r.Kind, r.Verdict.Outcome, r.Verdict.Reasons)
	}
	if r.Watch.Looks < 3 || int64(looks) != r.Watch.Looks || r.Watch.Requests == 0 || len(r.Watch.Pods) != 1 ||
		r.Watch.GapCount != 0 {
		t.Errorf("%d looks told: %+v", looks, r.Watch)
	}
}

// A true 70/30 is 20 points off, 15 outside the tolerance: shown within some 400 requests. The watch ends there.
func TestWatchEndsAtTheFirstFailure(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 32, TrueWeights: map[string]int64{"podinfo": 70, "podinfo-east": 30}})
	cfg := watchOf(t, w)
	cfg.For = time.Minute
	r, err := Watch(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Outcome != report.Fail || r.Watch.FailedAt == nil || r.Watch.Requests > 5000 {
		t.Errorf("%s %q: %+v", r.Verdict.Outcome, r.Verdict.Reasons, r.Watch)
	}
}

// Lost requests are no evidence of a wrong split, and a watch that is interrupted keeps what it has and is no verdict.
func TestWatchOfLossesAndInterruptions(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 33})
	cfg := watchOf(t, w)
	cfg.For = 0
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	cut := false
	cfg.State = func(s WatchState) {
		if s.Watch.Looks == 2 && !cut {
			cut = true
			w.CutGateway(true)
		}
		if s.Watch.Looks >= 5 {
			cancel(errors.New("SIGINT"))
		}
	}
	r, err := Watch(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Outcome != report.Invalid || r.Verdict.StatisticalOutcome == report.Fail || r.Watch.Lost == 0 {
		t.Errorf("%s (%s) %q: %+v", r.Verdict.Outcome, r.Verdict.StatisticalOutcome, r.Verdict.Reasons, r.Watch)
	}
	if !strings.Contains(strings.Join(r.Verdict.Reasons, " "), "SIGINT") {
		t.Errorf("%q", r.Verdict.Reasons)
	}
}

func TestWatchListsAreBounded(t *testing.T) {
	t.Parallel()
	var gaps []report.WatchGap
	for i := range 1000 {
		gaps = keepLast(append(gaps, report.WatchGap{Seconds: float64(i)}), report.MaxWatchList)
	}
	if len(gaps) != report.MaxWatchList || gaps[len(gaps)-1].Seconds != 999 {
		t.Errorf("%d gaps, the last of %g s", len(gaps), gaps[len(gaps)-1].Seconds)
	}
}

// A watch sends no more than it may, asks before each look, and sends nothing while it has to wait: 250 requests at
// 1,000/s take a quarter of a second, also where the last one is answered before, and 100 at 200/s half of one.
func TestWatchSendsNoMoreThanItMay(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 34})
	cfg := watchOf(t, w)
	cfg.For, cfg.Load.WarmUp = time.Minute, 0
	ctx, enough := context.WithCancelCause(t.Context())
	defer enough(nil)
	type look struct {
		at   time.Time
		rate float64
	}
	var granted []look
	cfg.Rate = func(context.Context) (attack.Rate, error) {
		r := attack.Rate{Hits: 1000, Per: time.Second}
		if len(granted) > 3 {
			r.Hits = 200
		}
		granted = append(granted, look{time.Now(), r.PerSecond()})
		return r, nil
	}
	var sent []int64
	cfg.State = func(s WatchState) {
		if s.Namespace != "test" || s.Split != "ts/podinfo" {
			t.Errorf("of %s/%s", s.Namespace, s.Split)
		}
		if n := int64(len(sent)); s.Watch.Looks > n {
			sent = append(sent, s.Watch.Requests+s.Watch.Lost)
		}
		if len(sent) == 8 {
			enough(errors.New("enough was seen"))
		}
	}
	if _, err := Watch(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	if len(sent) < 8 || len(granted) < len(sent) {
		t.Fatalf("%d looks, asked %d times", len(sent), len(granted))
	}
	before := int64(0)
	for i := range sent[:len(sent)-1] { // the time may have cut the last one short
		took, n := granted[i+1].at.Sub(granted[i].at), sent[i]-before
		before = sent[i]
		if most := granted[i].rate*took.Seconds() + 1; float64(n) > most {
			t.Errorf("look %d: %d requests in %s at %g/s", i, n, took, granted[i].rate)
		}
	}
}

// The look that --for cuts short is the only one here: the proxy is asked about it all the same.
func TestWatchAsksTheProxyAboutItsLastLook(t *testing.T) {
	t.Parallel()
	cfg := watchOf(t, world(t, demo.Options{Seed: 36}))
	cfg.For, cfg.Every = 2*time.Second, time.Minute
	r, err := Watch(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Watch.Looks != 1 || r.Watch.Requests == 0 || r.Witness == nil || !r.Witness.Agrees {
		t.Fatalf("%+v, witness %+v, warnings %q", r.Watch, r.Witness, r.Warnings)
	}
	var answered, drawn int64
	for _, d := range r.Witness.Draws {
		answered, drawn = answered+d.Answered, drawn+d.Drawn
	}
	if answered != r.Watch.Requests || drawn < answered {
		t.Errorf("%d drawn, %d answered beside them, %d in all", drawn, answered, r.Watch.Requests)
	}
}
