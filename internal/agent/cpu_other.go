//go:build !unix

package agent

import (
	"math"
	"time"
)

// cpuTime is not known here.
func cpuTime() time.Duration { return 0 }

// maxRSS is not known here.
func maxRSS() int64 { return 0 }

// openFiles is not limited here.
func openFiles() uint64 { return math.MaxUint64 }
