package attack

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/apipb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/sourcecontextpb"
)

// realGRPC is grpc-go's own server, with the health check and a service whose answers name the pod: in a field, in a
// field of a field, in a header and in a trailer. google.protobuf.Api stands for the message.
func realGRPC(t *testing.T, pod string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(s, health.NewServer())
	answer := func(_ any, ctx context.Context, read func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		if err := read(new(emptypb.Empty)); err != nil {
			return nil, err
		}
		if err := grpc.SetHeader(ctx, metadata.Pairs("x-pod", pod)); err != nil {
			return nil, err
		}
		if err := grpc.SetTrailer(ctx, metadata.Pairs("x-last", pod)); err != nil {
			return nil, err
		}
		return &apipb.Api{Name: pod, SourceContext: &sourcecontextpb.SourceContext{FileName: "in/" + pod}}, nil
	}
	refuse := func(_ any, ctx context.Context, _ func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		return nil, status.Error(codes.NotFound, "nothing here: "+pod)
	}
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "info.InfoService", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{
		{MethodName: "Info", Handler: answer}, {MethodName: "Gone", Handler: refuse},
	}}, struct{}{})
	go s.Serve(listener) // until Stop
	t.Cleanup(s.Stop)
	return "http://" + listener.Addr().String() + "/"
}

// What grpc-go answers is told apart by any text of a message, by a header and by a trailer.
func TestARealServerIsRecognised(t *testing.T) {
	url := realGRPC(t, "podinfo-w1")
	info := &Unary{Method: "info.InfoService/Info"}
	for name, tt := range map[string]struct {
		unary   *Unary
		rule    Rule
		status  uint16
		backend int16
	}{
		"a field":            {info, Rule{Backend: 1, Kind: RuleProto, Key: "/1", Values: []string{"podinfo-w1"}}, 200, 1},
		"a field of a field": {info, Rule{Backend: 1, Kind: RuleProto, Key: "/5/1", Values: []string{"in/podinfo-w1"}}, 200, 1},
		"another field":      {info, Rule{Backend: 1, Kind: RuleProto, Key: "/4", Values: []string{"podinfo-w1"}}, 200, Unattributed},
		"another pod's":      {info, Rule{Backend: 1, Kind: RuleProto, Key: "/1", Values: []string{"podinfo-w2"}}, 200, Unattributed},
		"a header":           {info, Rule{Backend: 1, Kind: RuleHeader, Key: "X-Pod", Values: []string{"podinfo-w1"}}, 200, 1},
		"a trailer":          {info, Rule{Backend: 1, Kind: RuleHeader, Key: "X-Last", Values: []string{"podinfo-w1"}}, 200, 1},
		"health has no name": {nil, Rule{Backend: 1, Kind: RuleProto, Key: "/1", Values: []string{"podinfo-w1"}}, 200, Unattributed},
		"a call that failed": {&Unary{Method: "info.InfoService/Gone"}, Rule{Backend: 1, Kind: RuleRegexp, Key: "x"}, 404, Unattributed},
		"no such method":     {&Unary{Method: "info.InfoService/No"}, Rule{Backend: 1, Kind: RuleRegexp, Key: "x"}, 501, Unattributed},
		"a message of none":  {&Unary{Method: "info.InfoService/Info", Message: []byte{0xff}}, Rule{Backend: 1, Kind: RuleRegexp, Key: "x"}, 500, Unattributed},
	} {
		t.Run(name, func(t *testing.T) {
			p := fastPlan(url, 20)
			p.Protocol, p.Unary, p.AllowUnsafe, p.Connections, p.Rules = ProtocolGRPC, tt.unary, true, 2, []Rule{tt.rule}
			e := NewEngine(p, EngineOptions{})
			defer e.Close()
			rs, err := collect(t, e, t.Context(), p)
			if err != nil || len(rs) != 20 {
				t.Fatalf("%d results, %v", len(rs), err)
			}
			for _, r := range rs {
				if r.Status != tt.status || r.Err != OK || r.Backend != tt.backend {
					t.Fatalf("got %+v", r)
				}
			}
		})
	}
}

