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
	mu       sync.Mutex
	draws    *rand.Rand
	jitter   *rand.Rand      // a sequence of its own, or the gateway's delay would move the draws
	declared []share         // what the proxies were told
	forced   []share         // what they do instead, nil: as told
	withheld map[string]bool // backends that proxies cannot send to: the others get their weight
	sent     map[string]int64
}

func newSplitter(seed uint64) *splitter {
	return &splitter{
		draws: rand.New(rand.NewPCG(seed, 1)), jitter: rand.New(rand.NewPCG(seed, 2)),
		sent: map[string]int64{backendWest: 0, backendEast: 0}, withheld: map[string]bool{},
	}
}

// draw chooses a backend and counts it. Without a positive weight the root's own pods get everything.
func (s *splitter) draw() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	shares := s.declared
	if s.forced != nil {
		shares = s.forced
	}
	var total int64
	shares = slices.DeleteFunc(slices.Clone(shares), func(x share) bool { return s.withheld[x.backend] })
	for _, x := range shares {
		total += x.weight
	}
	chosen := backendWest
	if total > 0 {
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

func (s *splitter) declare(shares []share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.declared = shares
}

func (s *splitter) withhold(backend string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.withheld[backend] = on
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
