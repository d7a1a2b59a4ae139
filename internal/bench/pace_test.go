package bench

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/wire"
)

// TestPace feeds a pod's signs of life, one a second: how many results there are after each.
func TestPace(t *testing.T) {
	plan := attack.Plan{Rate: attack.Rate{Hits: 1000, Per: time.Second}, Requests: 20_000, Connections: 10}
	shaped := plan
	shaped.Shape = &attack.Shape{Kind: attack.ShapeClosed}
	for name, c := range map[string]struct {
		plan      attack.Plan
		keepGoing bool
		results   []uint64
		says      string // within what is said; "" nothing
		stops     int    // with which sign of life; 0: never
	}{
		"in time":            {plan, false, []uint64{995, 1998, 2996, 4000, 5001, 6000}, "", 0},
		"a tenth":            {plan, false, []uint64{100, 200, 300, 400}, "1000 requests were due in 1.0s, 100 are done", 3},
		"a tenth, wanted so": {plan, true, []uint64{100, 200, 300, 400}, "1000 requests were due", 0},
		// 700 a second are late, but not by so much that the end is nothing.
		"seven tenths": {plan, false, []uint64{700, 1400, 2100, 2800, 3500}, "700 are done", 0},
		// A burst that stands still for a while may still be made up for.
		"a pause":         {plan, false, []uint64{1000, 1000, 1000, 1000, 1000, 1000, 1000, 5000, 8000}, "2000 requests were due", 0},
		"nothing":         {plan, false, []uint64{0, 0}, "no answer to any of 1000 requests in 1.0s", 0},
		"no rate to keep": {shaped, false, []uint64{1, 2, 3, 4}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithCancelCause(t.Context())
			p, said, stopped := newPace(c.plan, c.keepGoing, stop), []string{}, 0
			for i, n := range c.results {
				if s := p.see(wire.BurstProgress{ElapsedUs: int64(i+1) * 1e6, Requests: n}); s != "" {
					said = append(said, s)
				}
				if ctx.Err() != nil && stopped == 0 {
					stopped = i + 1
				}
			}
			if got := strings.Join(said, "; "); len(said) > 1 || !strings.Contains(got, c.says) || (c.says == "") != (got == "") {
				t.Errorf("said %q, want %q", got, c.says)
			}
			if stopped != c.stops {
				t.Errorf("stopped with sign %d (%v), want %d", stopped, context.Cause(ctx), c.stops)
			}
			if stopped > 0 && !strings.Contains(context.Cause(ctx).Error(), "--keep-going") {
				t.Errorf("%v", context.Cause(ctx))
			}
		})
	}
}

// The last answers of a burst that was sent in time may come when they come.
func TestPaceWaitsForAnswers(t *testing.T) {
	ctx, stop := context.WithCancelCause(t.Context())
	p := newPace(attack.Plan{Rate: attack.Rate{Hits: 100, Per: time.Second}, Requests: 100}, false, stop)
	for i := range 8 {
		p.see(wire.BurstProgress{ElapsedUs: int64(i+1) * 1e6, Requests: 2})
	}
	if ctx.Err() != nil {
		t.Errorf("%v", context.Cause(ctx))
	}
}

// probed answers fetches, the last answer again and again.
type probed struct {
	answers []wire.FetchResult
	n       int
}

func (p *probed) Fetch(context.Context, wire.FetchRequest) (wire.FetchResult, []byte, error) {
	p.n++
	res := p.answers[min(p.n, len(p.answers))-1]
	if res.Status != 200 {
		return res, nil, nil
	}
	return res, []byte(`{"message": "west"}`), nil
}

// What rules of the user's are worth is known before the burst.
func TestTryRules(t *testing.T) {
	silent, ok, failed := wire.FetchResult{Class: "timeout", Error: "timeout after 5s"}, wire.FetchResult{Status: 200},
		wire.FetchResult{Status: 503}
	for name, c := range map[string]struct {
		answers []wire.FetchResult
		value   string // that the rule looks for
		asked   int
		why     string
	}{
		"fits":           {[]wire.FetchResult{ok}, "west", 1, ""},
		"fits late":      {[]wire.FetchResult{failed, silent, ok}, "west", 3, ""},
		"fits none":      {[]wire.FetchResult{failed, ok}, "east", 20, `any of 19 answers, the last with status 200 and the body {"message": "west"}`},
		"silent":         {[]wire.FetchResult{silent}, "east", 3, "http://podinfo/ does not answer: none of 3 requests had an answer, the last: timeout after 5s"},
		"only failures":  {[]wire.FetchResult{failed}, "east", 20, ""},
		"silent at last": {[]wire.FetchResult{failed, silent}, "east", 4, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := &run{}
			r.m.Plan.URL = "http://podinfo/"
			r.m.Plan.Rules = []attack.Rule{{Backend: 0, Kind: attack.RuleJSON, Key: "/message", Values: []string{c.value}}}
			f := &probed{answers: c.answers}
			err := r.tryRules(t.Context(), f)
			if f.n != c.asked || (err == nil) != (c.why == "") || err != nil && !strings.Contains(err.Error(), c.why) {
				t.Errorf("%d asked: %v; want %d: %q", f.n, err, c.asked, c.why)
			}
			r.cfg.KeepGoing = true
			if err := r.tryRules(t.Context(), f); err != nil {
				t.Errorf("with --keep-going: %v", err)
			}
		})
	}
}

// A target that only fails ends a comparison with its first round, and --keep-going measures it all the same.
func TestAFailingTargetEndsTheComparison(t *testing.T) {
	w := world(t, demo.Options{Seed: 4})
	cfg := compareTargets(t, w)
	cfg.Round = 100 * time.Millisecond
	w.CutGateway(true)
	r, err := Latency(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	why := strings.Join(r.Verdict.Reasons, "; ")
	if r.Verdict.Outcome != report.Invalid || !strings.Contains(why, "stopped after 1 of 20 rounds") ||
		!strings.Contains(why, "--keep-going") || !strings.Contains(why, "svc/podinfo-east") {
		t.Errorf("%s: %s", r.Verdict.Outcome, why)
	}
}
