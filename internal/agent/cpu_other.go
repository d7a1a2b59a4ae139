//go:build !unix

package agent

import "time"

// cpuTime is not known here.
func cpuTime() time.Duration { return 0 }
