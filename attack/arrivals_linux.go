package attack

import (
	"encoding/binary"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// arrivals reads a socket and knows since when the bytes had been there: the kernel stamps them as they come. A
// generator that was kept from running reads an answer late, and that is no time of the target's.
type arrivals struct {
	on      bool
	arrived time.Time // the wall clock's, of the last bytes read; zero: not known
	header  unix.Msghdr
	part    unix.Iovec
	control [64]byte
	clock   clock
}

// newArrivals has the kernel stamp what comes. Where it cannot, reading is plain.
func newArrivals(fd int) arrivals {
	return arrivals{on: unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) == nil}
}

// read reads what there is. It tells Go's scheduler nothing, since it cannot block.
func (a *arrivals) read(fd int, p []byte) (n uintptr, errno unix.Errno) {
	if !a.on {
		n, _, errno = unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		return n, errno
	}
	a.part.Base = &p[0]
	a.part.SetLen(len(p))
	a.header = unix.Msghdr{Iov: &a.part, Control: &a.control[0]}
	a.header.SetIovlen(1)
	a.header.SetControllen(len(a.control))
	n, _, errno = unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&a.header)), 0)
	a.part.Base = nil
	if errno == 0 {
		a.arrived = stamp(a.control[:min(int(a.header.Controllen), len(a.control))])
	}
	return n, errno
}

// stamp finds the kernel's time in what came along with bytes.
func stamp(control []byte) time.Time {
	var h unix.Cmsghdr
	var t unix.Timespec
	data := unix.CmsgLen(0)
	if len(control) < data+int(unsafe.Sizeof(t)) {
		return time.Time{}
	}
	h = *(*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	if h.Level != unix.SOL_SOCKET || h.Type != unix.SO_TIMESTAMPNS {
		return time.Time{}
	}
	word := int(unsafe.Sizeof(t.Sec))
	number := func(at int) int64 {
		if word == 4 {
			return int64(int32(binary.NativeEndian.Uint32(control[at:])))
		}
		return int64(binary.NativeEndian.Uint64(control[at:]))
	}
	return time.Unix(number(data), number(data+word))
}

// late implements punctual.
func (lc *loopConn) late(now time.Time) (time.Duration, bool) {
	a := &lc.arrivals
	steady := a.clock.steady(now)
	if a.arrived.IsZero() || !steady {
		return 0, false
	}
	return max(0, now.Round(0).Sub(a.arrived)), true
}
