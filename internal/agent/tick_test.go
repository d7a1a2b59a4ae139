package agent

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/wire"
)

// A burst's ticks hold every request once, in the agent's counters and in the histograms, live and stored.
func TestTicksAddUpToTheBurst(t *testing.T) {
	t.Parallel()
	url, _ := backends(t)
	var ticks []wire.Progress
	var stored bytes.Buffer
	stored.Write(wire.Opening())
	c, err := Open(t.Context(), &inProcess{}, serveArgv, ClientOptions{
		Progress: func(p wire.Progress) {
			if p.Burst != nil {
				ticks = append(ticks, p)
			}
		},
		Verified: func(_ wire.Type, raw []byte) error { _, err := stored.Write(raw); return err },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const n = 2500
	_, totals, err := run(c, t.Context(), plan(url, n))
	if err != nil {
		t.Fatal(err)
	}
	if len(ticks) < 3 { // 2.5 s, and the last one
		t.Fatalf("%d ticks", len(ticks))
	}
	var again wire.Totals
	for _, err := range NewStoredBursts(&stored).Next(&again) {
		if err != nil {
			t.Fatal(err)
		}
	}
	last := ticks[len(ticks)-1].Burst
	if last.Requests != n || last.Dropped != 0 || len(last.Tally) != 2 || last.ElapsedUs < 2_000_000 {
		t.Errorf("the last tick: %+v", last)
	}
	for name, times := range map[string]wire.Times{"live": totals.Times, "stored": again.Times} {
		var service, response uint64
		for _, b := range times.Latency {
			service += b.Service.Len()
			response += b.Response.Len()
		}
		if times.SendLag.Len() != n || service != n || response != n || len(times.Latency) != 2 {
			t.Errorf("%s: %d lags, %d and %d times of %d backends", name, times.SendLag.Len(), service, response, len(times.Latency))
		}
	}
	if totals.MaxRSSBytes <= 0 || totals.CPUUs <= 0 {
		t.Errorf("what it cost: %d bytes, %d us", totals.MaxRSSBytes, totals.CPUUs)
	}
}

// With samples dropped the counters and the histograms are still those of all requests.
func TestTicksHoldWhatWasDropped(t *testing.T) {
	b := newBatch(newOutbox(&lockedBuffer{}, func(error) {}))
	b.start()
	b.out.queued = maxQueued // as if stdout stood still: nothing more fits
	r := attack.Result{Sent: time.Millisecond, Done: 3 * time.Millisecond, Status: 200}
	const n = 4 * blockResults
	for range n {
		b.add(r)
	}
	b.tick(func(p *wire.BurstProgress) {
		if p.Requests != n || p.Dropped != n || p.SendLag.Len() != n || len(p.Latency) != 1 || p.Latency[0].Response.Len() != n {
			t.Errorf("requests %d, dropped %d, lags %d, %+v", p.Requests, p.Dropped, p.SendLag.Len(), p.Latency)
		}
	})
	b.tick(func(p *wire.BurstProgress) {
		if p.Requests != n || p.SendLag.Len() != 0 || len(p.Latency) != 0 {
			t.Errorf("the next interval has nothing: %+v", p)
		}
	})
	if err := b.out.close(); err != nil {
		t.Error(err)
	}
}

// Agents that are held start when the last one is ready, not before.
func TestHeldBurstsStartTogether(t *testing.T) {
	url, served := backends(t)
	const agents = 3
	var ready sync.WaitGroup
	ready.Add(agents)
	var starts [agents]int64
	var bursts sync.WaitGroup
	for i := range agents {
		c, err := Open(t.Context(), &inProcess{}, serveArgv, ClientOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		bursts.Go(func() {
			var totals wire.Totals
			p := plan(url, 20)
			p.WarmUp = uint64(10 * (i + 1)) // they are ready one after the other
			gate := func(context.Context) error {
				ready.Done()
				ready.Wait()
				return nil
			}
			for _, err := range c.AttackFrom(t.Context(), p, Start{Gate: gate}, &totals) {
				if err != nil {
					t.Error(err)
				}
			}
			starts[i] = totals.StartedUnixNs
		})
	}
	bursts.Wait()
	for _, s := range starts[1:] {
		if skew := time.Duration(s - starts[0]).Abs(); skew > 500*time.Millisecond {
			t.Errorf("they started %s apart", skew)
		}
	}
	if n := served.Load(); n != 3*20+10+20+30 {
		t.Errorf("%d requests were served", n)
	}
}

func TestAHeldBurstCanBeGivenUp(t *testing.T) {
	url, served := backends(t)
	c, err := Open(t.Context(), &inProcess{}, serveArgv, ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var totals wire.Totals
	p := plan(url, 1000)
	p.WarmUp = 0
	gate := func(context.Context) error { return errors.New("another pod failed") }
	for _, err := range c.AttackFrom(t.Context(), p, Start{Gate: gate}, &totals) {
		if err != nil {
			t.Error(err)
		}
	}
	if totals.Reason != wire.ReasonStopped || served.Load() != 0 {
		t.Errorf("ended as %s after %d requests", totals.Reason, served.Load())
	}
	if rs, _, err := run(c, t.Context(), plan(url, 50)); err != nil || len(rs) != 50 {
		t.Errorf("the next burst: %d results, %v", len(rs), err)
	}
}

func TestADelayedBurst(t *testing.T) {
	url, _ := backends(t)
	c, err := Open(t.Context(), &inProcess{}, serveArgv, ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	began := time.Now()
	var totals wire.Totals
	for _, err := range c.AttackFrom(t.Context(), plan(url, 10), Start{Delay: 200 * time.Millisecond}, &totals) {
		if err != nil {
			t.Error(err)
		}
	}
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("it took %s", took)
	}
	for _, err := range c.AttackFrom(t.Context(), plan(url, 10), Start{Delay: time.Hour}, &totals) {
		if err == nil || !strings.Contains(err.Error(), "at most 1m0s") {
			t.Errorf("an hour: %v", err)
		}
	}
}
