package bench

import (
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/report"
)

// forgetful is a connection tracker on the way to an API server: what passed through it before forget is swallowed from
// then on, and nobody is told.
type forgetful struct {
	to    string
	epoch atomic.Int64
	conns sync.WaitGroup
}

func (f *forgetful) forget() { f.epoch.Add(1) }

// listen returns the address that stands for the server's.
func (f *forgetful) listen(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	mustDo(t, err)
	over := make(chan struct{})
	t.Cleanup(func() {
		l.Close()
		close(over)
		f.conns.Wait()
	})
	f.conns.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", f.to)
			if err != nil {
				near.Close()
				continue
			}
			f.conns.Go(func() {
				<-over
				near.Close()
				far.Close()
			})
			born := f.epoch.Load()
			for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
				f.conns.Go(func() { f.carry(born, way[0], way[1]) })
			}
		}
	})
	return "https://" + l.Addr().String()
}

func (f *forgetful) carry(born int64, from, to net.Conn) {
	defer to.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if f.epoch.Load() == born {
			if _, writeErr := to.Write(b[:n]); writeErr != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// When the burst is over and every connection to the API server has been forgotten on the way, the split is read again
// over a new one: gravitational/teleport issue 56344.
func TestAForgottenConnectionThrowsNoBurstAway(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 9})
	cfg := connect(t, w, 300)
	way := &forgetful{to: strings.TrimPrefix(cfg.REST.Host, "https://")}
	cfg.REST = rest.CopyConfig(cfg.REST)
	cfg.REST.Host = way.listen(t)
	var err error
	cfg.Local, err = mesh.Connect(cfg.REST, "west")
	mustDo(t, err)
	var began time.Time
	cfg.Progress = func(p Progress) {
		if p.Phase == "judge" {
			began = time.Now()
			way.forget()
		}
	}
	r, err := Run(t.Context(), cfg)
	mustDo(t, err)
	if r.Verdict.Outcome == report.Invalid || r.Load == nil || r.Load.Requests != 300 || !r.Split.Unchanged {
		t.Errorf("%s %q after %s", r.Verdict.Outcome, r.Verdict.Reasons, time.Since(began))
	}
}
