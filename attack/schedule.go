package attack

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"strings"
	"time"
)

// Schedule says when each request of a burst is to be sent: a pure function, without a clock that could drift.
type Schedule interface {
	// At returns the planned instant of request n (dense from 0), counted from the start of the burst.
	At(n uint64) time.Duration
}

// Rate is Hits requests in every Per, held as two integers because 1/3 per second is not a float64.
type Rate struct {
	Hits uint64        `json:"hits"`  // requests
	Per  time.Duration `json:"perNs"` // nanoseconds
}

// Constant is the schedule that sends at one rate, request n at exactly n*Per/Hits rounded down to the nanosecond. It
// is computed in 128 bits from n each time: adding up a rounded interval would drift (1e9/300000 ns loses 0.1 ms each
// second).
type Constant struct{ Rate Rate }

var _ Schedule = Constant{}

// At implements Schedule. Instants beyond the range of time.Duration (292 years) are its maximum.
func (c Constant) At(n uint64) time.Duration {
	if c.Rate.Hits == 0 || c.Rate.Per <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(n, uint64(c.Rate.Per))
	if hi >= c.Rate.Hits {
		return math.MaxInt64
	}
	at, _ := bits.Div64(hi, lo, c.Rate.Hits)
	if at > math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(at)
}

// maxPerSecond bounds a rate that can be written down at all; what a run may send is bounded by Limits.
const maxPerSecond = 10_000_000

//nolint:gochecknoglobals // a table that never changes
var rateUnits = map[string]time.Duration{"": time.Second, "s": time.Second, "m": time.Minute, "h": time.Hour}

// ParseRate reads a rate such as "1000", "0.5", "100/s", "30/m". The error names what was seen, not the flag.
func ParseRate(s string) (Rate, error) {
	number, unit, _ := strings.Cut(s, "/")
	per, ok := rateUnits[unit]
	if !ok {
		return Rate{}, fmt.Errorf("rate %q: unit %q is not s, m or h", s, unit)
	}
	if len(number) > 32 || strings.ContainsAny(number, "eEpPxX_/") {
		return Rate{}, fmt.Errorf("rate %q: want a decimal number, such as 50, 0.5 or 30/m", s)
	}
	r, ok := new(big.Rat).SetString(number)
	if !ok {
		return Rate{}, fmt.Errorf("rate %q: want a decimal number, such as 50, 0.5 or 30/m", s)
	}
	if r.Sign() <= 0 {
		return Rate{}, fmt.Errorf("rate %q: must be above 0", s)
	}
	perSecond := new(big.Rat).Quo(r, new(big.Rat).SetInt64(int64(per/time.Second)))
	if perSecond.Cmp(new(big.Rat).SetInt64(maxPerSecond)) > 0 {
		return Rate{}, fmt.Errorf("rate %q: above %d per second", s, maxPerSecond)
	}
	// r hits in one unit are num hits in denom units.
	units := r.Denom()
	if !r.Num().IsUint64() || !units.IsInt64() || units.Int64() > math.MaxInt64/int64(per) {
		return Rate{}, fmt.Errorf("rate %q: too many digits", s)
	}
	return Rate{Hits: r.Num().Uint64(), Per: time.Duration(units.Int64()) * per}, nil
}

// PerSecond is the rate in requests per second.
func (r Rate) PerSecond() float64 {
	if r.Per <= 0 {
		return 0
	}
	return float64(r.Hits) / r.Per.Seconds()
}

// Requests is how many requests fall within d, at least 0; the request at the instant d itself is not one of them.
func (r Rate) Requests(d time.Duration) uint64 {
	if d <= 0 || r.Per <= 0 || r.Hits == 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(d), r.Hits)
	if hi >= uint64(r.Per) {
		return math.MaxUint64
	}
	n, rest := bits.Div64(hi, lo, uint64(r.Per))
	if rest > 0 {
		n++
	}
	return n
}

// punctual is a source of bytes that knows for how long the last of them had been there when now was read; false: it
// does not know.
type punctual interface {
	late(now time.Time) (time.Duration, bool)
}

// clock watches the wall clock against the monotonic one. The kernel stamps by the former, which can be set, and every
// instant of a burst is by the latter, which cannot.
type clock struct {
	last time.Time
}

// Bounds of what the clocks may differ by from one look to the next: two readings that follow each other, and how much
// faster or slower a clock may be made to run.
const (
	clockJitter = 50 * time.Microsecond
	clockSlew   = 1000 // a thousandth
)

// steady reports whether the wall clock has gone as far as the monotonic one since the look before. The first says
// nothing, and is taken for steady.
func (c *clock) steady(now time.Time) bool {
	before := c.last
	c.last = now
	if before.IsZero() {
		return true
	}
	return wentAlike(now.Round(0).Sub(before.Round(0)), now.Sub(before))
}

// wentAlike reports whether the wall clock went as far as the monotonic one.
func wentAlike(wall, monotonic time.Duration) bool {
	return (wall - monotonic).Abs() <= clockJitter+monotonic/clockSlew
}
