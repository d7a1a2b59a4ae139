package agent

import "time"

// Cost is what this process has used so far, and for how long its processor limit has kept it from running; 0 where
// that is not known.
func Cost() (cpu, throttled time.Duration) { return cpuTime(), throttledTime() }

// EnoughFiles says, in one sentence, why this process cannot open so many connections; nil: it can, as far as is known.
func EnoughFiles(connections int) error { return enoughFiles(connections) }
