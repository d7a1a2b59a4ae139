package main

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/bench"
)

// expecting are the flags that say what the weights must be.
type expecting struct {
	expect  string
	waitFor time.Duration
}

func (e *expecting) add(flags *pflag.FlagSet) {
	flags.StringVar(&e.expect, "expect", "", "weights that the split must say: 90/10 in its own order, or podinfo=90,podinfo-east=10; else nothing is sent")
	flags.DurationVar(&e.waitFor, "wait-for", 0, "with --expect: how long to wait for the objects to say them, and for the data plane to follow")
}

func (e *expecting) plan() (*bench.Expect, error) {
	switch {
	case e.waitFor < 0:
		return nil, fmt.Errorf("--wait-for %s: want above 0", e.waitFor)
	case e.expect == "" && e.waitFor > 0:
		return nil, fmt.Errorf("--wait-for %s: only with --expect", e.waitFor)
	case e.expect == "":
		return nil, nil
	}
	x, err := bench.ParseExpect(e.expect)
	if err != nil {
		return nil, err
	}
	x.Wait = e.waitFor
	return x, nil
}
