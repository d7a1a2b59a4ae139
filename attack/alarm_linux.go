package attack

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// timerfd is an alarm on a timer of the kernel that is a file, which wakes Go's poller as a socket does.
type timerfd struct {
	fd    int
	file  *os.File // of fd
	spec  unix.ItimerSpec
	count [8]byte
}

var _ alarm = (*timerfd)(nil)

// newAlarm returns the best alarm that there is: in a sandbox a timerfd, or waiting for one, may be forbidden.
func newAlarm() alarm {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return newTimerAlarm()
	}
	a := &timerfd{fd: fd, file: os.NewFile(uintptr(fd), "timerfd")}
	if a.file.SetReadDeadline(time.Time{}) != nil {
		a.close()
		return newTimerAlarm()
	}
	return a
}

func (a *timerfd) sleep(d time.Duration) {
	a.spec.Value = unix.NsecToTimespec(max(int64(d), 1)) // 0 would disarm it
	if unix.TimerfdSettime(a.fd, 0, &a.spec, nil) == nil {
		_, _ = a.file.Read(a.count[:])
	}
}

// interrupt sets a deadline that is over, for the present read and all to come.
func (a *timerfd) interrupt() { _ = a.file.SetReadDeadline(time.Unix(1, 0)) }

func (a *timerfd) close() { _ = a.file.Close() }
