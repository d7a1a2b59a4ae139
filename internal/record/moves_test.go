package record

import (
	"testing"
	"time"
)

func TestClock(t *testing.T) {
	t.Parallel()
	var c Clock
	here := time.Unix(1000, 0)
	ahead := func(d time.Duration) int64 { return here.Add(d).UnixNano() }
	c.See(here, here.Add(10*time.Millisecond), ahead(5*time.Second+3*time.Millisecond)) // 4.993 to 5.003 s
	c.See(here, here.Add(10*time.Millisecond), ahead(5*time.Second+8*time.Millisecond)) // 4.998 to 5.008 s
	at, off := c.Local(ahead(5 * time.Second))
	if want := 2500 * time.Microsecond; off != want || at.Sub(here).Abs() > 3*time.Millisecond {
		t.Errorf("%s give or take %s, want the hour here give or take %s", at.Sub(here), off, want)
	}
	c.See(here, here.Add(time.Millisecond), ahead(time.Minute)) // it was set
	if at, _ := c.Local(ahead(time.Minute)); at.Sub(here).Abs() > time.Millisecond {
		t.Errorf("after the clock was set: %s", at.Sub(here))
	}
}
