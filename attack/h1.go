package attack

import "runtime"

// H1 is the engine of this package's own: HTTP/1.1 over plain connections, and nothing between plan and socket.
//
// A connection's goroutine always waits in Read, also at rest, so that a server that closes is noticed. When a request
// falls due, the pacer takes the connection used last and writes to it itself: no goroutine has to wake up before a
// request leaves. A connection that ends an answer while others are already due takes the next of them on the spot. On
// Linux pacer and connections are coroutines of one loop on one epoll (h1Loop); elsewhere, and for connections that are
// no sockets, they are goroutines on Go's poller. All that they share is decided under one lock, held for some 100 ns
// per request.
//
// Where more is due than connections may be open, requests wait in the queue and keep their planned instants. Nothing
// is ever sent twice: a connection that dies under a request costs that request.
type H1 struct{ *pool }

var _ Engine = (*H1)(nil)

// NewH1 returns an engine without connections, which opens at most so many. They outlive a burst; Close ends them.
func NewH1(o EngineOptions, connections int) *H1 {
	e := newPool(o, connections, newH1Conn, newH1Target)
	// While the loop waits it keeps its processor to itself for a moment. With one only, what else there is to do, such as
	// dialling, would wait for that.
	if runtime.GOMAXPROCS(0) > 1 {
		e.loop = newH1Loop()
	}
	return &H1{e}
}
