package demo

import (
	"encoding/binary"
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
	infos  [][]byte // the same as answers of its gRPC service info.InfoService
	turn   atomic.Uint64
}

// runtimeInfo is what podinfo says of itself, in this order over HTTP and over gRPC.
type runtimeInfo struct {
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
}

// message is the protobuf encoding: fields 1 to 11 are texts (podinfo 6.7.0, pkg/api/grpc/info/info.proto).
func (i runtimeInfo) message() []byte {
	var b []byte
	for n, text := range []string{
		i.Hostname, i.Version, i.Revision, i.Color, i.Logo, i.Message, i.GOOS, i.GOARCH, i.Runtime, i.NumGoroutine, i.NumCPU,
	} {
		b = binary.AppendUvarint(b, uint64(n+1)<<3|2)
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	return b
}

func newPodinfo(s site, pods []string) (*podinfo, error) {
	p := &podinfo{}
	for _, pod := range pods {
		info := runtimeInfo{
			pod, "6.7.0", "0b1481aa8ed0a6c34af84f779824a74200d5c1d6", s.Color,
			"https://raw.githubusercontent.com/stefanprodan/podinfo/gh-pages/cuddle_clap.gif", "greetings from " + s.Cluster,
			runtime.GOOS, runtime.GOARCH, runtime.Version(), "8", "2",
		}
		b, err := json.MarshalIndent(info, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("make the answer of pod %s: %w", pod, err)
		}
		p.bodies, p.infos = append(p.bodies, b), append(p.infos, info.message())
	}
	if len(p.bodies) == 0 {
		return nil, fmt.Errorf("no podinfo pod in cluster %s", s.Cluster)
	}
	return p, nil
}

// one is the podinfo of a single pod.
func (p *podinfo) one(i int) *podinfo {
	return &podinfo{bodies: p.bodies[i : i+1], infos: p.infos[i : i+1]}
}

// next is what the pod whose turn it is says.
func (p *podinfo) next(said [][]byte) []byte { return said[(p.turn.Add(1)-1)%uint64(len(said))] }

// ServeHTTP answers podinfo's paths that a test of a split asks for, and calls where HTTP/2 is spoken.
func (p *podinfo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 2 {
		p.call(w, r)
		return
	}
	body := []byte(`{"status":"OK"}`)
	switch r.URL.Path {
	case "/", "/api/info":
		body = p.next(p.bodies)
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

// call answers unary gRPC calls: the health check, and podinfo's info service. A message follows its length, and the
// status comes last (github.com/grpc/grpc doc/PROTOCOL-HTTP2.md).
func (p *podinfo) call(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/grpc")
	var message []byte
	switch r.URL.Path {
	case "/grpc.health.v1.Health/Check":
		message = []byte("\x08\x01") // status: SERVING
	case "/info.InfoService/Info":
		message = p.next(p.infos)
	default:
		w.Header().Set("Grpc-Status", "12") // unimplemented
		return
	}
	_, _ = w.Write(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...))
	w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
}
