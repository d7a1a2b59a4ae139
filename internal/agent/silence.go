package agent

import (
	"runtime"
	"sync"
	"time"
)

// silentBeats is how many beats without a frame make a silence.
const silentBeats = 10

// silence says when the other end must be taken for dead: it was listened to for silentBeats beats, and no frame came.
// Beats are counted, not time. On a machine that is too busy, or whose lid was closed, hours may pass between two steps
// of this program, and what the other end has said meanwhile waits to be read; such an hour is one beat.
type silence struct {
	beat time.Duration
	dead func()

	mu     sync.Mutex
	missed int
	timer  *time.Timer // nil: nobody listens
}

func newSilence(limit time.Duration, dead func()) *silence {
	return &silence{beat: limit / silentBeats, dead: dead}
}

// listen counts from here on, anew.
func (s *silence) listen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.missed = 0
	if s.timer == nil {
		s.timer = time.AfterFunc(s.beat, s.miss)
	} else {
		s.timer.Reset(s.beat)
	}
}

// rest ends the counting until the next listen.
func (s *silence) rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
	s.missed = silentBeats // a beat that is on its way is none
}

// miss is a beat in which nothing came, and everybody who is ready to run had a turn: timers go before those who have
// something to read. The next beat is counted from now, however late this one is.
func (s *silence) miss() {
	runtime.Gosched()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.missed++; {
	case s.missed == silentBeats:
		s.dead()
	case s.missed < silentBeats:
		s.timer.Reset(s.beat)
	}
}
