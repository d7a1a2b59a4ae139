package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
)

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
