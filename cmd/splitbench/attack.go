package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

// attacking are the flags of `attack`.
type attacking struct {
	generator
	limiting
	payload
	rate, schedule, search, out, to, output string
	requests, warmUp, maxRequests, seed     uint64
	duration, timeout                       time.Duration
	connections                             int
	maxRate                                 float64
	classify                                []string
	selfTest                                bool
}

const defaultAttackTime = 10 * time.Second

func attackCommand(a *app) *cobra.Command {
	var f attacking
	cmd := &cobra.Command{
		Use:   "attack URL",
		Short: "Send requests from here and measure, without Kubernetes",
		Long: `attack is the load generator alone: it sends requests to a URL from this machine, on time, and says what came of them.
Every request has one result and is never sent twice; latencies count from the planned instants; a generator that was late
says so, and its latencies are not offered as facts.

Exit codes: 0 it ran to its end, 2 wrong command line or local file, 4 nothing was answered or a limit ended it,
130/143 interrupted.`,
		Example: `  splitbench attack http://127.0.0.1:9898/ --rate 1000 --duration 10s
  splitbench attack https://podinfo.example.com/ --http h2 --connections 4 --streams 8 --max-rate 5000 --rate 2000
  splitbench attack http://127.0.0.1:9898/ --schedule closed --connections 8 --max-rate 100000 --requests 50000
  splitbench attack http://127.0.0.1:9898/ --search 100:20000 --max-response-time 20ms --max-rate 20000`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, names, err := f.plan(cmd.Flags(), args[0])
			if err != nil {
				return err
			}
			return a.attack(cmd.Context(), &f, p, names)
		},
	}
	f.add(cmd.Flags())
	return cmd
}

func (f *attacking) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.rate, "rate", "50", "requests per second, whatever the answers do: 50, 0.5, 30/m")
	flags.Uint64Var(&f.requests, "requests", 0, "requests to send; with --rate or --duration it fixes the other")
	flags.DurationVar(&f.duration, "duration", defaultAttackTime, "how long to send")
	flags.StringVar(&f.schedule, "schedule", string(attack.ShapeConstant), "constant, poisson, closed (as fast as the connections go, up to --max-rate), steps=RATExTIME,..., ramp=FROM:TO:TIME or sine=MEAN:AMPLITUDE:PERIOD")
	flags.StringVar(&f.search, "search", "", "FROM:TO: look for the highest rate between them at which nothing fails and --max-response-time holds, each tried for --duration")
	flags.IntVar(&f.connections, "connections", attack.DefaultConnections, "connections at most")
	flags.DurationVar(&f.timeout, "timeout", attack.DefaultTimeout, "of one request")
	flags.Uint64Var(&f.warmUp, "warm-up", 0, "requests sent before the counted ones")
	flags.StringArrayVar(&f.classify, "classify", nil, "how answers are told apart: NAME=json:/FIELD=VALUE, NAME=header:NAME=VALUE, NAME=regexp:EXPRESSION or NAME=literal:TEXT; repeatable")
	flags.Float64Var(&f.maxRate, "max-rate", attack.DefaultMaxRate, "ceiling of the rate, per second")
	flags.Uint64Var(&f.maxRequests, "max-requests", attack.DefaultMaxRequests, "ceiling of --requests")
	flags.Uint64Var(&f.seed, "seed", 1, "seed of everything that is drawn at random here")
	flags.BoolVar(&f.selfTest, "selftest", false, "measure first what this machine can do, and report the rate as a share of that")
	flags.StringVar(&f.out, "out", "", "file for the results, one by one")
	flags.StringVar(&f.to, "to", "ndjson", "format of --out: vegeta (gob), csv, json (all three as vegeta writes them) or ndjson")
	flags.StringVarP(&f.output, "output", "o", "text", "text or json")
	f.generator.add(flags, "any number")
	f.limiting.add(flags, "50%")
	f.payload.add(flags)
}

// plan works out the plan and the names of its rules' backends.
func (f *attacking) plan(flags *pflag.FlagSet, url string) (p attack.Plan, names []string, err error) {
	if err := checkOutput(f.output, "text", "json"); err != nil {
		return p, nil, err
	}
	if err := checkFormat(f.to); err != nil {
		return p, nil, err
	}
	if err := f.unheeded(flags); err != nil {
		return p, nil, err
	}
	p = attack.Plan{
		URL: url, WarmUp: f.warmUp, Connections: f.connections, Timeout: f.timeout, MaxRate: f.maxRate, MaxRequests: f.maxRequests,
	}
	if !(f.maxRate > 0) || math.IsInf(f.maxRate, 0) || f.maxRequests == 0 {
		return p, nil, fmt.Errorf("--max-rate, --max-requests: want numbers above 0")
	}
	if p.Rate, err = attack.ParseRate(f.rate); err != nil {
		return p, nil, fmt.Errorf("--rate: %w", err)
	}
	if p.Shape, err = attack.ParseShape(f.schedule, f.seed); err != nil {
		return p, nil, fmt.Errorf("--%w", err)
	}
	if p.Limits, err = f.limits(); err != nil {
		return p, nil, err
	}
	if p.Limits == nil {
		p.Limits = &attack.Limits{}
	}
	if err := f.amount(flags, &p); err != nil {
		return p, nil, err
	}
	for _, apply := range []func() error{
		func() error { return f.generator.apply(&p, f.seed) },
		func() error { return f.payload.apply(&p) },
		func() error { names, err = f.rules(&p); return err },
		func() error { return agent.EnoughFiles(f.connections) },
	} {
		if err := apply(); err != nil {
			return p, nil, err
		}
	}
	p = p.WithDefaults()
	if err := p.Validate(); err != nil {
		return p, nil, overCeiling(err)
	}
	return p, names, nil
}

