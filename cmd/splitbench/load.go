package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
)

// rateFlag is the flag of the request rate.
func rateFlag(byDefault string) bound {
	return func(flags *pflag.FlagSet, cfg *bench.Config) {
		read(flags, "rate", byDefault, "requests per second, whatever the answers do: 50, 0.5, 30/m",
			into(&cfg.Load.Rate, attack.ParseRate))
	}
}

// ceilingFlags guard against mistyped rates and amounts. Register them after the flags that they bound.
type ceilingFlags struct{}

func (ceilingFlags) register(flags *pflag.FlagSet, cfg *bench.Config) {
	flags.Float64Var(&cfg.Load.MaxRate, "max-rate", attack.DefaultMaxRate, "ceiling of the rate, per second")
	flags.Uint64Var(&cfg.Load.MaxRequests, "max-requests", attack.DefaultMaxRequests, "ceiling of --requests")
}

// complete reports exceeded ceilings by flag; the plan checks them again.
func (ceilingFlags) complete(cfg *bench.Config) error {
	switch l := cfg.Load; {
	case !(l.MaxRate > 0) || math.IsInf(l.MaxRate, 0) || l.MaxRequests == 0:
		return fmt.Errorf("--max-rate, --max-requests: want numbers above 0")
	case l.Rate.PerSecond() > l.MaxRate:
		return fmt.Errorf("--rate %g/s: above the ceiling of %g/s; allow it with --max-rate", l.Rate.PerSecond(), l.MaxRate)
	case l.Requests > l.MaxRequests:
		return fmt.Errorf("--requests %d: above the ceiling of %d; allow it with --max-requests", l.Requests, l.MaxRequests)
	}
	return nil
}

// requestsFlag is the flag of how many requests to count.
func requestsFlag(byDefault string) bound {
	return func(flags *pflag.FlagSet, cfg *bench.Config) {
		read(flags, "requests", byDefault, "requests to count, or auto: as many as the tolerance, --alpha and --power need",
			into(&cfg.Load.Requests, parseRequests))
	}
}

func parseRequests(s string) (uint64, error) {
	if s == "auto" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || n == 0 {
		return 0, errors.New("want a number above 0, or auto")
	}
	return n, nil
}

// amountFlags are requests, rate and duration: two of them fix the third. Their defaults are the command's.
type amountFlags struct {
	requests, rate string // by default
	duration       time.Duration
	flags          *pflag.FlagSet
}

func (f *amountFlags) register(flags *pflag.FlagSet, cfg *bench.Config) {
	requestsFlag(cmp.Or(f.requests, "auto"))(flags, cfg)
	rateFlag(cmp.Or(f.rate, "50"))(flags, cfg)
	flags.DurationVar(&f.duration, "duration", 0, "how long to send; with --requests or --rate it fixes the other")
	f.flags = flags
}

func (f *amountFlags) complete(cfg *bench.Config) error {
	given := f.flags.Changed
	switch l := &cfg.Load; {
	case !given("duration"):
	case f.duration <= 0:
		return fmt.Errorf("--duration %s: want above 0", f.duration)
	case given("requests") && given("rate"):
		return fmt.Errorf("--requests, --rate and --duration: two of them fix the third; leave one out")
	case given("requests") && l.Requests == 0:
		return fmt.Errorf("--requests auto and --duration: give --rate and --duration, or --requests auto alone")
	case given("requests"):
		l.Rate = attack.Rate{Hits: l.Requests, Per: f.duration}
	default:
		l.Requests = l.Rate.Requests(f.duration)
	}
	return nil
}

// connectionFlags bound the connections and the wait for an answer.
func connectionFlags(flags *pflag.FlagSet, cfg *bench.Config) {
	flags.IntVar(&cfg.Load.Connections, "connections", attack.DefaultConnections,
		"connections, and requests in flight, at most")
	flags.DurationVar(&cfg.Load.Timeout, "timeout", attack.DefaultTimeout, "time limit of one request")
}

