package bench

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// maxLog bounds what a run keeps of the agent's stderr, in bytes.
const maxLog = 256 << 10

// runLog keeps what the agent said on stderr, for exec.log, and passes it on.
type runLog struct {
	mu   sync.Mutex
	next io.Writer
	b    strings.Builder
}

func newRunLog(next io.Writer) *runLog {
	if next == nil {
		next = io.Discard
	}
	return &runLog{next: next}
}

// Write implements io.Writer. It never fails: a log must not end a run.
func (l *runLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.b.Len()+len(p) <= maxLog {
		l.b.Write(p)
	}
	for _, line := range strings.Split(strings.TrimRight(string(p), "\n"), "\n") {
		fmt.Fprintf(l.next, "agent: %s\n", untrusted.Safe(line))
	}
	return len(p), nil
}

// say keeps a line of our own and passes it on.
func (l *runLog) say(text string) {
	l.keep(text)
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.next, "splitbench: %s\n", untrusted.Safe(text))
}

// keep keeps a line of our own.
func (l *runLog) keep(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.b.Len()+len(text) < maxLog {
		l.b.WriteString(text + "\n")
	}
}

func (l *runLog) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return []byte(l.b.String())
}
