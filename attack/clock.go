package attack

import "time"

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
