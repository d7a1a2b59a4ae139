package analyze

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A request that found all connections busy waited for the target; one that was sent late though one was free, for the
// generator; and those just behind a late one may have waited for that.
func TestLagsOfWhomTheyAre(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	requests := []Sending{
		{0, 0, 10 * ms},
		{1 * ms, 10 * ms, 12 * ms},  // the only connection was busy until then
		{2 * ms, 15 * ms, 20 * ms},  // it was free from 12 ms on
		{19 * ms, 20 * ms, 21 * ms}, // free from 20 on; had the one before been sent at 12 ms, from 17 on
		{22 * ms, 22 * ms, 23 * ms},
	}
	own, near := Lags(requests, 1)
	if d := cmp.Diff([]int64{0, 0, int64(3 * ms), int64(ms), 0}, own); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(own, near); d != "" {
		t.Error(d)
	}
	own, near = Lags([]Sending{{0, 9 * ms, 14 * ms}, {10 * ms, 10 * ms, 11 * ms}, {20 * ms, 20 * ms, 21 * ms}}, 8)
	if own[1] != 0 || near[1] != int64(9*ms) || near[2] != 0 {
		t.Errorf("behind a late one: own %v, near %v", own, near)
	}
}

// lateBlocks are 20 blocks of 100 answers of 10 to 19.9 ms, a share of which the generator made 50 ms longer.
func lateBlocks(t *testing.T, every int) *Blocks {
	t.Helper()
	values := make([][]int64, 20)
	var least, own []int64
	for i := range 2000 {
		u := int64(10*time.Millisecond) + int64(i*37%100)*int64(100*time.Microsecond)
		late := int64(0)
		if every > 0 && i%every == 0 {
			late = int64(50 * time.Millisecond)
		}
		values[i/100] = append(values[i/100], u+late)
		least, own = append(least, u), append(own, late)
	}
	b, err := NewBlocks(values)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Bound(least, NewLateness(own, own, Reading{})); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLatenessSpoilsAQuantileAsFarAsItReaches(t *testing.T) {
	t.Parallel()
	onTime := lateBlocks(t, 0)
	for _, q := range DefaultQuantiles() {
		if onTime.Late(q) != "" {
			t.Errorf("on time: %g: %s", q, onTime.Late(q))
		}
	}
	some := lateBlocks(t, 37) // 2.7 %: below p90, above p99
	truth := float64(15 * time.Millisecond)
	if ci := some.Interval(0.5, 0.99).CI; ci.Why != "" || ci.Low > truth || ci.High < truth || ci.High-ci.Low > float64(3*time.Millisecond) {
		t.Errorf("p50 %+v", ci)
	}
	if some.Late(0.9) != "" {
		t.Error(some.Late(0.9))
	}
	why := some.Late(0.99)
	if ci := some.Interval(0.99, 0.99).CI; ci.Why != why || !strings.Contains(why, "2.8 % more than") || !strings.Contains(why, "by 50ms") {
		t.Errorf("p99 %q, %+v", why, ci)
	}
	if err := onTime.Bound([]int64{1}, Lateness{}); err == nil {
		t.Error("a bound of one value for 2,000")
	}
}
