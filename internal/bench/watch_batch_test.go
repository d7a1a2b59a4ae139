package bench

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/wire"
)

// script is a session that yields what it is told, then ends with an error or none.
type script struct {
	fetcher
	results []attack.Result
	err     error
}

var _ session = (*script)(nil)

func (s *script) Hello() wire.HelloMessage { return wire.HelloMessage{} }
func (s *script) Close() error             { return nil }

func (s *script) AttackFrom(context.Context, attack.Plan, agent.Start, *wire.Totals) iter.Seq2[attack.Result, error] {
	return func(yield func(attack.Result, error) bool) {
		for _, r := range s.results {
			if !yield(r, nil) {
				return
			}
		}
		if s.err != nil {
			yield(attack.Result{}, s.err)
		}
	}
}

func scripted(t *testing.T) *watchRun {
	t.Helper()
	w := &watchRun{patience: confirmLimit, run: &run{log: newRunLog(nil), m: record.Manifest{
		Kind: report.KindWatch, Options: analyze.DefaultOptions(), Weights: analyze.Weights{
			{Backend: "podinfo", W: 50},
			{Backend: "podinfo-east", W: 50},
		},
		Plan: attack.Plan{Rate: attack.Rate{Hits: 50, Per: time.Second}, Requests: 250},
	}}}
	if err := w.ready(); err != nil {
		t.Fatal(err)
	}
	return w
}

// from has one pod send by a session.
func from(w *watchRun, s session) {
	w.active = []*source{{r: w.run, session: s, stream: &record.Placement{}}}
}

func answered(status uint16, backends ...int16) (out []attack.Result) {
	for i, b := range backends {
		out = append(out, attack.Result{Seq: uint64(i), Status: status, Backend: b})
	}
	return out
}

// What one look takes into account: all of a batch that ended in order, also of one that was stopped; nothing of one
// that broke.
func TestWatchBatches(t *testing.T) {
	t.Parallel()
	stopped := errors.New("the time of the watch is over")
	broken := errors.New("the stream broke")
	for name, c := range map[string]struct {
		s        script
		stop     bool
		counted  int64
		lost     int64
		setAside int64
		looks    int64
		strange  bool
		err      error
	}{
		"whole":            {s: script{results: answered(200, 0, 1, 1, 0)}, counted: 4, looks: 1},
		"stopped in order": {s: script{results: answered(200, 0, 1), err: stopped}, stop: true, counted: 2, looks: 1},
		"stopped and broken": {
			s: script{results: answered(200, 0, 1), err: errors.Join(stopped, broken)}, stop: true,
			setAside: 2, err: broken,
		},
		"broken": {s: script{results: answered(200, 0, 1, 0), err: broken}, setAside: 3, err: broken},
		"no names any more": {
			s: script{results: answered(200, 0, attack.Unattributed, attack.Unattributed)}, counted: 1,
			lost: 2, looks: 1, strange: true,
		},
		"errors have no name": {
			s: script{results: answered(502, attack.Unattributed, attack.Unattributed)}, lost: 2,
			looks: 1,
		},
		"nothing": {looks: 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := scripted(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			if c.stop {
				cancel(stopped)
			}
			from(w, &c.s)
			strange, err := w.batch(ctx)
			if !errors.Is(err, c.err) || strange != c.strange {
				t.Errorf("strange %v, error %v", strange, err)
			}
			if w.w.Requests != c.counted || w.w.Lost != c.lost || w.w.SetAside != c.setAside || w.w.Looks != c.looks {
				t.Errorf("%+v", w.w)
			}
		})
	}
}

// A failure that nobody can confirm, because the API does not answer, is invalid: no failure and no pass.
func TestWatchCannotConfirmAFailure(t *testing.T) {
	t.Parallel()
	world := world(t, demo.Options{Seed: 45})
	cfg := watchOf(t, world)
	f := openFront(t, strings.TrimPrefix(cfg.REST.Host, "https://"))
	shut := rest.CopyConfig(cfg.REST)
	shut.Host = "https://" + f.addr
	var err error
	if cfg.Local, err = mesh.Connect(shut, "west"); err != nil {
		t.Fatal(err)
	}
	f.shut()
	w := scripted(t)
	w.cfg, w.patience = cfg, 1500*time.Millisecond
	// 60 of 60 to one side: 0.55^60 is 36 nats, it needs some 12 with the price of the prior.
	side := make([]int16, 60)
	from(w, &script{results: answered(200, side...)})
	if _, err := w.batch(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := w.conclude(w)
	if w.w.Failed || r.Verdict.Outcome != report.Invalid || !strings.Contains(strings.Join(r.Verdict.Reasons, " "),
		"could not be read") || r.Watch.Failure != nil {
		t.Errorf("%s %q: %+v", r.Verdict.Outcome, r.Verdict.Reasons, r.Watch)
	}
}

// An answer that the client's proxy gives itself is that of the party which the law names for its status, as in a run.
func TestAWatchTellsTheProxysOwnAnswers(t *testing.T) {
	t.Parallel()
	w := scripted(t)
	w.m.Before = &law.Snapshot{Law: law.Law{Backends: []law.Leaf{{Name: "podinfo"}, {Name: "podinfo-east", ProxyStatus: 500}}}}
	from(w, &script{results: append(answered(200, 0, 0), answered(500, attack.Unattributed, attack.Unattributed)...)})
	if strange, err := w.batch(t.Context()); err != nil || strange || w.w.Requests != 4 || w.w.Lost != 0 {
		t.Errorf("strange %v, %v: %+v", strange, err, w.w)
	}
}
