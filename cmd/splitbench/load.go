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

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/judge"
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
