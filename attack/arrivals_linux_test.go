package attack

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What a reader that was kept from running reads late had been there all the while, and the kernel knows since when.
func TestTheKernelSaysWhenBytesCame(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	lc := newLoopConn(nc, 1)
	defer lc.free()
	if !lc.arrivals.on {
		t.Skip("no stamps here: SO_TIMESTAMPNS is refused")
	}
	come := func(text string) {
		t.Helper()
		if _, err := peer.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(lc.fd), Events: unix.POLLIN}}, 5000); err != nil {
			t.Fatal(err)
		}
	}
	// A kernel in which nobody had asked for stamps begins a moment after the first socket does (net/core/dev.c,
	// netstamp_work), and what comes meanwhile has none.
	p := make([]byte, 64)
	for began := time.Now(); lc.arrivals.arrived.IsZero() && time.Since(began) < 5*time.Second; {
		come("first")
		if _, errno := lc.arrivals.read(lc.fd, p); errno != 0 {
			t.Fatal(errno)
		}
	}
	before := time.Now()
	come("answer")
	const busy = 5 * time.Millisecond
	for there := time.Now(); time.Since(there) < busy; { // as a generator without a processor would
	}
	if n, errno := lc.arrivals.read(lc.fd, p); errno != 0 || string(p[:n]) != "answer" {
		t.Fatalf("%q, %v", p[:n], errno)
	}
	now := time.Now()
	if late, known := lc.late(now); !known || late < busy || late > now.Sub(before) {
		t.Errorf("the bytes had been there for %s (known: %v), and %s to %s are possible", late, known, busy, now.Sub(before))
	}
	if n, errno := lc.arrivals.read(lc.fd, p); errno != unix.EAGAIN {
		t.Errorf("nothing there: %d, %v", n, errno)
	}
}

func TestStampsOfAnotherKindAreNone(t *testing.T) {
	t.Parallel()
	for _, control := range [][]byte{nil, make([]byte, 7), make([]byte, 64)} {
		if got := stamp(control); !got.IsZero() {
			t.Errorf("%d bytes: %s", len(control), got)
		}
	}
}