// unheeded refuses flags that would do nothing beside the others.
func (f *attacking) unheeded(flags *pflag.FlagSet) error {
	if f.out == "" && flags.Changed("to") {
		return fmt.Errorf("--to: is the format of --out; name a file with it")
	}
	for _, name := range []string{"rate", "requests", "schedule"} {
		if f.search != "" && flags.Changed(name) {
			return fmt.Errorf("--%s: a search makes its own rates, each constant for --duration; leave it out", name)
		}
	}
	return nil
}

// overCeiling says which flag lifts a ceiling.
func overCeiling(err error) error {
	switch text := err.Error(); {
	case strings.HasPrefix(text, "rate ") && strings.Contains(text, "ceiling"):
		return fmt.Errorf("--%w; allow it with --max-rate", err)
	case strings.HasPrefix(text, "requests ") && strings.Contains(text, "ceiling"):
		return fmt.Errorf("--%w; allow it with --max-requests", err)
	case strings.Contains(text, "without permission"):
		return fmt.Errorf("%w; allow it with --allow-unsafe", err)
	}
	return err
}

// amount works out the number of requests: two of rate, requests and duration fix the third, and a schedule that has rates
// of its own is followed for --duration.
func (f *attacking) amount(flags *pflag.FlagSet, p *attack.Plan) error {
	ownRate := p.Shape != nil && p.Shape.Kind != attack.ShapePoisson
	switch {
	case f.duration <= 0:
		return fmt.Errorf("--duration %s: want above 0", f.duration)
	case flags.Changed("requests") && f.requests == 0:
		return fmt.Errorf("--requests 0: want above 0")
	case ownRate && flags.Changed("rate"):
		return fmt.Errorf("--rate: schedule %s has rates of its own", p.Shape.Kind)
	case ownRate && flags.Changed("requests"):
		p.Requests = f.requests
		if flags.Changed("duration") {
			p.Limits.Time = shorter(p.Limits.Time, f.duration)
		}
	case ownRate:
		p.Requests = attack.RequestsWithin(*p, f.duration, p.MaxRequests)
		p.Limits.Time = shorter(p.Limits.Time, f.duration+p.Timeout+time.Second)
		if p.Shape.Kind == attack.ShapeClosed {
			p.Requests, p.Limits.Time = p.MaxRequests, shorter(p.Limits.Time, f.duration)
		}
	case flags.Changed("requests") && flags.Changed("rate") && flags.Changed("duration"):
		return fmt.Errorf("--requests, --rate and --duration: two of them fix the third; leave one out")
	case flags.Changed("requests") && flags.Changed("duration"):
		p.Requests, p.Rate = f.requests, attack.Rate{Hits: f.requests, Per: f.duration}
	case flags.Changed("requests"):
		p.Requests = f.requests
	default:
		p.Requests = max(p.Rate.Requests(f.duration), 1)
	}
	return nil
}

// shorter is the smaller of two limits, of which 0 is none.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// rules numbers the rules' names in the order of their first use.
func (f *attacking) rules(p *attack.Plan) (names []string, err error) {
	number := map[string]int{}
	for _, c := range f.classify {
		rule, err := bench.ParseClassify(c)
		if err != nil {
			return nil, err
		}
		i, known := number[rule.Backend]
		if !known {
			i = len(names)
			number[rule.Backend], names = i, append(names, rule.Backend)
		}
		rule.Rule.Backend = i
		p.Rules = append(p.Rules, rule.Rule)
	}
	return names, nil
}

// attack carries out a plan, or a search with it, prints the report and ends as it did.
func (a *app) attack(ctx context.Context, f *attacking, p attack.Plan, names []string) error {
	started := time.Now()
	id, err := store.NewID(started, "local", "attack", rand.Reader)
	if err != nil {
		return err
	}
	identify(&p, id)
	run := &attackRun{app: a, plan: p, names: names, in: report.LoadInput{
		Plan: p, Backends: names, Run: report.LoadRun{ID: id, Started: started.UTC(), Tool: toolVersion()},
	}}
	if f.selfTest {
		ability, err := attack.SelfTest(ctx, p.EngineName(), min(p.Connections, 64), time.Second)
		if err != nil {
			return err
		}
		run.in.OwnLimit = ability.Limit
	}
	if f.search != "" {
		err = run.search(ctx, f)
	} else {
		err = run.once(ctx, f.out, f.to)
	}
	if err != nil {
		return err
	}
	r := report.BuildLoad(run.in)
	if f.output == "json" {
		err = report.WriteLoadJSON(a.stdout, r)
	} else if !a.quiet {
		err = report.WriteLoad(a.stdout, r, report.TextOptions{Color: a.colored(a.stdout), ASCII: !a.unicode(a.stdout)})
	}
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return interrupted{}
	case !r.Run.Complete || run.in.Summary.Timed() == 0:
		return exitCode(report.ExitInvalid)
	}
	return nil
}

// identify makes requests say whose they are, unless the user said otherwise.
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
