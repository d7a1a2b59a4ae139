// Command loadbench runs splitbench's generator beside vegeta, hey, fortio and wrk against one nginx on loopback, and
// prints what each costs and how exact it is: medians of interleaved rounds, and ratios.
//
// Each program is a process of its own, whose processor time is what the kernel says of it, less that of its start (a
// run of a few requests). Rounds are interleaved because a machine that others use is not the same from one second to
// the next: compare within one run only.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"time"
)

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "bin/peers", "folder that holds vegeta, hey and fortio")
	flag.StringVar(&o.splitbench, "splitbench", "bin/splitbench", "the program itself")
	flag.IntVar(&o.rounds, "rounds", 5, "of each measurement; medians are shown")
	flag.DurationVar(&o.duration, "duration", 3*time.Second, "of each run")
	flag.IntVar(&o.connections, "connections", 8, "of each program")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "loadbench:", err)
		stop()
		os.Exit(1)
	}
}

type options struct {
	bin, splitbench     string
	rounds, connections int
	duration            time.Duration
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "loadbench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.bin, err = filepath.Abs(o.bin); err != nil {
		return err
	}
	if o.splitbench, err = filepath.Abs(o.splitbench); err != nil {
		return err
	}
	target, err := startNginx(ctx, dir)
	if err != nil {
		return err
	}
	defer target.stop()
	b := &bench{options: o, url: target.url, dir: dir}
	fmt.Printf("%d CPUs, %s; nginx with one worker on loopback, 424 bytes of JSON; %d connections; medians of %d "+
		"rounds of %s.\n", runtime.NumCPU(), runtime.Version(), o.connections, o.rounds, o.duration)
	if err := b.fullSpeed(ctx); err != nil {
		return err
	}
	for _, rate := range []int{1000, 5000} {
		if err := b.fixedRate(ctx, rate); err != nil {
			return err
		}
	}
	return nil
}
