package judge

import "github.com/splitbench/splitbench/internal/report"

// completeOf counts the complete answers among those of no known backend; a server's errors often are a proxy's.
func completeOf(u report.Unattributed) (n int64) {
	for status, k := range u.Statuses {
		if len(status) == 3 && status < "500" {
			n += k
		}
	}
	return n
}
