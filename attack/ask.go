package attack

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
)

// Request is the plan of one request like this plan's, without all that is about many.
func (p Plan) Request() Plan {
	return Plan{
		URL: p.URL, Method: p.Method, Header: p.Header, ConnectTo: p.ConnectTo, Protocol: p.Protocol,
		AllowUnsafe: p.AllowUnsafe, Body: p.Body, Unary: p.Unary, TLS: p.TLS, Engine: EngineStd,
	}.WithDefaults()
}

// Ask sends one request as a burst of the plan would, over a connection of its own. The answer is as a classifier sees
// it: of a gRPC call the message alone, its status as HTTP's, and the trailers among the headers. The caller closes its
// body.
func Ask(ctx context.Context, p Plan, o EngineOptions) (*http.Response, error) {
	p = p.Request()
	if err := p.ValidateRequest(); err != nil {
		return nil, err
	}
	e := NewStd(o, 1)
	t, err := e.prepareCalls(p)
	if err != nil {
		return nil, err
	}
	calls := t.std
	calls.transport.DisableKeepAlives = true
	res, err := final(calls.transport.RoundTrip(calls.newRequest(ctx)))
	if err != nil || !calls.grpc {
		return res, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err == nil { // trailers come after the end
		_, err = io.Copy(io.Discard, res.Body)
	}
	if err == nil {
		body, err = unframe(res, body)
	}
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

// final refuses what answers no request of ours, though net/http hands it on: a switch of protocols, whose body is the
// connection itself and heeds neither context nor deadline, and numbers that are no status.
func final(res *http.Response, err error) (*http.Response, error) {
	if err != nil || res.StatusCode >= 200 && res.StatusCode <= 999 {
		return res, err
	}
	_ = res.Body.Close()
	return nil, fmt.Errorf("malformed answer: status %d", res.StatusCode)
}
