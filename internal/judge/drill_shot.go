package judge

import (
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/record"
)

// Shot is one request of a drill.
type Shot struct {
	sent    time.Duration
	done    time.Duration
	took    time.Duration
	backend int16
	failed  string // error class or http status, "" for an answer
}

func ShotOf(r attack.Result) Shot {
	return Shot{sent: r.Sent, done: r.Done, took: r.ResponseTime(), backend: r.Backend, failed: record.Failure(r)}
}
