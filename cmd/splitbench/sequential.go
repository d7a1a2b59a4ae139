package main

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/bench"
)

// sequentialFlags are the flags of stopping early.
type sequentialFlags struct {
	on    bool
	every int64
}

func (s *sequentialFlags) add(flags *pflag.FlagSet) {
	flags.BoolVar(&s.on, "sequential", false, "stop at the first look that decides; --requests is then the most that is sent")
	flags.Int64Var(&s.every, "look-every", 0, "requests between two looks of --sequential; default: a hundredth of --requests, 20 at least")
}

func (s *sequentialFlags) plan() (*bench.Sequential, error) {
	switch {
	case s.every < 0:
		return nil, fmt.Errorf("--look-every %d: want above 0", s.every)
	case !s.on && s.every > 0:
		return nil, fmt.Errorf("--look-every %d: only with --sequential", s.every)
	case !s.on:
		return nil, nil
	}
	return &bench.Sequential{Every: uint64(s.every)}, nil
}
