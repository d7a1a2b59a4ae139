package peers

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// tool is a program as it takes part in a measurement.
type tool struct {
	name string
	run  program
	all  []measured
}

// program runs for a time.
type program func(ctx context.Context, d time.Duration) (measured, error)

// brief is a run that is nearly all start.
const brief = 50 * time.Millisecond

// interleave runs every tool in each round, and takes off the processor time of starting, measured before.
func (b *bench) interleave(ctx context.Context, tools []*tool) error {
	starts := map[string]time.Duration{}
	for _, t := range tools {
		d := brief
		if strings.HasPrefix(t.name, "wrk") {
			continue // it runs for whole seconds, and starts in no time
		}
		var xs []float64
		for range 3 {
			m, err := t.run(ctx, d)
			if err != nil {
				return err
			}
			xs = append(xs, us(m.cpu))
		}
		starts[t.name] = time.Duration(quantile(xs, 0) * float64(time.Microsecond))
	}
	for range b.rounds {
		for _, t := range tools {
			m, err := t.run(ctx, b.duration)
			if err != nil {
				return err
			}
			// The brief run's requests are taken off with its time: they cost about what those of the long one do.
			m.cpu -= starts[t.name]
			m.requests *= 1 - us(brief)/us(b.duration)
			if starts[t.name] == 0 {
				m.requests /= 1 - us(brief)/us(b.duration)
			}
			t.all = append(t.all, m)
		}
	}
	return nil
}

func (t *tool) median(of func(measured) float64) float64 {
	var xs []float64
	for _, m := range t.all {
		xs = append(xs, of(m))
	}
	return quantile(xs, 0.5)
}

func perRequest(m measured) float64 { return us(m.cpu) / m.requests }

// fullSpeed compares what a request costs when all go as fast as they can.
func (b *bench) fullSpeed(ctx context.Context) error {
	full := func(engine string) program {
		return func(ctx context.Context, d time.Duration) (measured, error) {
			return b.ours(ctx, engine, "--schedule", "closed", "--duration", d.String())
		}
	}
	tools := []*tool{
		{name: "splitbench h1", run: full("h1")},
		{name: "wrk -t1", run: b.wrk(b.connections)},
		{name: "fortio (fast client)", run: b.fortio(0)},
		{name: "hey", run: b.hey},
		{name: "vegeta", run: b.vegeta(0)},
		{name: "splitbench std", run: full("std")},
	}
	if err := b.interleave(ctx, tools); err != nil {
		return err
	}
	fmt.Printf("\nFull speed:\n\n| | CPU us/request | requests/s | h1's CPU as a share |\n|---|--:|--:|--:|\n")
	own := tools[0].median(perRequest)
	for _, t := range tools {
		cost := t.median(perRequest)
		fmt.Printf("| %s | %.1f | %.0f | %.2f |\n", t.name, cost,
			t.median(func(m measured) float64 { return m.requests / b.duration.Seconds() }), own/cost)
	}
	return nil
}

// fixedRate compares how exactly a rate is kept, and what latency is seen.
func (b *bench) fixedRate(ctx context.Context, rate int) error {
	tools := []*tool{
		{name: "splitbench h1", run: func(ctx context.Context, d time.Duration) (measured, error) {
			file := filepath.Join(b.dir, "ours.ndjson")
			defer os.Remove(file)
			m, err := b.ours(ctx, "h1", "--rate", fmt.Sprint(rate), "--duration", d.String(), "--out", file)
			if err == nil {
				err = m.readNDJSON(file)
			}
			return m, err
		}},
		{name: "vegeta", run: b.vegeta(rate)},
		{name: "fortio (fast client)", run: b.fortio(rate)},
		{name: "wrk -c1, closed", run: b.wrk(1)},
	}
	if err := b.interleave(ctx, tools); err != nil {
		return err
	}
	fmt.Printf("\n%d requests/s:\n\n| | CPU us/request | send lag p50 us | p99 us | service p50 us | p99 us | rate "+
		"error %% |\n|---|--:|--:|--:|--:|--:|--:|\n", rate)
	for _, t := range tools {
		off := "-"
		if m := t.median(func(m measured) float64 { return m.rate }); m > 0 {
			off = fmt.Sprintf("%.4f", 100*math.Abs(m/float64(rate)-1))
		}
		fmt.Printf("| %s | %.1f | %s | %s | %.0f | %.0f | %s |\n", t.name, t.median(perRequest),
			known(t.median(func(m measured) float64 { return m.lagP50 })),
			known(t.median(func(m measured) float64 { return m.lagP99 })),
			t.median(func(m measured) float64 { return m.p50 }), t.median(func(m measured) float64 { return m.p99 }), off)
	}
	return nil
}

func known(x float64) string {
	if math.IsNaN(x) {
		return "-"
	}
	return fmt.Sprintf("%.0f", x)
}
