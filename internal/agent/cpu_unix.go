//go:build unix

package agent

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cpuTime is the user and system time of this process so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// maxRSS is the most memory that this process ever held, in bytes; 0: not known. On Linux what getrusage says is also
// that of the process that started this one, before exec; /proc has its own.
func maxRSS() int64 {
	if kib, ok := highWater("/proc/self/status"); ok {
		return kib << 10
	}
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" { // bytes there, kibibytes elsewhere
		return int64(u.Maxrss) //nolint:unconvert // 32 bits on some platforms
	}
	return int64(u.Maxrss) << 10 //nolint:unconvert // as above
}

// highWater reads the line VmHWM of a process's status.
func highWater(path string) (kib int64, ok bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	_, rest, ok := strings.Cut(string(b), "\nVmHWM:")
	f := strings.Fields(rest)
	if !ok || len(f) < 2 || f[1] != "kB" {
		return 0, false
	}
	kib, err = strconv.ParseInt(f[0], 10, 64)
	return kib, err == nil
}

// openFiles is how many descriptors this process may have; 0: not known. Go has raised the soft limit to the hard one.
func openFiles() uint64 {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	return uint64(l.Cur) //nolint:unconvert // signed on some platforms
}
