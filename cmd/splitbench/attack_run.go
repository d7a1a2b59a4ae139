package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/export"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// attackRun is one attack and its results so far.
type attackRun struct {
	*app
	plan  attack.Plan
	names []string
	in    report.LoadInput
}

// once carries out the plan, and writes its results to a file where one is named.
func (r *attackRun) once(ctx context.Context, out, to string) error {
	if out == "" {
		for _, err := range r.results(ctx) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	facts := export.Facts{
		Run: r.in.Run.ID, URL: untrusted.Masked(r.plan.URL), Method: r.plan.Method, Started: r.in.Run.Started,
		Backends: r.names,
	}
	return toFile(out, r.stdout, func(w io.Writer) error { return write(w, to, facts, export.Options{}, r.results(ctx)) })
}

// results sends the plan and yields its results as they come, counted. How the burst ended is in r.in.Run then: an end
// before the planned one is no error, what was measured is still to be said.
func (r *attackRun) results(ctx context.Context) iter.Seq2[attack.Result, error] {
	return func(yield func(attack.Result, error) bool) {
		e := attack.NewEngine(r.plan, attack.EngineOptions{Unmatched: func(x attack.Specimen) {
			r.in.Specimens = append(r.in.Specimens, x)
		}})
		defer e.Close()
		if err := r.warmUp(ctx, e); err != nil {
			yield(attack.Result{}, err)
			return
		}
		p := r.newProgress()
		defer p.end()
		r.in.Summary, r.in.Specimens = &attack.Summary{}, nil
		r.in.Run.Started = time.Now().UTC()
		cpu, throttled := agent.Cost()
		r.in.Run.EndReason, r.in.Run.Complete = "done", true
		var shown time.Duration
		for res, err := range e.Attack(ctx, r.plan) {
			if err != nil {
				if !r.ended(ctx, err) {
					yield(attack.Result{}, err)
					return
				}
				break
			}
			r.in.Summary.Add(res)
			if res.Done-shown >= time.Second {
				shown = res.Done
				p.show(bench.Progress{Live: r.live()})
			}
			if !yield(res, nil) {
				return
			}
		}
		cpuAfter, throttledAfter := agent.Cost()
		r.in.CPU, r.in.Throttled, r.in.Dials = cpuAfter-cpu, throttledAfter-throttled, e.Dials()
	}
}

// live is the burst so far.
func (r *attackRun) live() *report.Live {
	s := r.in.Summary
	l := report.LiveOf(s)
	l.Elapsed, l.Planned = s.LastDone, r.plan.Requests
	l.Left = max(0, r.plan.Duration()-l.Elapsed)
	for i, name := range r.names {
		n := s.ByRule[int16(i)]
		l.Parts = append(l.Parts, report.LivePart{
			Name: name, Observed: int64(n), Share: report.Finite(float64(n) / float64(s.Requests)),
		})
	}
	return &l
}

func (r *attackRun) warmUp(ctx context.Context, e attack.Engine) error {
	p := r.plan
	if p.Requests = p.WarmUp; p.Requests == 0 {
		return nil
	}
	for _, err := range e.Attack(ctx, p) {
		if err != nil {
			if r.in.Summary = (&attack.Summary{}); r.ended(ctx, err) {
				return fmt.Errorf("warm-up: %w", err)
			}
			return err
		}
		r.in.WarmUp++
	}
	return nil
}

// ended notes how a burst ended before its planned end, and reports whether it is such an end.
func (r *attackRun) ended(ctx context.Context, err error) bool {
	var abort *attack.AbortError
	var gaveUp *attack.GaveUpError
	run := &r.in.Run
	closed := r.plan.Shape != nil && r.plan.Shape.Kind == attack.ShapeClosed
	switch {
	case errors.As(err, &abort) && abort.Reason == attack.AbortTime && closed:
		return true // a closed loop for a given time ends so
	case errors.As(err, &abort):
		run.EndReason, run.EndText = string(abort.Reason), abort.Saw
	case errors.As(err, &gaveUp):
		run.EndReason, run.EndText = "gaveUp", fmt.Sprintf("%d requests in a row got no answer", gaveUp.InARow)
	case ctx.Err() != nil:
		run.EndReason, run.EndText = "interrupted", "interrupted"
	default:
		return false
	}
	run.Complete = false
	return true
}

// search looks for the highest rate. The report's load is that of the best trial, or of the last where none was good.
func (r *attackRun) search(ctx context.Context, c *attackCommand) error {
	from, to, err := bounds(c.search)
	if err != nil {
		return err
	}
	if to > r.plan.MaxRate {
		return fmt.Errorf("--search %q: above the ceiling of %g/s; allow it with --max-rate", c.search, r.plan.MaxRate)
	}
	if c.out != "" {
		return fmt.Errorf("--out: a search keeps no results; attack at the rate that it finds")
	}
	given := *r.plan.Limits
	s := attack.Search{From: from, To: to, ResponseTime: given.ResponseTime}
	if err := s.Validate(); err != nil {
		return fmt.Errorf("--%w", err)
	}
	given.ResponseTime = 0       // the trial's whole is judged
	var tried []report.LoadInput // by trial
	found, err := s.Run(ctx, func(ctx context.Context, rate float64) (attack.Trial, error) {
		limits := given
		r.plan.Limits, r.plan.Shape = &limits, nil
		t, err := r.try(ctx, rate, c.duration)
		if err == nil {
			r.in.Plan = r.plan
			tried = append(tried, r.in)
		}
		return t, err
	})
	if err != nil && ctx.Err() == nil {
		return err
	}
	search := report.LoadSearch{Why: found.Why, Trials: []report.LoadTrial{}}
	if found.Best > 0 {
		search.BestPerSecond = &found.Best
	}
	if found.Fail > 0 {
		search.FailPerSecond = &found.Fail
	}
	for i, t := range found.Trials {
		best := t.OK && t.Rate == found.Best || found.Best == 0 && i == len(found.Trials)-1
		if best && i < len(tried) {
			r.in = tried[i]
		}
		search.Trials = append(search.Trials, report.LoadTrial{
			RatePerSecond: t.Rate, OK: t.OK, Why: t.Why, ErrorShare: t.ErrorShare,
			P99Ms: float64(t.P99) / float64(time.Millisecond),
		})
	}
	r.in.Search = &search
	return nil
}

// try sends at one rate.
func (r *attackRun) try(ctx context.Context, rate float64, duration time.Duration) (attack.Trial, error) {
	r.plan.Rate = attack.Rate{Hits: uint64(rate * 1000), Per: 1000 * time.Second}
	r.plan.Requests = min(max(r.plan.Rate.Requests(duration), 1), r.plan.MaxRequests)
	r.say("trying %.4g/s", rate)
	if err := r.once(ctx, "", ""); err != nil {
		return attack.Trial{}, err
	}
	if ctx.Err() != nil {
		return attack.Trial{}, ctx.Err()
	}
	t := r.in.Summary.Trial(r.in.Throttled)
	t.Failures = report.FailuresOf(r.in.Summary, r.in.Dials)
	if !r.in.Run.Complete {
		t.ErrorShare = 1
		t.Failures = strings.TrimPrefix(t.Failures+"; "+r.in.Run.EndText, "; ")
	}
	return t, nil
}
