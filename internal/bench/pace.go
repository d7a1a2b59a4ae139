package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sort"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/wire"
)

// pace watches, a sign of life a second, whether a pod's burst keeps to its plan. It says once that it does not, and
// ends a burst of which it is certain by then that too little of the plan will have been sent in time.
type pace struct {
	plan      attack.Plan
	keepGoing bool
	stop      context.CancelCauseFunc
	ticks     int
	last      wire.BurstProgress
	best      float64 // results per second, the most between two signs of life
	said      bool
}

const (
	paceTicks  = 3   // before anything is certain
	paceSpare  = 1.5 // a pod may get faster by so much than it ever was
	paceBehind = 0.9 // of what was due, below which it is said
	paceTold   = 10  // requests due without an answer, from which on it is said
)

func newPace(p attack.Plan, keepGoing bool, stop context.CancelCauseFunc) *pace {
	return &pace{plan: p.WithDefaults(), keepGoing: keepGoing, stop: stop}
}

// see takes a sign of life and returns what to say about it, "" for nothing.
func (p *pace) see(now wire.BurstProgress) (say string) {
	seconds, before := float64(now.ElapsedUs)/1e6, float64(p.last.ElapsedUs)/1e6
	if p.plan.Shape != nil || seconds-before < 0.5 { // the last one comes when it comes
		return ""
	}
	p.best = math.Max(p.best, float64(now.Requests-p.last.Requests)/(seconds-before))
	p.ticks, p.last = p.ticks+1, now
	n, rate := p.plan.Requests, p.plan.Rate.PerSecond()
	reached := now.Requests + uint64(p.plan.Connections*max(p.plan.Streams, 1)) // as many may be under way
	left := p.best * paceSpare * math.Max(0, judge.LongestBurst(n, rate)-seconds)
	if p.ticks >= paceTicks && !p.keepGoing && float64(n-min(n, reached)) > left {
		p.stop(errors.New(report.Overloaded(float64(now.Requests)/seconds, rate) +
			"; with --keep-going it goes on to its end"))
	}
	schedule := p.plan.Schedule()
	due := sort.Search(int(n), func(i int) bool { return schedule.At(uint64(i)).Seconds() >= seconds })
	switch {
	case p.said:
	case now.Requests == 0 && due > paceTold:
		say = fmt.Sprintf("no answer to any of %d requests in %.1fs", due, seconds)
	case float64(reached) < paceBehind*float64(due):
		say = fmt.Sprintf("the rate is not kept: %d requests were due in %.1fs, %d are done", due, seconds, now.Requests)
	}
	p.said = p.said || say != ""
	return say
}
