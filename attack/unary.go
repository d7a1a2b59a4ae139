package attack

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Unary is a unary gRPC call. Messages are bytes here: what they mean is the business of whoever encoded them.
type Unary struct {
	Method  string `json:"method,omitempty"`  // package.Service/Method; "": the health check
	Message []byte `json:"message,omitempty"` // protobuf encoding; nil: the empty message
}

// healthCheck is the method that asks whether a server serves,
// https://github.com/grpc/grpc/blob/master/doc/health-checking.md
const healthCheck = "grpc.health.v1.Health/Check"

func (u *Unary) harmless() bool { return u == nil || u.Method == "" || u.Method == healthCheck }

// Path is the path of the call's requests; nil calls the health check.
func (u *Unary) Path() string {
	if u == nil || u.Method == "" {
		return "/" + healthCheck
	}
	return "/" + u.Method
}

// ParseUnaryMethod reads package.Service/Method, also as /package.Service/Method.
func ParseUnaryMethod(s string) (string, error) {
	method := strings.TrimPrefix(s, "/")
	service, name, ok := strings.Cut(method, "/")
	if !ok || service == "" || name == "" || strings.ContainsAny(method, " ?#%") || strings.Contains(name, "/") {
		return "", fmt.Errorf("grpc method %q: want package.Service/Method", s)
	}
	return method, nil
}

// call returns the body of a call and the URL that it goes to.
func (u *Unary) call(base *url.URL) ([]byte, *url.URL, error) {
	var message []byte
	if u != nil {
		message = u.Message
	}
	method, err := ParseUnaryMethod(u.Path())
	if err != nil {
		return nil, nil, err
	}
	if base.Path != "" && base.Path != "/" || base.RawQuery != "" {
		return nil, nil, fmt.Errorf("url %q: a gRPC call has no path but its method's", base.Redacted())
	}
	if len(message) > maxRequestBody {
		return nil, nil, fmt.Errorf("grpc message of %d bytes: at most %d are sent", len(message), maxRequestBody)
	}
	to := *base
	to.Path = "/" + method
	// Not compressed, length, message.
	body := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	return append(body, message...), &to, nil
}

// grpcError says that an answer is not gRPC's.
type grpcError struct{ why string }

func (e *grpcError) Error() string { return "grpc: " + e.why }

// unframe turns gRPC's answer, whose body was read, into HTTP's terms: the status code of the call becomes the status
// that gRPC maps to it, so that one table of statuses serves all protocols, trailers stand among the headers, and the
// body is the message without its frame.
func unframe(res *http.Response, body []byte) ([]byte, error) {
	if res.StatusCode != http.StatusOK {
		return body, nil // a proxy's answer, not gRPC's
	}
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "application/grpc") {
		return body, &grpcError{"the answer's content type is " + strconv.Quote(res.Header.Get("Content-Type"))}
	}
	for name, values := range res.Trailer { // an answer without a message has headers alone
		res.Header[name] = append(res.Header[name], values...)
	}
	code, err := strconv.ParseUint(res.Header.Get("Grpc-Status"), 10, 8)
	if err != nil {
		return body, &grpcError{"the answer has no status"}
	}
	res.StatusCode = httpStatus(code)
	if code != 0 {
		return body, nil
	}
	if len(body) < 5 || body[0] > 1 {
		return body, &grpcError{"the answer holds no message"}
	}
	if n := binary.BigEndian.Uint32(body[1:5]); uint64(n) != uint64(len(body)-5) && len(body) < maxBody {
		return body, &grpcError{"the message is not as long as it says"}
	}
	return append(body[:0], body[5:]...), nil
}

// httpStatus is the table of https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto.
func httpStatus(code uint64) int {
	table := [...]int{
		200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
	}
	if code < uint64(len(table)) {
		return table[code]
	}
	return http.StatusInternalServerError
}

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
