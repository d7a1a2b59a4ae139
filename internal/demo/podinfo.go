package demo

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"
)

// podinfo answers as the podinfo pods of one cluster do, by turns. It is also the answer of each single pod.
type podinfo struct {
	bodies [][]byte // one for each pod, made once
	turn   atomic.Uint64
}

func newPodinfo(s site, pods []string) (*podinfo, error) {
	p := &podinfo{}
	for _, pod := range pods {
		b, err := json.MarshalIndent(struct {
			Hostname     string `json:"hostname"`
			Version      string `json:"version"`
			Revision     string `json:"revision"`
			Color        string `json:"color"`
			Logo         string `json:"logo"`
			Message      string `json:"message"`
			GOOS         string `json:"goos"`
			GOARCH       string `json:"goarch"`
			Runtime      string `json:"runtime"`
			NumGoroutine string `json:"num_goroutine"`
			NumCPU       string `json:"num_cpu"`
		}{
			pod, "6.7.0", "0b1481aa8ed0a6c34af84f779824a74200d5c1d6", s.Color,
			"https://raw.githubusercontent.com/stefanprodan/podinfo/gh-pages/cuddle_clap.gif", "greetings from " + s.Cluster,
			runtime.GOOS, runtime.GOARCH, runtime.Version(), "8", "2",
		}, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("make the answer of pod %s: %w", pod, err)
		}
		p.bodies = append(p.bodies, b)
	}
	if len(p.bodies) == 0 {
		return nil, fmt.Errorf("no podinfo pod in cluster %s", s.Cluster)
	}
	return p, nil
}

// one is the podinfo of a single pod.
func (p *podinfo) one(i int) *podinfo { return &podinfo{bodies: p.bodies[i : i+1]} }

// ServeHTTP answers podinfo's paths that a test of a split asks for.
func (p *podinfo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := []byte(`{"status":"OK"}`)
	switch r.URL.Path {
	case "/", "/api/info":
		turn := p.turn.Add(1) - 1
		body = p.bodies[turn%uint64(len(p.bodies))]
	case "/healthz", "/readyz":
	default:
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}
