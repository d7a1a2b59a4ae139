package told_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/linkerd/linkerd2-proxy-api/go/destination"
	"github.com/linkerd/linkerd2-proxy-api/go/outbound"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/told"
	"github.com/splitbench/splitbench/test/recorded"
)

// controlPlane serves on this machine, in the place of a pod's ports.
func controlPlane(t *testing.T) (*recorded.ControlPlane, told.Dial) {
	t.Helper()
	c := &recorded.ControlPlane{}
	dial, stop, err := c.ServeHere(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return c, dial
}

// ask asks over connections of its own.
func ask(t *testing.T, dial told.Dial, q law.Question) (law.Law, error) {
	t.Helper()
	c, err := told.NewControlPlane(dial)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.Ask(t.Context(), q)
}

// Every recording arrives over the real API as the law that it is, and the questions are those of the client's proxy.
func TestAsk(t *testing.T) {
	c, dial := controlPlane(t)
	all, err := recorded.Linkerd()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		c.Tell(s.Profile, s.Policy)
		q := question(s.Port)
		want, err := told.Linkerd{Profile: s.Profile, Policy: s.Policy}.Law(q)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ask(t, dial, q)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", s.ID, err, diff)
		}
	}
}

func TestQuestionIsTheProxys(t *testing.T) {
	for _, test := range []struct{ ip, path, authority, addr string }{
		{"10.144.7.9", "10.144.7.9:9898", "", "ip:{ipv4:177211145}  port:9898"},
		{"fd00::7:9", "[fd00::7:9]:9898", "", "ip:{ipv6:{first:18230571291595767808  last:458761}}  port:9898"},
		{"None", "podinfo.law.svc.cluster.local:9898", "podinfo.law.svc.cluster.local:9898", ""},
	} {
		c, dial := controlPlane(t)
		a := answer(route("r", to("a")))
		c.Tell(a.Profile, a.Policy)
		q := question(9898)
		q.Root.ClusterIP = test.ip
		q.Client = law.Pod{Namespace: "law2", Name: "client-1", Node: "n1"}
		if _, err := ask(t, dial, q); err != nil {
			t.Fatal(err)
		}
		for _, asked := range c.Asked() {
			switch q := asked.(type) {
			case *outbound.TrafficSpec:
				addr := ""
				if a := q.GetAddr(); a != nil {
					addr = strings.ReplaceAll(a.String(), "  ", " ") // it varies its blanks on purpose
				}
				if q.GetSourceWorkload() != `{"ns":"law2","pod":"client-1"}` || q.GetAuthority() != test.authority ||
					addr != strings.ReplaceAll(test.addr, "  ", " ") {
					t.Errorf("%s: policy asked with %v", test.ip, q)
				}
			case *destination.GetDestination:
				if q.GetContextToken() != `{"nodeName":"n1","ns":"law2","pod":"client-1"}` || q.GetPath() != test.path {
					t.Errorf("%s: profile asked with %v", test.ip, q)
				}
			}
		}
	}
}

// What does not answer, or answers without end, is one sentence, and takes two seconds at most.
func TestAskInVain(t *testing.T) {
	endless := answer()
	for range 1 << 14 {
		endless.Policy.GetProtocol().GetDetect().GetHttp1().Routes = append(
			endless.Policy.GetProtocol().GetDetect().GetHttp1().Routes, route(strings.Repeat("r", 250), to("a")))
	}
	whole := answer(route("r", to("a")))
	for _, test := range []struct {
		name string
		told told.Linkerd
		dial func(told.Dial) told.Dial
		want string
	}{
		{"silent", told.Linkerd{}, nil, "did not answer within 2s"},
		{"endless", endless, nil, "the policy controller told nothing: ResourceExhausted"},
		{"refused", whole, func(told.Dial) told.Dial {
			return func(context.Context, int) (net.Conn, error) { return nil, errors.New("no permission") }
		}, "no permission"},
		{"no answer to the dial", whole, func(told.Dial) told.Dial {
			return func(ctx context.Context, _ int) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
		}, "did not answer within 2s"},
		{"cut", whole, func(dial told.Dial) told.Dial {
			return func(ctx context.Context, port int) (net.Conn, error) {
				conn, err := dial(ctx, port)
				if err == nil {
					_ = conn.Close()
				}
				return conn, err
			}
		}, "told nothing: Unavailable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, dial := controlPlane(t)
			c.Tell(test.told.Profile, test.told.Policy)
			if test.dial != nil {
				dial = test.dial(dial)
			}
			began := time.Now()
			_, err := ask(t, dial, question(9898))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// The end of the context ends the asking.
func TestAskEnds(t *testing.T) {
	_, dial := controlPlane(t)
	c, err := told.NewControlPlane(dial)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := c.Ask(ctx, question(9898)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// Fifty questions take one connection to each port, and the one that was cut is made anew.
func TestAskManyOverOneConnection(t *testing.T) {
	plane, dial := controlPlane(t)
	a := answer(route("r", to("a")))
	plane.Tell(a.Profile, a.Policy)
	var mu sync.Mutex
	var made []net.Conn
	c, err := told.NewControlPlane(func(ctx context.Context, port int) (net.Conn, error) {
		conn, err := dial(ctx, port)
		mu.Lock()
		defer mu.Unlock()
		made = append(made, conn)
		return conn, err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, connections := range []int{2, 4} {
		for range 50 {
			if _, err := c.Ask(t.Context(), question(9898)); err != nil {
				t.Fatal(err)
			}
		}
		mu.Lock()
		if len(made) != connections {
			t.Errorf("%d connections were made, want %d", len(made), connections)
		}
		for _, conn := range made {
			_ = conn.Close()
		}
		mu.Unlock()
		for { // gRPC learns of it in its own time
			if _, err := c.Ask(t.Context(), question(9898)); err == nil {
				break
			}
		}
	}
}
