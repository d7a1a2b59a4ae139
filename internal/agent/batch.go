package agent

import (
	"sync"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/wire"
)

// A block goes out when it holds so many results, or when the next tick comes.
const blockResults = 512

// batch gathers results into sample blocks and keeps counters and histograms, which stay exact also where blocks are
// dropped.
type batch struct {
	out *outbox

	mu      sync.Mutex
	pending []attack.Result
	tally   wire.Tally
	totals  wire.Totals
	began   time.Time     // the burst's instant 0; zero before it
	cpu     time.Duration // of this process, at began
	kept    kept          // at began
	times   *times        // since the last tick

	tickMu sync.Mutex // one tick at a time
	spare  *times
}

// times are the histograms of one interval.
type times struct {
	lag      wire.Histogram
	backends [wire.MaxTimedBackends + 1]struct{ service, response wire.Histogram } // the last is unattributed
}

func newBatch(out *outbox) *batch { return &batch{out: out, times: &times{}, spare: &times{}} }

func (b *batch) add(r attack.Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tally.Add(r)
	b.times.add(r)
	if r.Arrived {
		b.totals.Arrived++
	}
	b.pending = append(b.pending, r)
	if len(b.pending) >= blockResults {
		b.emit()
	}
}

func (t *times) add(r attack.Result) {
	t.lag.Record(r.SendLag())
	if r.Err != attack.OK {
		return
	}
	i := int(r.Backend)
	switch {
	case i < 0:
		i = wire.MaxTimedBackends
	case i >= wire.MaxTimedBackends:
		return
	}
	t.backends[i].service.Record(r.ServiceTime())
	t.backends[i].response.Record(r.ResponseTime())
}

func (t *times) reset() {
	t.lag.Reset()
	for i := range t.backends {
		t.backends[i].service.Reset()
		t.backends[i].response.Reset()
	}
}

func (b *batch) flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.pending) > 0 {
		b.emit()
	}
}

// emit offers the pending results as one block. The caller holds the lock.
func (b *batch) emit() {
	block := wire.AppendSamples(make([]byte, 0, 12*len(b.pending)), b.pending)
	n := uint64(len(b.pending))
	b.pending = b.pending[:0]
	if !b.out.offer(wire.Samples, block) {
		if b.totals.Dropped == 0 {
			b.out.send(wire.Log, []byte("stdout is too slow: samples are dropped and counted from here on"))
		}
		b.totals.Dropped += n
		return
	}
	b.totals.Samples += n
	b.totals.Blocks++
	b.totals.SamplesCRC = wire.Checksum(b.totals.SamplesCRC, block)
}

// tick hands what a TICK says of the burst to send, nil before the burst's instant 0. Results go on being added
// meanwhile: compressing histograms takes longer than a load may wait.
func (b *batch) tick(send func(*wire.BurstProgress)) {
	b.tickMu.Lock()
	defer b.tickMu.Unlock()
	b.mu.Lock()
	if b.began.IsZero() {
		b.mu.Unlock()
		send(nil)
		return
	}
	p := &wire.BurstProgress{
		ElapsedUs: time.Since(b.began).Microseconds(), Requests: b.tally.Len(), Dropped: b.totals.Dropped,
		Tally: b.tally.Entries(), CPUUs: (cpuTime() - b.cpu).Microseconds(),
		ThrottledUs: (throttledTime() - b.kept.stolen).Microseconds(),
	}
	full := b.times
	b.times, b.spare = b.spare, nil
	b.mu.Unlock()

	p.SendLag = full.lag
	for i := range full.backends {
		t := &full.backends[i]
		if t.response.Len() == 0 {
			continue
		}
		backend := int16(i)
		if i == wire.MaxTimedBackends {
			backend = attack.Unattributed
		}
		p.Latency = append(p.Latency, wire.BackendTimes{Backend: backend, Service: t.service, Response: t.response})
	}
	send(p)
	full.reset()
	b.spare = full
}

// start marks the burst's instant 0.
func (b *batch) start() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.began, b.cpu, b.kept = time.Now(), cpuTime(), readKept(cgroupRoot, procSelf)
	b.totals.StartedUnixNs = b.began.UnixNano()
}

// stop notes what the burst cost.
func (b *batch) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.began.IsZero() {
		b.totals.StartedUnixNs = time.Now().UnixNano()
		return
	}
	b.totals.CPUUs = (cpuTime() - b.cpu).Microseconds()
	now := readKept(cgroupRoot, procSelf)
	b.totals.ThrottledUs, b.totals.Kept = max(0, now.stolen-b.kept.stolen).Microseconds(), now.since(b.kept)
	b.totals.MaxRSSBytes = maxRSS()
}
