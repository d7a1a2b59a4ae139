// Package watches watches several splits in one process: they share one budget of requests, come and go as splits do,
// and each has evidence, moves, gaps and outcomes of its own, which a page tells. Where several such processes are
// started, a Lease says which of them works.
//
// It refuses to judge: each watch is bench's, and a split that fails, or cannot be measured, ends none of the others.
//
// Invariant: what all watches together may send never exceeds the budget, also while splits come and go; and the page
// has a bounded number of lines, with what goes beyond them counted in one.
package watches

import (
	"context"
	"math"
	"math/big"
	"sync"
	"time"

	"github.com/splitbench/splitbench/attack"
)

// budget is a rate that several watches share: each gets the same part of it, exactly. Who comes waits until the others
// have taken their smaller parts, which they do at their next looks.
type budget struct {
	rate attack.Rate

	mu      sync.Mutex
	parts   map[*part]int64 // 1/n of the rate is granted; 0: nothing is
	changed chan struct{}   // closed where something was given back
}

// part is what one watch has of a budget.
type part struct{ of *budget }

func newBudget(rate attack.Rate) *budget {
	return &budget{rate: rate, parts: map[*part]int64{}, changed: make(chan struct{})}
}

// join makes the others' parts smaller.
func (b *budget) join() *part {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := &part{b}
	b.parts[p] = 0
	return p
}

// leave makes the others' parts larger.
func (p *part) leave() {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	delete(p.of.parts, p)
	p.of.tell()
}

// release gives back what was granted: nothing is sent until it is taken again.
func (p *part) release() {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	p.of.parts[p] = 0
	p.of.tell()
}

// take gives back what was granted, and waits until as much is free as each may have now.
func (p *part) take(ctx context.Context) (attack.Rate, error) {
	b := p.of
	for {
		b.mu.Lock()
		n := int64(len(b.parts))
		if b.parts[p] != n && b.parts[p] != 0 {
			b.tell()
		}
		b.parts[p] = 0
		changed := b.changed
		if granted := b.granted(); granted.Add(granted, big.NewRat(1, n)).Cmp(big.NewRat(1, 1)) <= 0 {
			b.parts[p] = n
			b.mu.Unlock()
			return b.share(n), nil
		}
		b.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return attack.Rate{}, context.Cause(ctx)
		}
	}
}

// fair is what each may have now.
func (b *budget) fair() attack.Rate {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.share(int64(len(b.parts)))
}

// share is one of n equal parts of the rate.
func (b *budget) share(n int64) attack.Rate {
	per := time.Duration(math.MaxInt64)
	if int64(b.rate.Per) <= math.MaxInt64/n {
		per = b.rate.Per * time.Duration(n)
	}
	return attack.Rate{Hits: b.rate.Hits, Per: per}
}

// granted is what part of the rate is granted to all together.
func (b *budget) granted() *big.Rat {
	sum := new(big.Rat)
	for _, n := range b.parts {
		if n > 0 {
			sum.Add(sum, big.NewRat(1, n))
		}
	}
	return sum
}

// tell wakes who waits.
func (b *budget) tell() {
	close(b.changed)
	b.changed = make(chan struct{})
}
