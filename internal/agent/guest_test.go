package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
		if got := readThrottled(root); got != tt.throttled {
			t.Errorf("%s: throttled %s, want %s", tt.name, got, tt.throttled)
		}
		if got := memoryLimit(l); got != tt.memory {
			t.Errorf("%s: memory limit %d, want %d", tt.name, got, tt.memory)
		}
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
