package analyze

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// limited is a processor of which a control group may use so much in each period of 100 ms, as Linux gives it out
// (kernel/sched/fair.c): when that is used up everything waits for the next period.
type limited struct {
	quota  time.Duration // 0: no limit
	used   time.Duration // in the period
	period int64
	free   time.Duration // when what ran last was done
	frozen int           // periods in which the limit was reached
}

const cfsPeriod = 100 * time.Millisecond

// run does what is ready at an instant and costs so much, and returns when it is done.
func (l *limited) run(ready, cost time.Duration) time.Duration {
	at := max(ready, l.free)
	for l.quota > 0 {
		if p := int64(at / cfsPeriod); p > l.period {
			l.period, l.used = p, 0
		}
		if l.used+cost <= l.quota {
			break
		}
		left := l.quota - l.used
		cost, l.used = cost-left, l.quota
		at = time.Duration(l.period+1) * cfsPeriod
		l.frozen++
	}
	l.used += cost
	l.free = at + cost
	return l.free
}

// What a request costs the agent: 60 us to send and to read, with garbage collection of 3 ms each 400 requests.
const (
	sendCost, collectCost = 60 * time.Microsecond, 3 * time.Millisecond
	collectEach           = 400
)

// burstUnder simulates a burst of 10 s whose answers take 1 ms at the median, log-normal with a standard deviation of
// 0.5, and come when the kernel has them. Which block a request is of is its half second.
func burstUnder(quota time.Duration, rate int, rng *rand.Rand) (requests []Sending, values [][]int64, frozen float64) {
	cpu := &limited{quota: quota}
	values = make([][]int64, 20)
	n := 10 * rate
	for i := range n {
		planned := time.Duration(i) * time.Second / time.Duration(rate)
		cost := sendCost
		if i%collectEach == collectEach-1 {
			cost += collectCost
		}
		sent := cpu.run(planned, cost)
		done := sent + time.Duration(1e6*math.Exp(0.5*rng.NormFloat64()))
		requests = append(requests, Sending{Planned: planned, Sent: sent, Done: done})
		values[i*20/n] = append(values[i*20/n], int64(done-planned))
	}
	return requests, values, float64(cpu.frozen) / float64(n)
}

// TestQuantilesUnderAProcessorLimit: a quantile that is stated under a limit holds that of a measurement without one in
// at least 95 of 100 runs, and one that is not stated says how late the generator was.
func TestQuantilesUnderAProcessorLimit(t *testing.T) {
	const runs = 100
	truth := map[float64]float64{} // with the sending, which takes its time without a limit too
	for _, q := range []float64{0.5, 0.9} {
		truth[q] = float64(sendCost) + 1e6*math.Exp(0.5*normalQuantile(q))
	}
	for _, quota := range []time.Duration{0, 25 * time.Millisecond, 10 * time.Millisecond, 5 * time.Millisecond} {
		for _, rate := range []int{50, 200, 1000} {
			stated, right := map[float64]int{}, map[float64]int{}
			for run := range runs {
				requests, values, frozen := burstUnder(quota, rate, rand.New(rand.NewPCG(uint64(run), uint64(rate))))
				own, near := Lags(requests, 128)
				var least []int64
				for i, r := range requests {
					least = append(least, int64(r.Done-r.Planned)-own[i])
				}
				b, err := NewBlocks(values)
				if err != nil {
					t.Fatal(err)
				}
				if err := b.Bound(least, NewLateness(own, near, Reading{Frozen: frozen})); err != nil {
					t.Fatal(err)
				}
				for q, v := range truth {
					ci := b.Interval(q, 0.99).CI
					switch {
					case ci.Why == "":
						stated[q]++
						if ci.Low <= v && v <= ci.High {
							right[q]++
						}
					case b.Late(q) != "" && !strings.Contains(ci.Why, "late, one of them by "):
						t.Errorf("limit %s, %d/s, p%g: refused without a figure: %q", quota, rate, 100*q, ci.Why)
					}
				}
			}
			t.Logf("limit %4dm, %4d/s: p50 stated %3d, right %3d; p90 stated %3d, right %3d", quota/time.Millisecond*10, rate,
				stated[0.5], right[0.5], stated[0.9], right[0.9])
			for q := range truth {
				if 100*right[q] < 95*stated[q] {
					t.Errorf("limit %s, %d/s, p%g: %d of %d stated hold the truth", quota, rate, 100*q, right[q], stated[q])
				}
			}
			if overloaded := quota == 5*time.Millisecond && rate == 1000; overloaded && stated[0.5]+stated[0.9] > 0 {
				t.Errorf("limit %s, %d/s is more than the generator can do: stated %v", quota, rate, stated)
			}
			if quota == 0 && (stated[0.5] < 95 || stated[0.9] < 95) {
				t.Errorf("%d/s without a limit: stated %v", rate, stated)
			}
		}
	}
}
