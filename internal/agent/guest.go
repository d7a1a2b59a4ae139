package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/splitbench/splitbench/internal/wire"
)

// cgroupRoot is where a container sees the control groups that it lives in.
const cgroupRoot = "/sys/fs/cgroup"

// procSelf is where this process sees itself.
const procSelf = "/proc/self"

// limits are what a container may use; 0: no limit, or not known.
type limits struct {
	cpus   float64
	memory int64 // bytes
	used   int64 // bytes of memory
}

// readLimits reads the control groups of version 2, or of version 1.
func readLimits(root string) limits {
	const v1 = "cpu/cpu.cfs_"
	var l limits
	if f := fields(root, "cpu.max"); len(f) == 2 {
		l.cpus = quota(f[0], f[1])
	} else if q, p := fields(root, v1+"quota_us"), fields(root, v1+"period_us"); len(q) == 1 && len(p) == 1 {
		l.cpus = quota(q[0], p[0])
	}
	l.memory = firstNumber(root, "memory.max", "memory/memory.limit_in_bytes")
	l.used = firstNumber(root, "memory.current", "memory/memory.usage_in_bytes")
	// Version 1 writes no limit as the largest number of pages.
	const unlimited = 1 << 60
	if l.memory >= unlimited {
		l.memory = 0
	}
	return l
}

func quota(quota, period string) float64 {
	q, err1 := strconv.ParseFloat(quota, 64)
	p, err2 := strconv.ParseFloat(period, 64)
	if err1 != nil || err2 != nil || q <= 0 || p <= 0 {
		return 0
	}
	return q / p
}

func fields(root, name string) []string {
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		return nil
	}
	return strings.Fields(string(b))
}

func firstNumber(root string, names ...string) int64 {
	for _, name := range names {
		if f := fields(root, name); len(f) == 1 {
			n, err := strconv.ParseInt(f[0], 10, 64)
			if err == nil && n > 0 {
				return n
			}
		}
	}
	return 0
}

// kept is how this process has been kept from running so far.
type kept struct {
	periods, throttled int64 // of the container's processor limit, and those in which it was reached
	stolen             time.Duration
	waited             time.Duration // of all threads, ready to run
	unread             string        // what could not be read
}

// readKept reads the control group, of version 2 or 1, and what the scheduler says of each thread.
func readKept(root, proc string) (k kept) {
	var stat map[string]int64
	for _, name := range []string{"cpu/cpu.stat", "cpu,cpuacct/cpu.stat", "cpu.stat"} {
		if stat = keyed(root, name); stat != nil {
			break
		}
	}
	k.periods, k.throttled = stat["nr_periods"], stat["nr_throttled"]
	k.stolen = time.Duration(stat["throttled_usec"])*time.Microsecond + time.Duration(stat["throttled_time"])
	var unread []string
	if stat == nil {
		unread = append(unread, "cpu.stat of the control group")
	}
	threads, err := filepath.Glob(filepath.Join(proc, "task", "*", "schedstat"))
	if err != nil || len(threads) == 0 {
		unread = append(unread, "schedstat of the threads")
	}
	for _, name := range threads { // one that has ended since is nothing
		if f := fields("", name); len(f) == 3 {
			k.waited += time.Duration(max(0, number(f[1])))
		}
	}
	k.unread = strings.Join(unread, " and ")
	return k
}

// keyed reads a file of names and numbers; nil where it cannot be read.
func keyed(root, name string) map[string]int64 {
	f := fields(root, name)
	if f == nil {
		return nil
	}
	out := map[string]int64{}
	for i := 0; i+1 < len(f); i += 2 {
		out[f[i]] = max(0, number(f[i+1]))
	}
	return out
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// since is what has come to k after before. A counter that went back began anew, and says nothing.
func (k kept) since(before kept) wire.Kept {
	periods := max(0, k.periods-before.periods)
	return wire.Kept{
		Periods: periods, Throttled: min(max(0, k.throttled-before.throttled), periods),
		WaitUs: max(0, k.waited-before.waited).Microseconds(), Unread: k.unread,
	}
}

// throttledTime is how long the container's processor limit has kept its processes from running so far; 0 also where
// that is not known.
func throttledTime() time.Duration { return readKept(cgroupRoot, "").stolen }

// Memory that the agent allows itself: a part of what the container has left, within bounds.
const (
	mostMemory  = 64 << 20
	leastMemory = 16 << 20
	memoryShare = 4
)

// beGuest makes the process one that its host can bear: it collects garbage before the container's memory runs short,
// and if that does run out, the kernel kills the agent and not the application. What cannot be had is done without.
func beGuest(root string) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit(readLimits(root)))
	}
	//nolint:errcheck // raising it is a favour to the host, nothing depends on it
	os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
}

func memoryLimit(l limits) int64 {
	if l.memory == 0 {
		return mostMemory
	}
	return max(leastMemory, min(mostMemory, (l.memory-l.used)/memoryShare))
}

// spareFiles are descriptors that the agent needs besides its connections.
const spareFiles = 32

// enoughFiles refuses a plan whose connections could not all be opened: its dial errors would look like the server's.
func enoughFiles(connections int) error { return enoughFilesOf(openFiles(), connections) }

func enoughFilesOf(limit uint64, connections int) error {
	if limit == 0 || uint64(connections)+spareFiles <= limit {
		return nil
	}
	return fmt.Errorf("connections %d: the container allows %d open files, and the agent needs %d of them itself: "+
		"lower --connections to %d", connections, limit, spareFiles, max(int64(limit)-spareFiles, 1))
}
