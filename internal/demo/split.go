package demo

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	quantity "k8s.io/apimachinery/pkg/api/resource"
)

// maxWeight bounds one weight, so that a sum of them cannot overflow.
const maxWeight = 1 << 40

// share is the weight of one backend.
type share struct {
	backend string
	weight  int64
}

// splitter draws the backend of each request: independently, by weight, as a proxy does. One draw takes one number
// from the sequence that the seed fixes, so counts depend on the seed, the weights and the number of requests alone,
// not on who asks when.
type splitter struct {
	mu     sync.Mutex
	draws  *rand.Rand
	jitter *rand.Rand // a sequence of its own, or the gateway's delay would move the draws
	law    law
	forced []share // what proxies do instead, nil: as told
	sent   map[string]int64
}

// law is what the objects say.
type law struct {
	profiled bool    // a profile rules for whoever asks now
	profile  []share // as it said last
	policy   ruling
}

// now is what a proxy obeys that asks now.
func (l law) now() ruling {
	if l.profiled {
		return ruling{rulesOfProfile, l.profile}
	}
	return l.policy
}

// ruling is by whose rules the root is split, and how.
type ruling struct {
	rules  string
	shares []share
}

func newSplitter(seed uint64) *splitter {
	return &splitter{
		draws: rand.New(rand.NewPCG(seed, 1)), jitter: rand.New(rand.NewPCG(seed, 2)),
		sent: map[string]int64{backendWest: 0, backendEast: 0},
	}
}

// draw chooses a backend by the shares and counts it: among those that are not withheld, if there is one. Without a
// positive weight the root's own pods get everything.
func (s *splitter) draw(shares []share, withheld func(string) bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forced != nil {
		shares = s.forced
	}
	kept := slices.DeleteFunc(slices.Clone(shares), func(x share) bool { return withheld(x.backend) })
	if weightOf(kept) > 0 {
		shares = kept
	}
	chosen := backendWest
	if total := weightOf(shares); total > 0 {
		n := s.draws.Int64N(total)
		for _, x := range shares {
			if n < x.weight {
				chosen = x.backend
				break
			}
			n -= x.weight
		}
	}
	s.sent[chosen]++
	return chosen
}

func weightOf(shares []share) (total int64) {
	for _, x := range shares {
		total += x.weight
	}
	return total
}

// local counts a request that went to the root's own pods without a draw.
func (s *splitter) local() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent[backendWest]++
}

// delay is d, give or take a fifth.
func (s *splitter) delay(d time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(float64(d) * (0.8 + 0.4*s.jitter.Float64()))
}

func (s *splitter) declare(change func(*law)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.law)
}

func (s *splitter) declared() law {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.law
}

func (s *splitter) force(shares []share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forced = shares
}

func (s *splitter) counts() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.sent)
}

func checkWeights(west, east int64) error {
	for _, w := range []int64{west, east} {
		if w < 0 || w > maxWeight {
			return fmt.Errorf("weight %d is not within 0 to %d", w, int64(maxWeight))
		}
	}
	if west+east == 0 {
		return errors.New("weights are all 0")
	}
	return nil
}

// milli is a weight as the destination controller counts it: in thousandths, rounded up.
func milli(weight any) (int64, error) {
	q, err := quantity.ParseQuantity(fmt.Sprint(weight))
	if err != nil {
		return 0, fmt.Errorf("weight %q: %w", fmt.Sprint(weight), err)
	}
	m := q.MilliValue()
	if m < 0 || m > maxWeight {
		return 0, fmt.Errorf("weight %q is not within 0 to %d", fmt.Sprint(weight), int64(maxWeight/1000))
	}
	return m, nil
}
