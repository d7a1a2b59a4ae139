package agent

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http/httptrace"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/wire"
)

// Bounds of a fetch.
const (
	maxFetchBytes   = 64 << 20
	maxFetchTimeout = time.Minute
	bodyPiece       = 32 << 10
)

// fetch answers one FETCH: the body in pieces, then FETCHED. Every fetch has a connection of its own, as a client that
// comes for the first time would.
func (s *server) fetch(ctx context.Context, payload []byte) {
	var q wire.FetchRequest
	var res wire.FetchResult
	started := time.Now()
	if err := json.Unmarshal(payload, &q); err != nil {
		res.Error, res.Class = "read request: "+err.Error(), attack.ErrOther.String()
	} else {
		s.fetchInto(ctx, q, &res)
	}
	res.ElapsedUs, res.UnixNs = time.Since(started).Microseconds(), time.Now().UnixNano()
	if b, err := json.Marshal(res); err == nil {
		s.out.send(wire.Fetched, b)
	}
}

func (s *server) fetchInto(ctx context.Context, q wire.FetchRequest, res *wire.FetchResult) {
	timeout := time.Duration(q.TimeoutMs) * time.Millisecond
	if timeout <= 0 || timeout > maxFetchTimeout {
		timeout = maxFetchTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	fail := func(err error) {
		res.Error, res.Class = err.Error(), attack.ErrOther.String()
		if errors.Is(err, io.EOF) {
			res.Class = attack.ErrEmpty.String()
		}
	}
	if s.o.Dial == nil { // what another dialer connects to is its own affair
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
			res.Remote = c.Conn.RemoteAddr().String()
		}})
	}
	p := attack.Plan{}
	if q.Like != nil {
		p = *q.Like
	}
	p.URL, p.Header = q.URL, q.Header
	answer, err := attack.Ask(ctx, p, attack.EngineOptions{Dial: s.o.Dial})
	if err != nil {
		fail(err)
		return
	}
	defer answer.Body.Close()
	res.Status, res.Header, res.Class = answer.StatusCode, answer.Header, attack.OK.String()
	limit := q.MaxBytes
	if limit <= 0 || limit > maxFetchBytes {
		limit = maxFetchBytes
	}
	var page io.Reader = answer.Body
	if len(q.Keep) > 0 {
		page = newLineKeeper(page, q.Keep)
	}
	piece := make([]byte, bodyPiece)
	for {
		n, err := io.ReadFull(page, piece[:min(int64(len(piece)), limit+1)])
		if int64(n) > limit {
			n, res.Truncated = int(limit), true
		}
		if n > 0 {
			s.out.send(wire.Body, append([]byte(nil), piece[:n]...))
			limit -= int64(n)
		}
		if res.Truncated || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return
		}
		if err != nil {
			fail(err)
			return
		}
	}
}
