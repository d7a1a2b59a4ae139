package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/export"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// attackCommand holds the flags of `attack`.
type attackCommand struct {
	*app
	cfg    bench.Config
	output form

	flags                     *pflag.FlagSet // rate, requests, duration and so on
	toFlag                    *pflag.Flag
	schedule, search, out, to string
	requests                  uint64
	duration                  time.Duration
	selfTest                  bool
}

const defaultAttackTime = 10 * time.Second

func newAttack(a *app) *cobra.Command {
	c := &attackCommand{app: a}
	cmd := &cobra.Command{
		Use:   "attack URL",
		Short: "Send requests from here and measure, without Kubernetes",
		Long: `attack is the load generator alone: it sends requests to a URL from this machine, on schedule, and reports
the results. Every request has one result and is never sent twice. Latencies count from the planned instants. If the
generator was late, the report says so and does not present its latencies as facts.

Exit codes: 0 it ran to its end, 2 wrong command line or local file, 4 nothing was answered or a limit ended it,
130/143 interrupted.`,
		Example: `  splitbench attack http://127.0.0.1:9898/ --rate 1000 --duration 10s
  splitbench attack https://podinfo.example.com/ --http h2 --connections 4 --streams 8 --max-rate 5000 --rate 2000
  splitbench attack http://127.0.0.1:9898/ --schedule closed --connections 8 --max-rate 100000 --requests 50000
  splitbench attack http://127.0.0.1:9898/ --search 100:20000 --max-response-time 20ms --max-rate 20000`,
		Args: cobra.ExactArgs(1),
	}
	return a.command(cmd, &c.cfg, c.attack,
		under("Load", c, bound(connectionFlags), warmUpFlag(0), bound(seedFlag), ceilingFlags{}),
		under("Answers", bound(classifyFlag)),
		under("Output", outputFlag(&c.output, "text", "json"), bound(c.fileFlags)),
		under("Request", &requestFlags{}),
		under("Connections", engineFlags{}, &turnoverFlags{requests: "any number"}, &dialFlags{}),
		under("Early end", &limitFlags{maxErrors: "50%"}),
	)
}

func (c *attackCommand) register(flags *pflag.FlagSet, cfg *bench.Config) {
	rateFlag("50")(flags, cfg)
	flags.Uint64Var(&c.requests, "requests", 0, "requests to send; with --rate or --duration it fixes the other")
	flags.DurationVar(&c.duration, "duration", defaultAttackTime, "how long to send")
	flags.StringVar(&c.schedule, "schedule", string(attack.ShapeConstant),
		"constant, poisson, closed (as fast as the connections go, up to --max-rate), steps=RATExTIME,..., "+
			"ramp=FROM:TO:TIME or sine=MEAN:AMPLITUDE:PERIOD")
	flags.StringVar(&c.search, "search", "", "FROM:TO: look for the highest rate between them at which nothing fails and "+
		"--max-response-time holds, each tried for --duration")
	flags.BoolVar(&c.selfTest, "selftest", false,
		"measure first what this machine can do, and report the rate as a share of that")
	c.flags = flags
}

func (c *attackCommand) fileFlags(flags *pflag.FlagSet, _ *bench.Config) {
	flags.StringVar(&c.out, "out", "", "file for the results, one by one")
	choose(flags, "to", "ndjson",
		"format of --out: ndjson, parquet, samples-csv (both a row for each request), or vegeta (gob), csv, json (all "+
			"three as vegeta writes them)",
		&c.to, "ndjson", "parquet", "samples-csv", "vegeta", "csv", "json")
	c.toFlag = flags.Lookup("to")
}

// complete refuses flags that would do nothing beside the others.
func (c *attackCommand) complete(*bench.Config) error {
	if err := folderExists("--out", c.out); err != nil {
		return err
	}
	if c.out == "" && c.toFlag.Changed {
		return fmt.Errorf("--to: is the format of --out; name a file with it")
	}
	for _, name := range []string{"rate", "requests", "schedule"} {
		if c.search != "" && c.flags.Changed(name) {
			return fmt.Errorf("--%s: a search makes its own rates, each constant for --duration; leave it out", name)
		}
	}
	return nil
}

// plan works out the plan and the names of its rules' backends.
func (c *attackCommand) plan(url string) (p attack.Plan, names []string, err error) {
	if !strings.Contains(url, "://") {
		return p, nil, fmt.Errorf("attack %q: want a URL with its scheme; did you mean http://%s?", url, url)
	}
	p = c.cfg.Load.Plan(url, 0)
	p.Header = c.cfg.Load.Template.Header // the rest when the run has a name
	if p.Shape, err = attack.ParseShape(c.schedule, c.cfg.Options.Seed); err != nil {
		return p, nil, fmt.Errorf("--%w", err)
	}
	p.Limits = cmp.Or(p.Limits, &attack.Limits{})
	if err := c.amount(&p); err != nil {
		return p, nil, err
	}
	names = c.rules(&p)
	if err := agent.EnoughFiles(p.Connections); err != nil {
		return p, nil, err
	}
	return p, names, overCeiling(p.Validate())
}

