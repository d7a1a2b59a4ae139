package mesh_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
)

func startDemo(t *testing.T) (*demo.Clusters, *rest.Config) {
	t.Helper()
	w, err := demo.Start(t.Context(), demo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	config, err := clientcmd.Load(w.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := clientcmd.NewNonInteractiveClientConfig(*config, "west", nil, nil).ClientConfig()
	if err != nil {
		t.Fatal(err)
	}
	return w, cfg
}

// watchSplit discovers the walkthrough's split and watches what its verdict rests on.
func watchSplit(t *testing.T, cfg *rest.Config) (*mesh.Watcher, law.Snapshot) {
	t.Helper()
	c, err := mesh.Connect(cfg, "west")
	if err != nil {
		t.Fatal(err)
	}
	s, err := mesh.Discover(t.Context(), c, nil, mesh.Query{Namespace: "test", Split: "ts/podinfo", From: "deploy/frontend"})
	if err != nil {
		t.Fatal(err)
	}
	w := mesh.Watch(t.Context(), map[string]mesh.Client{law.RoleClient: c}, s.Refs())
	t.Cleanup(w.Close)
	select {
	case <-w.Ready():
	case <-time.After(20 * time.Second):
		t.Fatal("not ready in 20 s")
	}
	return w, s
}

// next is the next event of the resource. Streams are independent, so others may come first: they are passed over.
func next(t *testing.T, w *mesh.Watcher, resource string) mesh.Event {
	t.Helper()
	return both(t, w, resource)[resource]
}

// both is the next event of each resource, whichever comes first.
func both(t *testing.T, w *mesh.Watcher, resources ...string) map[string]mesh.Event {
	t.Helper()
	limit := time.After(20 * time.Second)
	got := map[string]mesh.Event{}
	for len(got) < len(resources) {
		select {
		case e, open := <-w.Events():
			if !open {
				t.Fatal("the watcher ended")
			}
			if _, have := got[e.Ref.Resource]; !have && slices.Contains(resources, e.Ref.Resource) {
				got[e.Ref.Resource] = e
			}
		case <-limit:
			t.Fatalf("no event of %v in 20 s, only %v; gaps %v", resources, got, w.Gaps())
		}
	}
	return got
}

func TestAWriteToTheSplitIsSeenAtOnce(t *testing.T) {
	world, cfg := startDemo(t)
	w, s := watchSplit(t, cfg)
	kinds := map[string]int{}
	law := 0
	for _, r := range s.Refs() {
		kinds[r.Resource]++
		if r.Law {
			law++
		}
	}
	// The split and its profile; the root is a backend too; the mirror's endpoints are Endpoints, the root's are slices.
	for what, n := range map[string]int{
		"trafficsplits": 1, "serviceprofiles": 1, "services": 2, "pods": 1, "endpointslices": 1, "endpoints": 1,
	} {
		if kinds[what] != n {
			t.Errorf("%d refs of %s, want %d", kinds[what], what, n)
		}
	}
	if law != 2 {
		t.Errorf("%d objects say the weights, want 2", law)
	}
	before := time.Now()
	if err := world.SetWeights(90, 10); err != nil {
		t.Fatal(err)
	}
	got := both(t, w, "trafficsplits", "serviceprofiles") // the adaptor copies
	e := got["trafficsplits"]
	if e.At.Before(before) || e.At.Sub(e.Since) > time.Second || !e.Ref.Law {
		t.Errorf("event %+v, written at %s", e, before)
	}
	if !strings.Contains(e.String(), "podinfo=90,podinfo-east=10") || !strings.Contains(e.String(), "podinfo=50") {
		t.Errorf("event says %q", e)
	}
	if g := w.Gaps(); len(g) != 0 {
		t.Errorf("gaps %v", g)
	}
	w.Close()
	for range w.Events() {
	}
}

// forwarder stands between client and API server and can be cut, as a restarting API server is.
type forwarder struct {
	address, to string
	mu          sync.Mutex
	listener    net.Listener
	conns       []net.Conn
	wg          sync.WaitGroup
}

func (f *forwarder) up(t *testing.T) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", f.address)
	if err != nil {
		t.Fatal(err)
	}
	f.address, f.listener = l.Addr().String(), l
	f.wg.Add(1)
	go func() {
		defer f.wg.Done()
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", f.to)
			if err != nil {
				in.Close()
				continue
			}
			f.mu.Lock()
			f.conns = append(f.conns, in, out)
			f.mu.Unlock()
			f.wg.Add(2)
			for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
				go func() {
					defer f.wg.Done()
					_, _ = io.Copy(pair[0], pair[1])
					pair[0].Close()
				}()
			}
		}
	}()
}

