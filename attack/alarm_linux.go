package attack

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// timerfd is an alarm on a timer of the kernel that is a file, which wakes Go's poller as a socket does.
type timerfd struct {
	file    *os.File
	raw     syscall.RawConn
	stopped atomic.Bool

	step  func(fd uintptr) (done bool) // a.poll, made once: a method value is an allocation
	spec  unix.ItimerSpec
	armed bool
	count [8]byte
	slow  *timerAlarm // where the file cannot be waited for
}

var _ alarm = (*timerfd)(nil)

// newAlarm returns the best alarm that there is: in a sandbox a timerfd may be forbidden.
func newAlarm() alarm {
	slow := newTimerAlarm()
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return slow
	}
	a := &timerfd{file: os.NewFile(uintptr(fd), "timerfd"), slow: slow}
	if a.raw, err = a.file.SyscallConn(); err != nil {
		_ = a.file.Close()
		return slow
	}
	a.step = a.poll
	return a
}

func (a *timerfd) sleep(d time.Duration) {
	a.armed = false
	a.spec.Value = unix.NsecToTimespec(max(int64(d), 1)) // 0 would disarm it
	if err := a.raw.Read(a.step); err != nil {
		a.slow.sleep(d)
	}
}

// poll is called by the poller: first when it has forgotten earlier events, so that none of the timer armed here can be
// lost, and then for each event. Arming inside it, instead of before, saves a read that finds nothing.
func (a *timerfd) poll(fd uintptr) (done bool) {
	if !a.armed {
		a.armed = true
		// An interrupt may have set the timer before this did. It said so first.
		return unix.TimerfdSettime(int(fd), 0, &a.spec, nil) != nil || a.stopped.Load()
	}
	_, err := unix.Read(int(fd), a.count[:])
	return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
}

func (a *timerfd) interrupt() {
	a.stopped.Store(true)
	a.slow.interrupt()
	now := unix.ItimerSpec{Value: unix.Timespec{Nsec: 1}}
	_ = a.raw.Control(func(fd uintptr) { _ = unix.TimerfdSettime(int(fd), 0, &now, nil) })
}

func (a *timerfd) close() {
	a.slow.close()
	_ = a.file.Close()
}
