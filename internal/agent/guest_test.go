package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/internal/wire"
)

func TestLimitsOfTheContainer(t *testing.T) {
	tests := []struct {
		name      string
		files     map[string]string
		want      limits
		throttled time.Duration
		memory    int64
	}{
		{"nothing to read", nil, limits{}, 0, mostMemory},
		{
			"version 2", // formats: Documentation/admin-guide/cgroup-v2.rst
			map[string]string{
				"cpu.max": "150000 100000\n", "memory.max": "268435456\n", "memory.current": "67108864\n",
				"cpu.stat": "usage_usec 17\nnr_periods 9\nnr_throttled 2\nthrottled_usec 2500\n",
			},
			limits{1.5, 256 << 20, 64 << 20},
			2500 * time.Microsecond, 48 << 20,
		},
		{
			"version 2 without limits",
			map[string]string{"cpu.max": "max 100000\n", "memory.max": "max\n", "memory.current": "4096\n"},
			limits{0, 0, 4096},
			0, mostMemory,
		},
		{
			"version 1", // formats: Documentation/admin-guide/cgroup-v1
			map[string]string{
				"cpu/cpu.cfs_quota_us": "20000\n", "cpu/cpu.cfs_period_us": "100000\n", "memory/memory.limit_in_bytes": "33554432\n",
				"memory/memory.usage_in_bytes": "30000000\n", "cpu/cpu.stat": "nr_periods 5\nnr_throttled 1\nthrottled_time 1500000\n",
			},
			limits{0.2, 32 << 20, 30_000_000},
			1500 * time.Microsecond, leastMemory,
		},
		{
			"version 1 without limits",
			map[string]string{"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n", "memory/memory.limit_in_bytes": "9223372036854771712\n"},
			limits{},
			0, mostMemory,
		},
		{"garbage", map[string]string{"cpu.max": "a b\n", "memory.max": "\n", "cpu.stat": "throttled_usec x\n"}, limits{}, 0, mostMemory},
	}
	for _, tt := range tests {
		root := t.TempDir()
		for name, content := range tt.files {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		l := readLimits(root)
		if l != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, l, tt.want)
		}
		if got := readKept(root, root).stolen; got != tt.throttled {
			t.Errorf("%s: throttled %s, want %s", tt.name, got, tt.throttled)
		}
		if got := memoryLimit(l); got != tt.memory {
			t.Errorf("%s: memory limit %d, want %d", tt.name, got, tt.memory)
		}
	}
}

// What is not there, or is of another kind, is said and is no error; a counter that goes back began anew.
func TestKeptFromRunning(t *testing.T) {
	two := "usage_usec 17\nnr_periods 900\nnr_throttled 108\nthrottled_usec 2500\nnr_bursts 0\nburst_usec 0\n"
	one := "nr_periods 50\nnr_throttled 10\nthrottled_time 1500000\n"
	tests := []struct {
		name  string
		files map[string]string
		want  kept
	}{
		{"version 2", map[string]string{"cpu.stat": two, "task/7/schedstat": "5 2000000 9\n", "task/8/schedstat": "1 1000000 2\n"}, kept{900, 108, 2500 * time.Microsecond, 3 * time.Millisecond, ""}},
		{"version 1", map[string]string{"cpu/cpu.stat": one, "task/7/schedstat": "5 2000000 9\n"}, kept{50, 10, 1500 * time.Microsecond, 2 * time.Millisecond, ""}},
		{"version 1 by its full name", map[string]string{"cpu,cpuacct/cpu.stat": one, "task/7/schedstat": "5 0 9\n"}, kept{50, 10, 1500 * time.Microsecond, 0, ""}},
		{"version 2 without a limit", map[string]string{"cpu.stat": "usage_usec 17\nuser_usec 9\n", "task/7/schedstat": "5 0 9\n"}, kept{}},
		{"nothing", nil, kept{unread: "cpu.stat of the control group and schedstat of the threads"}},
		{"nonsense", map[string]string{"cpu.stat": "nr_periods x\nnr_throttled -4\nthrottled_usec\n", "task/7/schedstat": "a b c\n", "task/8/schedstat": "1\n"}, kept{}},
	}
	for _, tt := range tests {
		root := t.TempDir()
		for name, content := range tt.files {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := readKept(root, root); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
	after, before := kept{periods: 10, throttled: 9, waited: time.Second}, kept{periods: 4, throttled: 12, waited: 2 * time.Second}
	if got, want := after.since(before), (wire.Kept{Periods: 6}); got != want {
		t.Errorf("counters that went back: %+v, want %+v", got, want)
	}
}

func TestTooFewFilesIsOneClearSentence(t *testing.T) {
	if openFiles() == 0 {
		t.Skip("the number of open files is not limited here")
	}
	if err := enoughFiles(1); err != nil {
		t.Error(err)
	}
	err := enoughFilesOf(64, 100)
	if err == nil || !strings.Contains(err.Error(), "lower --connections to 32") {
		t.Errorf("got %v", err)
	}
}
