package attack

import "time"

// alarm lets one goroutine sleep to the instant. Go's timers do not: a process that is mostly idle, as a load generator
// at a moderate rate is, waits in epoll with its timeout rounded up to whole milliseconds, so that requests go out in
// volleys.
type alarm interface {
	// sleep returns after d, or at once when the alarm was interrupted, now or before.
	sleep(d time.Duration)
	// interrupt ends the present sleep and all to come. It may be called from any goroutine.
	interrupt()
	close()
}

// timerAlarm is an alarm on Go's timers.
type timerAlarm struct {
	timer *time.Timer
	done  chan struct{}
}

var _ alarm = (*timerAlarm)(nil)

func newTimerAlarm() *timerAlarm {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &timerAlarm{timer: t, done: make(chan struct{}, 1)}
}

func (a *timerAlarm) sleep(d time.Duration) {
	a.timer.Reset(d)
	select {
	case <-a.timer.C:
	case <-a.done:
		a.interrupt()
	}
}

func (a *timerAlarm) interrupt() {
	select {
	case a.done <- struct{}{}:
	default:
	}
}

func (a *timerAlarm) close() { a.timer.Stop() }
