//go:build !linux

package attack

import "net"

// h1Loop drives connections where the system has epoll. Elsewhere each has a goroutine, and Go's poller does.
type h1Loop struct{}

func newH1Loop() *h1Loop                       { return nil }
func (l *h1Loop) adopt(*h1Conn, net.Conn) bool { return false }
func (l *h1Loop) drive(*poolBurst)             {}
func (l *h1Loop) wake()                        {}
func (l *h1Loop) close()                       {}