// One request is asked as a burst would send it, and its answer is what a classifier sees.
func TestAskIsLikeABurst(t *testing.T) {
	url := realGRPC(t, "podinfo-w1")
	ask := func(p Plan) (int, string, map[string][]string) {
		t.Helper()
		res, err := Ask(t.Context(), p, EngineOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body), res.Header
	}
	p := Plan{URL: url, Protocol: ProtocolGRPC}
	if code, body, _ := ask(p); code != 200 || body != "\x08\x01" {
		t.Errorf("health check: %d %q", code, body)
	}
	p.Unary, p.AllowUnsafe = &Unary{Method: "info.InfoService/Info"}, true
	code, body, header := ask(p)
	texts := ProtoTexts([]byte(body), 10, 100)
	if code != 200 || texts["/1"] != "podinfo-w1" || texts["/5/1"] != "in/podinfo-w1" || header["X-Last"][0] != "podinfo-w1" {
		t.Errorf("info: %d %v %v", code, texts, header)
	}
	p.Unary.Method = "info.InfoService/Gone"
	if code, _, header := ask(p); code != 404 || !strings.HasPrefix(header["Grpc-Message"][0], "nothing here") {
		t.Errorf("gone: %d %v", code, header)
	}
	p.AllowUnsafe = false
	if _, err := Ask(t.Context(), p, EngineOptions{}); err == nil || !strings.Contains(err.Error(), "--allow-unsafe") {
		t.Errorf("a call that may change something was sent: %v", err)
	}
	if res, err := Ask(t.Context(), Plan{URL: url}, EngineOptions{}); err == nil { // no HTTP/1.1 there
		res.Body.Close()
		t.Errorf("HTTP/1.1 was answered with %d", res.StatusCode)
	}
}

// A switch of protocols is refused: what follows it has no end.
func TestAskRefusesAnotherProtocol(t *testing.T) {
	address, _ := script{answer: "HTTP/1.1 101 Switching Protocols\r\n\r\n", hold: true}.serve(t)
	if res, err := Ask(t.Context(), Plan{URL: "http://" + address}, EngineOptions{}); err == nil {
		res.Body.Close()
		t.Errorf("status %d", res.StatusCode)
	}
}

// Bytes that are no message hold no field, and nothing is read beyond their end.
func TestProtoFieldsOfAnything(t *testing.T) {
	for name, tt := range map[string]struct {
		in   string
		want map[string]string
	}{
		"empty":              {"", nil},
		"a text":             {"\x0a\x02hi", map[string]string{"/1": "hi"}},
		"after other fields": {"\x08\x01\x11abcdefgh\x1dabcd\x22\x02hi", map[string]string{"/4": "hi"}},
		"the first counts":   {"\x0a\x02hi\x0a\x02ho", map[string]string{"/1": "hi"}},
		"cut off":            {"\x0a\x02hi\x12\x05x", map[string]string{"/1": "hi"}},
		"length beyond":      {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01hi", nil},
		"a group":            {"\x0bx", nil},
		"field 0":            {"\x02\x02hi", nil},
		"no text":            {"\x0a\x02\x00\x01", nil},
	} {
		got := ProtoTexts([]byte(tt.in), 10, 100)
		if len(got) != len(tt.want) || got["/1"] != tt.want["/1"] || got["/4"] != tt.want["/4"] {
			t.Errorf("%s: %q", name, got)
		}
	}
	deep := "x"
	for range 50 {
		deep = "\x0a" + string(rune(len(deep))) + deep
	}
	if got := ProtoTexts([]byte(deep), 1000, 100); len(got) > maxProtoDepth {
		t.Errorf("%d texts of nested messages", len(got))
	}
}