// warmUpFlag is the flag of uncounted requests at the start.
func warmUpFlag(requests uint64) bound {
	return func(flags *pflag.FlagSet, cfg *bench.Config) {
		flags.Uint64Var(&cfg.Load.WarmUp, "warm-up", requests, "requests to send before the counted ones")
	}
}

// classifyFlag is the flag of rules that tell backends apart.
func classifyFlag(flags *pflag.FlagSet, cfg *bench.Config) {
	readEach(flags, "classify", "how to tell answers apart: BACKEND=json:/FIELD=VALUE, BACKEND=proto:/NUMBER=VALUE, "+
		"BACKEND=header:NAME=VALUE, BACKEND=regexp:EXPRESSION or BACKEND=literal:TEXT; repeatable", func(s string) error {
		rule, err := judge.ParseClassify(s)
		cfg.Rules = append(cfg.Rules, rule)
		return err
	})
}

// limitFlags are the limits that end a burst early.
type limitFlags struct {
	maxErrors string // by default: an attack stops by itself where half of all fails; a run measures a backend that fails
	limits    attack.Limits
}

func (f *limitFlags) register(flags *pflag.FlagSet, _ *bench.Config) {
	l := &f.limits
	read(flags, "max-errors", cmp.Or(f.maxErrors, "100%"), "share of requests that may fail; 100%: all",
		into(&l.ErrorShare, parsePercent))
	flags.DurationVar(&l.ErrorWindow, "max-errors-within", attack.DefaultErrorWindow,
		"time over which --max-errors and --max-response-time are judged")
	flags.Uint64Var(&l.DialFailures, "max-dial-failures", 0, "requests in a row that may get no connection; 0: any number")
	flags.DurationVar(&l.ResponseTime, "max-response-time", 0, "time that 99 of 100 responses may take; 0: any")
	flags.DurationVar(&l.Lateness, "max-late", 0, "how late a request may be sent; 0: any")
	flags.DurationVar(&l.Time, "max-time", 0, "how long to send in all; 0: any time")
	flags.Int64Var(&l.Bytes, "max-bytes", 0, "bytes to read and write in all; 0: any number")
}

func (f *limitFlags) complete(cfg *bench.Config) error {
	l := f.limits
	if l.ErrorWindow <= 0 {
		return fmt.Errorf("--max-errors-within %s: want a time above 0, such as 2s", l.ErrorWindow)
	}
	if l.ResponseTime < 0 || l.Lateness < 0 || l.Time < 0 || l.Bytes < 0 {
		return fmt.Errorf("--max-response-time, --max-late, --max-time, --max-bytes: want 0 or above")
	}
	switch l.ErrorShare { // of a limit, 0 is none
	case 1:
		l.ErrorShare = 0
	case 0:
		l.ErrorShare = math.SmallestNonzeroFloat64
	}
	if (l != attack.Limits{ErrorWindow: l.ErrorWindow}) {
		cfg.Load.Template.Limits = &l
	}
	return nil
}

func keepGoingFlag(flags *pflag.FlagSet, cfg *bench.Config) {
	flags.BoolVar(&cfg.KeepGoing, "keep-going", false,
		"go on where it shows early that there will be no verdict: no answer, no rule fits, too slow a generator")
}

// parsePercent reads 5% as 0.05.
func parsePercent(s string) (float64, error) {
	number, ok := strings.CutSuffix(s, "%")
	x, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(x >= 0 && x <= 100) {
		return 0, errors.New("want 0% to 100%")
	}
	return x / 100, nil
}

// toleranceFlags choose how far a share may be off, and the test that decides.
func toleranceFlags(flags *pflag.FlagSet, cfg *bench.Config) {
	o := &cfg.Options
	read(flags, "tolerance", "5pt,50%",
		"how far a share may be off: points (2pt), part of the weight (20%), or the smaller of both",
		into(&o.Tolerance, analyze.ParseTolerance))
	choose(flags, "gate", string(o.Gate), "what decides: tolerance, or chisquare for the classical test",
		&o.Gate, analyze.GateTolerance, analyze.GateChiSquare)
}

