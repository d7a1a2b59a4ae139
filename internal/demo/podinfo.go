package demo

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"
)

// podinfo answers as the ready podinfo pods of one cluster do, by turns.
type podinfo struct {
	site    site
	turn    atomic.Uint64
	answers atomic.Pointer[[]podAnswer]
}

// podAnswer is what one pod says of itself.
type podAnswer struct{ pod, body, message string }

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

func newPodinfo(s site) *podinfo {
	p := &podinfo{site: s}
	p.pods(nil)
	return p
}

// pods says which pods answer from now on.
func (p *podinfo) pods(names []string) {
	answers := make([]podAnswer, len(names))
	for i, name := range names {
		info := runtimeInfo{
			name, "6.7.0", "0b1481aa8ed0a6c34af84f779824a74200d5c1d6", p.site.Color,
			"https://raw.githubusercontent.com/stefanprodan/podinfo/gh-pages/cuddle_clap.gif",
			"greetings from " + p.site.Cluster, runtime.GOOS, runtime.GOARCH, runtime.Version(), "8", "2",
		}
		b, _ := json.MarshalIndent(info, "", "  ") // texts alone
		answers[i] = podAnswer{name, string(b), string(info.message())}
	}
	p.answers.Store(&answers)
}

func (p *podinfo) said() []podAnswer { return *p.answers.Load() }

// next is the answer of the pod whose turn it is; false where no pod is ready.
func (p *podinfo) next() (podAnswer, bool) {
	said := p.said()
	if len(said) == 0 {
		return podAnswer{}, false
	}
	return said[(p.turn.Add(1)-1)%uint64(len(said))], true
}

// ServeHTTP answers podinfo's paths that a test of a split asks for, and calls where HTTP/2 is spoken.
func (p *podinfo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, ok := p.next()
	if !ok {
		refuse(w, http.StatusServiceUnavailable, "service unavailable")
		return
	}
	if r.ProtoMajor == 2 {
		p.call(w, r, answer)
		return
	}
	body := `{"status":"OK"}`
	switch r.URL.Path {
	case "/", "/api/info":
		body = answer.body
	case "/healthz", "/readyz":
	default:
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = io.WriteString(w, body)
}

// call answers unary gRPC calls: the health check, and podinfo's info service. A message follows its length, and the
// status comes last (github.com/grpc/grpc doc/PROTOCOL-HTTP2.md).
func (p *podinfo) call(w http.ResponseWriter, r *http.Request, answer podAnswer) {
	w.Header().Set("Content-Type", "application/grpc")
	var message string
	switch r.URL.Path {
	case "/grpc.health.v1.Health/Check":
		message = "\x08\x01" // status: SERVING
	case "/info.InfoService/Info":
		message = answer.message
	default:
		w.Header().Set("Grpc-Status", "12") // unimplemented
		return
	}
	_, _ = w.Write(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...))
	w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
}
