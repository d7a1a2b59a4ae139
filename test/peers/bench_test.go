package peers

import (
	"flag"
	"fmt"
	"runtime"
	"testing"
	"time"
)

// options are the benchmark's own flags.
type options struct {
	bin, splitbench     string
	rounds, connections int
	duration            time.Duration
}

var given options

func TestMain(m *testing.M) {
	flag.StringVar(&given.bin, "bin", "../../bin/peers", "folder that holds vegeta, hey and fortio")
	flag.StringVar(&given.splitbench, "splitbench", "../../bin/splitbench", "the program itself")
	flag.IntVar(&given.rounds, "rounds", 5, "of each measurement; medians are shown")
	flag.DurationVar(&given.duration, "duration", 3*time.Second, "of each run")
	flag.IntVar(&given.connections, "connections", 8, "of each program")
	m.Run()
}

// BenchmarkPeers runs splitbench's generator beside vegeta, hey, fortio and wrk against one nginx on loopback, and
// prints what each costs and how exact it is: medians of interleaved rounds, and ratios. It is to run once.
//
// Each program is a process of its own, whose processor time is what the kernel says of it, less that of its start (a
// run of a few requests). Rounds are interleaved because a machine that others use is not the same from one second to
// the next: compare within one run only.
func BenchmarkPeers(b *testing.B) {
	dir := b.TempDir()
	p := &bench{options: given, url: startNginx(b, dir), dir: dir}
	p.bin, p.splitbench = abs(b, p.bin), abs(b, p.splitbench)
	fmt.Printf("%d CPUs, %s; nginx with one worker on loopback, 424 bytes of JSON; %d connections; medians of %d "+
		"rounds of %s.\n", runtime.NumCPU(), runtime.Version(), p.connections, p.rounds, p.duration)
	if err := p.fullSpeed(b.Context()); err != nil {
		b.Fatal(err)
	}
	for _, rate := range []int{1000, 5000} {
		if err := p.fixedRate(b.Context(), rate); err != nil {
			b.Fatal(err)
		}
	}
}
