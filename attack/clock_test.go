package attack

import (
	"testing"
	"time"
)

func TestAWallClockThatIsSetIsNotBelieved(t *testing.T) {
	t.Parallel()
	for by, want := range map[time.Duration]bool{0: true, 900 * time.Microsecond: true, 2 * time.Millisecond: false, -time.Hour: false} {
		if got := wentAlike(time.Second+by, time.Second); got != want {
			t.Errorf("the wall clock went %s more in a second: alike %v, want %v", by, got, want)
		}
	}
	start := time.Now()
	var c clock
	if !c.steady(start) || !c.steady(start.Add(time.Second)) {
		t.Error("the first look, and a second by both clocks, are steady")
	}
}