// overCeiling adds the flag that lifts a ceiling.
func overCeiling(err error) error {
	if err == nil {
		return nil
	}
	switch text := err.Error(); {
	case strings.HasPrefix(text, "rate ") && strings.Contains(text, "ceiling"):
		return fmt.Errorf("--%w; allow it with --max-rate", err)
	case strings.HasPrefix(text, "requests ") && strings.Contains(text, "ceiling"):
		return fmt.Errorf("--%w; allow it with --max-requests", err)
	}
	return err
}

// amount works out the number of requests: two of rate, requests and duration fix the third, and a schedule that has
// rates of its own is followed for --duration.
func (c *attackCommand) amount(p *attack.Plan) error {
	given := c.flags.Changed
	ownRate := p.Shape != nil && p.Shape.Kind != attack.ShapePoisson
	switch {
	case c.duration <= 0:
		return fmt.Errorf("--duration %s: want above 0", c.duration)
	case given("requests") && c.requests == 0:
		return fmt.Errorf("--requests 0: want above 0")
	case ownRate && given("rate"):
		return fmt.Errorf("--rate: schedule %s has rates of its own", p.Shape.Kind)
	case ownRate && given("requests"):
		p.Requests = c.requests
		if given("duration") {
			p.Limits.Time = shorter(p.Limits.Time, c.duration)
		}
	case ownRate:
		p.Requests = attack.RequestsWithin(*p, c.duration, p.MaxRequests)
		p.Limits.Time = shorter(p.Limits.Time, c.duration+p.Timeout+time.Second)
		if p.Shape.Kind == attack.ShapeClosed {
			p.Requests, p.Limits.Time = p.MaxRequests, shorter(p.Limits.Time, c.duration)
		}
	case given("requests") && given("rate") && given("duration"):
		return fmt.Errorf("--requests, --rate and --duration: two of them fix the third; leave one out")
	case given("requests") && given("duration"):
		p.Requests, p.Rate = c.requests, attack.Rate{Hits: c.requests, Per: c.duration}
	case given("requests"):
		p.Requests = c.requests
	default:
		p.Requests = max(p.Rate.Requests(c.duration), 1)
	}
	return nil
}

// shorter returns the smaller of two limits, where 0 is no limit.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// rules numbers the rules' names in the order of their first use.
func (c *attackCommand) rules(p *attack.Plan) (names []string) {
	for _, rule := range c.cfg.Rules {
		i := slices.Index(names, rule.Backend)
		if i < 0 {
			i, names = len(names), append(names, rule.Backend)
		}
		rule.Rule.Backend = i
		p.Rules = append(p.Rules, rule.Rule)
	}
	return names
}

// attack carries out a plan, or a search with it, prints the report and ends as it did.
func (c *attackCommand) attack(ctx context.Context, args []string) error {
	p, names, err := c.plan(args[0])
	if err != nil {
		return err
	}
	started := time.Now()
	id, err := store.NewID(started, "local", "attack", rand.Reader)
	if err != nil {
		return err
	}
	identify(&p, id)
	run := &attackRun{app: c.app, plan: p, names: names, in: report.LoadInput{
		Plan: p, Backends: names, Run: report.LoadRun{ID: id, Started: started.UTC(), Tool: toolVersion()},
	}}
	if c.selfTest {
		ability, err := attack.SelfTest(ctx, p.EngineName(), min(p.Connections, 64), time.Second)
		if err != nil {
			return err
		}
		run.in.OwnLimit = ability.Limit
	}
	if c.search != "" {
		err = run.search(ctx, c)
	} else {
		err = run.once(ctx, c.out, c.to)
	}
	if err != nil {
		return err
	}
	r := report.BuildLoad(run.in)
	switch err := c.write(c.output, c.outlined(r)); {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return interrupted{}
	case !r.Run.Complete || run.in.Summary.Timed() == 0:
		return exitCode(report.ExitInvalid)
	}
	return nil
}

// identify adds headers that name the tool and the run, unless the user set them.
func identify(p *attack.Plan, id string) {
	header := map[string]string{"User-Agent": "splitbench/" + agent.Version() + " (" + id + ")", "X-Splitbench-Run": id}
	for name, value := range p.Header {
		for own := range header {
			if strings.EqualFold(own, name) {
				delete(header, own)
			}
		}
		header[name] = value
	}
	p.Header = header
}

// bounds reads FROM:TO.
func bounds(s string) (from, to float64, err error) {
	a, b, ok := strings.Cut(s, ":")
	from, err1 := strconv.ParseFloat(a, 64)
	to, err2 := strconv.ParseFloat(b, 64)
	if !ok || errors.Join(err1, err2) != nil {
		return 0, 0, fmt.Errorf("--search %q: want FROM:TO, two rates per second", s)
	}
	return from, to, nil
}

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
		r.plan.Limits, r.plan.Shape = new(given), nil
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