func (f *forwarder) down() {
	f.listener.Close()
	f.mu.Lock()
	for _, c := range f.conns {
		c.Close()
	}
	f.conns = nil
	f.mu.Unlock()
	f.wg.Wait()
}

// A change that is made while the API server restarts is found afterwards, and said to lie back.
func TestAChangeDuringARestartOfTheAPIServerIsFound(t *testing.T) {
	world, cfg := startDemo(t)
	host, err := url.Parse(cfg.Host)
	if err != nil {
		t.Fatal(err)
	}
	f := &forwarder{address: "127.0.0.1:0", to: host.Host}
	f.up(t)
	t.Cleanup(f.down)
	cfg.Host = "https://" + f.address
	w, _ := watchSplit(t, cfg)
	f.down()
	down := time.Now()
	if err := world.SetWeights(10, 90); err != nil {
		t.Fatal(err)
	}
	f.up(t)
	e := next(t, w, "trafficsplits")
	if !strings.Contains(e.After, "podinfo=10") || !e.Since.Before(down) || e.At.Before(down) {
		t.Errorf("event %s, at %s since %s, the server went down at %s", e, e.At, e.Since, down)
	}
}

// refuseWatches answers 403 to each watch, as an API server does where the role lacks the verb.
type refuseWatches struct{ next http.RoundTripper }

func (r refuseWatches) RoundTrip(q *http.Request) (*http.Response, error) {
	if q.URL.Query().Get("watch") == "" {
		return r.next.RoundTrip(q)
	}
	body := `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"cannot watch"}`
	return &http.Response{
		StatusCode: http.StatusForbidden, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: q,
	}, nil
}

func TestWithoutTheVerbWatchTheObjectsAreRead(t *testing.T) {
	world, cfg := startDemo(t)
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return refuseWatches{next} })
	w, s := watchSplit(t, cfg)
	if len(w.Gaps()) != len(s.Refs()) || !strings.Contains(w.Gaps()[0].Text, "may not be watched") {
		t.Errorf("gaps %v of %d refs", w.Gaps(), len(s.Refs()))
	}
	if err := world.SetWeights(70, 30); err != nil {
		t.Fatal(err)
	}
	if e := next(t, w, "trafficsplits"); !strings.Contains(e.After, "podinfo=70") || !e.Since.Before(e.At) {
		t.Errorf("event %s since %s", e, e.Since)
	}
}

func TestAnObjectOfAnUnknownClusterIsAGap(t *testing.T) {
	w := mesh.Watch(context.Background(), nil, []law.Ref{{Cluster: "south", Resource: "pods", Name: "x"}})
	<-w.Ready()
	w.Close()
	if g := w.Gaps(); len(g) != 1 || !strings.Contains(g[0].Text, "south") {
		t.Errorf("gaps %v", g)
	}
}

// An object of the law that was written anew and says of the weights what it said is no change of them; one that came or went is.
func TestRewritten(t *testing.T) {
	obeyed := law.Ref{Law: true}
	for _, c := range []struct {
		before, after string
		ref           law.Ref
		gone, want    bool
	}{
		{"generation 1 podinfo=50,podinfo-east=50", "generation 2 podinfo=50,podinfo-east=50", obeyed, false, true},
		{"version 81 podinfo=50,podinfo-east=50", "version 97 podinfo=50,podinfo-east=50", obeyed, false, true},
		{"generation 1 podinfo=50,podinfo-east=50", "generation 2 podinfo=90,podinfo-east=10", obeyed, false, false},
		{"generation 1 podinfo=50,podinfo-east=50", "none", obeyed, true, false},
		{"none", "generation 1 podinfo=50,podinfo-east=50", obeyed, false, false},
		{"generation 1 a", "generation 2 a", law.Ref{}, false, false},
	} {
		e := mesh.Event{Ref: c.ref, Gone: c.gone, Change: law.Change{Before: c.before, After: c.after}}
		if e.Rewritten() != c.want {
			t.Errorf("%q -> %q: %v, want %v", c.before, c.after, e.Rewritten(), c.want)
		}
	}
}
