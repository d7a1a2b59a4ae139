package agent

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/wire"
)

// A fetch that is like a gRPC burst is such a call, over the same session: grpc-go's own server answers both.
func TestFetchesAreLikeTheBurst(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(s, health.NewServer())
	go s.Serve(listener) // until Stop
	t.Cleanup(s.Stop)
	c, err := Open(t.Context(), &inProcess{}, serveArgv, ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p := plan("http://"+listener.Addr().String()+"/", 200)
	p.Protocol, p.Rules = attack.ProtocolGRPC, []attack.Rule{{Backend: 1, Kind: attack.RuleRegexp, Key: "^\\x08\\x01$"}}
	like := p.Request()
	res, body, err := c.Fetch(t.Context(), wire.FetchRequest{URL: p.URL, Like: &like, TimeoutMs: 2000})
	if err != nil || res.Status != 200 || res.Class != "ok" || string(body) != "\x08\x01" || res.Remote != listener.Addr().String() {
		t.Errorf("fetched %+v, %q, %v", res, body, err)
	}
	rs, totals, err := run(c, t.Context(), p)
	if err != nil || len(rs) != 200 || totals.Tally[0].Backend != 1 {
		t.Errorf("%d results, %+v, %v", len(rs), totals, err)
	}
	like.Unary = &attack.Unary{Method: "a.B/C"} // may change something
	res, _, err = c.Fetch(t.Context(), wire.FetchRequest{URL: p.URL, Like: &like, TimeoutMs: 2000})
	if err != nil || res.Status != 0 || res.Error == "" {
		t.Errorf("a call that was not permitted: %+v, %v", res, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// A fetch has the method, the Host and the addresses of the burst's requests.
func TestFetchesHaveTheMethodAndTheHost(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Seen", r.Method+" "+r.Host)
	}))
	t.Cleanup(s.Close)
	c, err := Open(t.Context(), &inProcess{}, serveArgv, ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	res, _, err := c.Fetch(t.Context(), wire.FetchRequest{
		URL: "http://podinfo:9898/", Header: map[string]string{"host": "shop.example"}, TimeoutMs: 2000,
		Like: &attack.Plan{Method: "HEAD", ConnectTo: map[string]string{"podinfo:9898": s.Listener.Addr().String()}},
	})
	if err != nil || len(res.Header["Seen"]) != 1 || res.Header["Seen"][0] != "HEAD shop.example" {
		t.Errorf("%+v, %v", res, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
