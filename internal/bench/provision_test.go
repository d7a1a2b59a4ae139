package bench

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/podexec"
)

// An ephemeral container is reached by the protocol that the user asked for, by every kind of run: a proxy on the way
// that knows only SPDY must not see a WebSocket.
func TestEphemeralContainersKeepTheProtocol(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 61})
	for name, start := range map[string]func(Config) error{
		"run": func(c Config) error { _, err := Run(t.Context(), c); return err },
		"drill": func(c Config) error {
			_, err := Drill(t.Context(), DrillConfig{Config: c})
			return err
		},
		"latency": func(c Config) error {
			cfg := compareTargets(t, w)
			cfg.REST, cfg.Via, cfg.Image, cfg.Protocol = c.REST, c.Via, c.Image, c.Protocol
			_, err := Latency(t.Context(), cfg)
			return err
		},
		"watch": func(c Config) error {
			_, err := Watch(t.Context(), WatchConfig{Config: c})
			return err
		},
		"check --probe": func(c Config) error {
			snap, err := mesh.Discover(t.Context(), c.Local, c.Remotes, c.Query)
			if err == nil {
				ProbePod(t.Context(), c, preflight.View{Snapshot: snap})
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startRefusing(t)
			cfg := connect(t, w, 100)
			cfg.REST, cfg.Via, cfg.Image, cfg.Protocol = &rest.Config{Host: server.URL}, ViaEphemeral, "busybox", podexec.SPDY
			if err := start(cfg); err != nil {
				t.Fatal(err)
			}
			if got := slices.Compact(server.seen()); !slices.Equal(got, []string{"SPDY/3.1"}) {
				t.Errorf("commands in the ephemeral container came by %q, want SPDY/3.1 only", got)
			}
		})
	}
}

// refusingServer is an API server that starts every ephemeral container and refuses every command in one.
type refusingServer struct {
	*httptest.Server

	mu       sync.Mutex
	added    corev1.Pod // its ephemeral containers
	upgrades []string   // that commands in them asked for
}

func startRefusing(t *testing.T) *refusingServer {
	t.Helper()
	s := &refusingServer{}
	mux := http.NewServeMux()
	const pod = "/api/v1/namespaces/test/pods/{pod}"
	mux.HandleFunc("PATCH "+pod+"/ephemeralcontainers", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if err := json.NewDecoder(r.Body).Decode(&s.added); err != nil {
			t.Error(err)
		}
		s.writePod(w)
	})
	mux.HandleFunc("GET "+pod, func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.writePod(w)
	})
	mux.HandleFunc(pod+"/exec", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.upgrades = append(s.upgrades, r.Header.Get("Upgrade"))
		http.Error(w, "no", http.StatusForbidden)
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// writePod writes the pod, in which all that was added runs.
func (s *refusingServer) writePod(w http.ResponseWriter) {
	p := corev1.Pod{}
	p.Kind, p.APIVersion = "Pod", "v1"
	for _, c := range s.added.Spec.EphemeralContainers {
		p.Status.EphemeralContainerStatuses = append(p.Status.EphemeralContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		})
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(p)
}

func (s *refusingServer) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.upgrades)
}