// alphaFlag is the flag of the error rate.
func alphaFlag(flags *pflag.FlagSet, cfg *bench.Config) {
	flags.Float64Var(&cfg.Options.Alpha, "alpha", cfg.Options.Alpha, "error rate of the verdict, above 0 and below 0.5")
}

// powerFlag is the flag of the power that requests are planned for.
func powerFlag(flags *pflag.FlagSet, cfg *bench.Config) {
	flags.Float64Var(&cfg.Options.Power, "power", cfg.Options.Power,
		"chance that the planned requests suffice, above 0 and below 1")
}

// seedFlag is the flag of the seed of random numbers.
func seedFlag(flags *pflag.FlagSet, cfg *bench.Config) {
	flags.Uint64Var(&cfg.Options.Seed, "seed", cfg.Options.Seed, "seed of all random numbers that are drawn here")
}

// failOnFlag registers the flag that maps outcomes to exit codes. What it holds before is the default.
func failOnFlag(to *report.FailOn) bound {
	return func(flags *pflag.FlagSet, _ *bench.Config) {
		read(flags, "fail-on", string(cmp.Or(*to, report.FailOnInconclusive)),
			"mildest outcome with an exit code above 0: inconclusive, fail, invalid or never", into(to, report.ParseFailOn))
		offer(flags, "fail-on", report.FailOnInconclusive, report.FailOnFail, report.FailOnInvalid, report.FailOnNever)
	}
}

// sequentialFlags choose whether to stop early.
type sequentialFlags struct {
	on    bool
	every int64
}

func (s *sequentialFlags) register(flags *pflag.FlagSet, _ *bench.Config) {
	flags.BoolVar(&s.on, "sequential", false,
		"stop at the first look that decides; --requests is then the most that is sent")
	flags.Int64Var(&s.every, "look-every", 0,
		"requests between two looks of --sequential; default: a hundredth of --requests, 20 at least")
}

func (s *sequentialFlags) complete(cfg *bench.Config) error {
	switch {
	case s.every < 0:
		return fmt.Errorf("--look-every %d: want above 0", s.every)
	case !s.on && s.every > 0:
		return fmt.Errorf("--look-every %d: only with --sequential", s.every)
	case s.on:
		cfg.Sequential = &record.Sequential{Every: uint64(s.every)}
	}
	return nil
}

// expectFlags are the weights that must be found.
type expectFlags struct{ wait time.Duration }

func (e *expectFlags) register(flags *pflag.FlagSet, cfg *bench.Config) {
	read(flags, "expect", "",
		"weights that the split must have: 90/10 in its own order, or podinfo=90,podinfo-east=10; else nothing is sent",
		into(&cfg.Expect, bench.ParseExpect))
	flags.DurationVar(&e.wait, "wait-for", 0,
		"with --expect: how long to wait until the objects have them and the data plane follows")
}

func (e *expectFlags) complete(cfg *bench.Config) error {
	switch {
	case e.wait < 0:
		return fmt.Errorf("--wait-for %s: want above 0", e.wait)
	case cfg.Expect == nil && e.wait > 0:
		return fmt.Errorf("--wait-for %s: only with --expect", e.wait)
	case cfg.Expect != nil:
		cfg.Expect.Wait = e.wait
	}
	return nil
}

// ignoreFlag is the flag of checks whose failure does not stop a run.
type ignoreFlag struct{}

func (ignoreFlag) register(flags *pflag.FlagSet, cfg *bench.Config) {
	flags.StringSliceVar(&cfg.IgnoreChecks, "ignore-check", nil,
		"id of a check whose failure does not stop the run, such as SB008; repeatable; the report says so")
}

func (ignoreFlag) complete(cfg *bench.Config) error {
	for _, id := range cfg.IgnoreChecks {
		if _, ok := preflight.Explain(strings.ToUpper(id)); !ok {
			return fmt.Errorf("--ignore-check %s: there is no such check; %s", id, orChecks(id))
		}
	}
	return nil
}
