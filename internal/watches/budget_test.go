package watches

import (
	"context"
	"errors"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/splitbench/splitbench/attack"
)

// perSecond is a rate without rounding.
func perSecond(r attack.Rate) *big.Rat {
	return new(big.Rat).Mul(new(big.Rat).SetFrac64(int64(r.Hits), int64(r.Per)), big.NewRat(int64(time.Second), 1))
}

// However many share it, the parts are equal and their sum is the rate, to the last digit.
func TestBudgetIsDividedExactly(t *testing.T) {
	t.Parallel()
	for _, rate := range []string{"5", "0.3", "7/m", "1000", "1/h"} {
		whole, err := attack.ParseRate(rate)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int64{1, 2, 3, 7, 97, 1000} {
			b, sum := newBudget(whole), new(big.Rat)
			var parts []*part
			for range n {
				parts = append(parts, b.join())
			}
			for _, p := range parts {
				r, err := p.take(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				sum.Add(sum, perSecond(r))
			}
			if sum.Cmp(perSecond(whole)) != 0 {
				t.Errorf("%s over %d: together %s", rate, n, sum.FloatString(9))
			}
		}
	}
}

// Whoever comes waits until the others have taken less; whoever ends, or is in a gap, makes room.
func TestBudgetIsNeverExceeded(t *testing.T) {
	t.Parallel()
	b := newBudget(attack.Rate{Hits: 6, Per: time.Second})
	first := b.join()
	if r, err := first.take(t.Context()); err != nil || r.PerSecond() != 6 {
		t.Fatal(r, err)
	}
	second := b.join()
	taken := make(chan attack.Rate)
	go func() {
		r, _ := second.take(t.Context())
		taken <- r
	}()
	select {
	case r := <-taken:
		t.Fatalf("%v was granted beside all", r)
	case <-time.After(50 * time.Millisecond): // long enough for a bug to show, and no test of what is right waits for it
	}
	if r, err := first.take(t.Context()); err != nil || r.PerSecond() != 3 {
		t.Fatal(r, err)
	}
	if r := <-taken; r.PerSecond() != 3 {
		t.Fatal(r)
	}
	third := b.join()
	first.release() // a gap
	if r, err := third.take(t.Context()); err != nil || r.PerSecond() != 2 {
		t.Fatal(r, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("gone")
	cancel(why)
	fourth := b.join()
	if _, err := fourth.take(ctx); !errors.Is(err, why) {
		t.Fatalf("%v", err)
	}
	for _, p := range []*part{second, third, fourth} {
		p.leave()
	}
	if r, err := first.take(t.Context()); err != nil || r.PerSecond() != 6 {
		t.Fatal(r, err)
	}
}

// Whatever comes, goes, takes and releases in whatever order: what is granted is never more than the whole.
func TestBudgetHoldsInAnyOrder(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(18, 4))
	b := newBudget(attack.Rate{Hits: 1, Per: time.Second})
	var parts []*part
	for step := range 5000 {
		i := 0
		if len(parts) > 0 {
			i = random.IntN(len(parts))
		}
		switch {
		case len(parts) == 0 || len(parts) < 12 && random.IntN(6) == 0:
			parts = append(parts, b.join())
		case random.IntN(6) == 0:
			parts[i].leave()
			parts = append(parts[:i], parts[i+1:]...)
		case random.IntN(6) == 0:
			parts[i].release()
		default:
			ctx, cancel := context.WithCancel(t.Context())
			cancel()           // it takes what is free, and does not wait
			parts[i].take(ctx) // or it is refused
		}
		b.mu.Lock()
		granted := b.granted()
		b.mu.Unlock()
		if granted.Cmp(big.NewRat(1, 1)) > 0 {
			t.Fatalf("step %d: %s of the rate is granted", step, granted)
		}
	}
}
