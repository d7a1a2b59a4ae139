package bench

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/report"
)

// starting answers as an API server does that has just started: groups of custom resources are not there yet.
type starting struct {
	next http.RoundTripper
	on   *atomic.Bool
}

func custom(group string) bool {
	return slices.Contains([]string{"split.smi-spec.io", "linkerd.io"}, group)
}

func (s starting) RoundTrip(r *http.Request) (*http.Response, error) {
	if !s.on.Load() {
		return s.next.RoundTrip(r)
	}
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(path) > 1 && path[0] == "apis" && custom(path[1]) {
		return &http.Response{
			StatusCode: http.StatusNotFound, Status: "404 Not Found", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
			Header: http.Header{"Content-Type": {"text/plain"}}, Body: io.NopCloser(strings.NewReader("404 page not found\n")),
		}, nil
	}
	res, err := s.next.RoundTrip(r)
	if err != nil || len(path) != 1 || path[0] != "apis" {
		return res, err
	}
	b, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil {
		return nil, err
	}
	var list map[string]any
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, err
	}
	for _, key := range []string{"groups", "items"} {
		if groups, ok := list[key].([]any); ok {
			list[key] = slices.DeleteFunc(groups, func(g any) bool {
				group, _ := g.(map[string]any)
				name, _ := group["name"].(string)
				if meta, ok := group["metadata"].(map[string]any); ok {
					name, _ = meta["name"].(string)
				}
				return custom(name)
			})
		}
	}
	if b, err = json.Marshal(list); err != nil {
		return nil, err
	}
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	res.Header.Del("Content-Length")
	return res, nil
}

// An API server that has just started serves no custom resources for some seconds. The split is not gone then, and the
// watch goes on.
func TestWatchOutlivesAnAPIServerThatStarts(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 46})
	cfg := watchOf(t, w)
	cfg.For = 12 * time.Second
	neverFails(t, &cfg)
	f := openFront(t, strings.TrimPrefix(cfg.REST.Host, "https://"))
	var young atomic.Bool
	cfg.REST = rest.CopyConfig(cfg.REST)
	cfg.REST.Host = "https://" + f.addr
	reading := rest.CopyConfig(cfg.REST)
	reading.WrapTransport = func(next http.RoundTripper) http.RoundTripper { return starting{next, &young} }
	var err error
	if cfg.Local, err = mesh.Connect(reading, "west"); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	atLook(&cfg, 3, func(WatchState) {
		young.Store(true)
		f.shut()
		go func() {
			defer close(done)
			f.open()
			time.Sleep(3 * time.Second) // how long a server takes to serve all it has is what is tested
			young.Store(false)
		}()
	})
	r, err := Watch(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	<-done
	if r.Verdict.Outcome != report.Pass && r.Verdict.Outcome != report.Inconclusive || r.Watch.GapCount != 1 ||
		r.Watch.Looks < 6 {
		t.Fatalf("%s %q: %+v", r.Verdict.Outcome, r.Verdict.Reasons, r.Watch)
	}
}
