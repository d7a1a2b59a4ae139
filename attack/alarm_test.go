package attack

import (
	"testing"
	"time"
)

func TestAlarms(t *testing.T) {
	for name, build := range map[string]func() alarm{"here": newAlarm, "portable": func() alarm { return newTimerAlarm() }} {
		t.Run(name, func(t *testing.T) {
			a := build()
			defer a.close()
			for _, d := range []time.Duration{0, 50 * time.Microsecond, 3 * time.Millisecond} {
				start := time.Now()
				if a.sleep(d); time.Since(start) < d {
					t.Errorf("slept %s instead of %s", time.Since(start), d)
				}
			}
			go a.interrupt()
			a.sleep(time.Hour)
			a.sleep(time.Hour) // stays interrupted
		})
	}
}

func TestSleepingDoesNotAllocate(t *testing.T) {
	a := newAlarm()
	defer a.close()
	if n := testing.AllocsPerRun(20, func() { a.sleep(time.Microsecond) }); n != 0 {
		t.Errorf("%g allocations", n)
	}
}
