package demo

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	quantity "k8s.io/apimachinery/pkg/api/resource"
)

// maxWeight bounds one weight, so that a sum of them cannot overflow.
const maxWeight = 1 << 40

// share is the weight of one backend.
type share struct {
	backend string
	weight  int64
}

// splitter draws the backend of each request: independently, by weight, as a proxy does. One draw takes one number
// from the sequence that the seed fixes, so counts depend on the seed, the weights and the number of requests alone,
// not on who asks when.
type splitter struct {
	mu     sync.Mutex
	draws  *rand.Rand
	jitter *rand.Rand // a sequence of its own, or the gateway's delay would move the draws
	law    law
	forced []share // what proxies do instead, nil: as told
	sent   map[string]int64
}

// law is what the objects say.
type law struct {
	profiled bool    // a profile rules for whoever asks now
	profile  []share // as it said last
	policy   ruling
}

// now is what a proxy obeys that asks now.
func (l law) now() ruling {
	if l.profiled {
		return ruling{rulesOfProfile, l.profile}
	}
	return l.policy
}

// ruling is by whose rules the root is split, and how.
type ruling struct {
	rules  string
	shares []share
}

func newSplitter(seed uint64) *splitter {
	return &splitter{
		draws: rand.New(rand.NewPCG(seed, 1)), jitter: rand.New(rand.NewPCG(seed, 2)),
		sent: map[string]int64{backendWest: 0, backendEast: 0},
	}
}

// draw chooses a backend by the shares and counts it: among those that are not withheld, if there is one. Without a
// positive weight the root's own pods get everything.
func (s *splitter) draw(shares []share, withheld func(string) bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forced != nil {
		shares = s.forced
	}
	kept := slices.DeleteFunc(slices.Clone(shares), func(x share) bool { return withheld(x.backend) })
	if weightOf(kept) > 0 {
		shares = kept
	}
	chosen := backendWest
	if total := weightOf(shares); total > 0 {
		n := s.draws.Int64N(total)
		for _, x := range shares {
			if n < x.weight {
				chosen = x.backend
				break
			}
			n -= x.weight
		}
	}
	s.sent[chosen]++
	return chosen
}

func weightOf(shares []share) (total int64) {
	for _, x := range shares {
		total += x.weight
	}
	return total
}

// local counts a request that went to the root's own pods without a draw.
func (s *splitter) local() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent[backendWest]++
}

// delay is d, give or take a fifth.
func (s *splitter) delay(d time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(float64(d) * (0.8 + 0.4*s.jitter.Float64()))
}

func (s *splitter) declare(change func(*law)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.law)
}

func (s *splitter) declared() law {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.law
}

func (s *splitter) force(shares []share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forced = shares
}

func (s *splitter) counts() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.sent)
}

func checkWeights(west, east int64) error {
	for _, w := range []int64{west, east} {
		if w < 0 || w > maxWeight {
			return fmt.Errorf("weight %d is not within 0 to %d", w, int64(maxWeight))
		}
	}
	if west+east == 0 {
		return errors.New("weights are all 0")
	}
	return nil
}

// milli is a weight as the destination controller counts it: in thousandths, rounded up.
func milli(weight any) (int64, error) {
	q, err := quantity.ParseQuantity(fmt.Sprint(weight))
	if err != nil {
		return 0, fmt.Errorf("weight %q: %w", fmt.Sprint(weight), err)
	}
	m := q.MilliValue()
	if m < 0 || m > maxWeight {
		return 0, fmt.Errorf("weight %q is not within 0 to %d", fmt.Sprint(weight), int64(maxWeight/1000))
	}
	return m, nil
}

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
