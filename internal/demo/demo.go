// Package demo runs the two clusters of the multicluster walkthrough inside this process, so that the whole story can
// be shown and tested on a machine that has nothing but Go.
//
// What is real: TLS, tokens, discovery, objects, watches and the exec protocols (WebSocket v5 translated as the API
// server does it, SPDY and older WebSockets by the code that kubelets run), and every request that the agent sends:
// HTTP/1.1 over loopback TCP to the listener of its destination. What is not: the hops behind that listener. Choosing
// a backend, crossing the gateway and answering as podinfo are function calls, so that a thousand requests a second
// cost little; the gateway is a delay. No container runs: exec starts splitbench's own agent as a goroutine and
// refuses everything else as a runtime refuses a file that is not there. Objects may be written as in any cluster, and
// what they want is there at once: no pod waits for its image, and no rollout for its pods. Proxies do as Linkerd's: a
// backend without endpoints gives 504 for three seconds, then the others get its weight; and a split that comes or goes
// takes effect when its client was silent for five.
//
// The package does not import its judges: it knows nothing of snapshots, checks or statistics, and what it serves is
// written in fixtures. The invariant is that one seed and one number of requests give one count for each backend.
package demo

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/splitbench/splitbench/internal/agent"
)

// agentPath is where the pods of the demo say that the agent is installed.
const agentPath = "/usr/local/bin/splitbench-agent"

// Names of the walkthrough's backends, which are keys of TrueWeights and of Draws.
const (
	backendWest = "podinfo"
	backendEast = "podinfo-east"
)

// defaultGatewayDelay is what the gateway adds to each request where Options do not say.
const defaultGatewayDelay = 5 * time.Millisecond

// Options say what the clusters are like. The zero value is the healthy walkthrough with seed 0.
type Options struct {
	// Seed fixes the sequence of draws and of the gateway's jitter.
	Seed uint64
	// TrueWeights, when set, are what the data plane obeys in place of the split: keys podinfo and podinfo-east.
	TrueWeights map[string]int64
	// OffMesh leaves linkerd-proxy out of the frontend pod: podinfo is all local, podinfo-east gives an empty reply.
	OffMesh bool
	// GatewayDown took east's gateway away long ago: it has no ready endpoint, and proxies send it nothing any more.
	GatewayDown bool
	// Route has an HTTPRoute say the weights, in place of the TrafficSplit and its ServiceProfile.
	Route bool
	// StalePath makes the frontend's proxy obey nothing: it still uses the routes that it cached before the split existed.
	StalePath bool
	// OldProxy makes the frontend's proxy one without counters of its queues, as before 2.15; NoCounters one without any
	// page.
	OldProxy, NoCounters bool
	// Forward names what really listens in place of the data plane: host:port as the frontend pod dials it, to an address.
	// Ports of 127.0.0.1 are those of port-forwards too.
	Forward map[string]string
	// GatewayDelay is added to each request that crosses the gateway, give or take a fifth; 0 means 5 ms.
	GatewayDelay time.Duration
	// Frontends is how many pods the frontend Deployment has; 0: one.
	Frontends int
	// ControlPlane, where it is set, has west have a pod of Linkerd's control plane, and dials its ports.
	ControlPlane func(ctx context.Context, port int) (net.Conn, error)
	// Agent, where it is set, changes what the agents are told of their surroundings, for tests of very many.
	Agent func(*agent.ServeOptions)
	// Mend, where it is set, is what happens to the streams of an agent's session on their way, for tests of streams that
	// break. It is called once for each.
	Mend func(pod string, in io.Reader, out io.Writer) (io.Reader, io.Writer)
}

// Clusters are the running clusters, west and east. Close ends them.
type Clusters struct {
	options    Options
	life       *lifetime
	west, east *cluster
	plane      *dataPlane
	adapting   bool // the SMI adaptor runs
	kubeconfig []byte
}

// Start starts both clusters on loopback ports of the system's choosing. When ctx ends, what is in progress is cut; the
// listeners stay until Close. Errors: options that make no sense, no loopback listener to be had, a broken fixture.
func Start(ctx context.Context, o Options) (*Clusters, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("start demo: %w", err)
	}
	c := &Clusters{options: o, life: newLifetime(ctx)}
	if err := c.start(); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("start demo: %w", err)
	}
	return c, nil
}

// controlPlanePod is the pod of the control plane, where there is one.
const controlPlanePod = "linkerd-destination-1"

// maxFrontends is as many as may send at once.
const maxFrontends = 500

func (o *Options) complete() error {
	if o.GatewayDelay < 0 {
		return fmt.Errorf("gateway delay %v is negative", o.GatewayDelay)
	}
	o.GatewayDelay = cmp.Or(o.GatewayDelay, defaultGatewayDelay)
	if o.Frontends < 0 || o.Frontends > maxFrontends {
		return fmt.Errorf("%d frontends: want 1 to %d", o.Frontends, maxFrontends)
	}
	o.Frontends = max(o.Frontends, 1)
	for name := range o.TrueWeights {
		if name != backendWest && name != backendEast {
			return fmt.Errorf("true weights: no backend %q, want %s or %s", name, backendWest, backendEast)
		}
	}
	if o.TrueWeights == nil {
		return nil
	}
	return checkWeights(o.TrueWeights[backendWest], o.TrueWeights[backendEast])
}

func (c *Clusters) start() error {
	now := time.Now()
	writing := new(sync.Mutex)
	west, err := loadCluster(westSite(), c.options, now, writing)
	if err != nil {
		return err
	}
	east, err := loadCluster(eastSite(), c.options, now, writing)
	if err != nil {
		return err
	}
	c.west, c.east = west, east
	c.plane = newDataPlane(c.options, west, east)
	if err := c.plane.start(c.life); err != nil {
		return err
	}
	west.runner = &agentRunner{dialer: c.dialer, main: agent.Main, mend: c.options.Mend, told: c.options.Agent}
	east.runner = &agentRunner{dialer: c.dialer, main: agent.Main, mend: c.options.Mend, told: c.options.Agent}
	west.controlPlane, west.forward = c.options.ControlPlane, c.options.Forward
	west.changed, east.changed = c.follow, c.follow
	c.adapting = c.runs(adaptorKey())
	c.obey()
	if c.options.GatewayDown {
		c.ShutGate(false) // it stays shut for as long as there is no endpoint
	}
	config, ca, err := newCertificate(now)
	if err != nil {
		return err
	}
	for _, cl := range []*cluster{west, east} {
		if err := cl.listen(c.life, config); err != nil {
			return err
		}
	}
	c.kubeconfig, err = kubeconfig(ca, west, east)
	return err
}

// dialer gives the network as a process in the container's pod sees it.
func (c *Clusters) dialer(v vantage) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return c.plane.dial(ctx, v, network, address)
	}
}

// Kubeconfig is a kubeconfig file with the contexts west, which is current, and east.
func (c *Clusters) Kubeconfig() []byte { return bytes.Clone(c.kubeconfig) }

// Draws tells how many requests for the root Service went to each backend: the truth that a report can be held
// against. Requests to a backend's own Service are no draws.
func (c *Clusters) Draws() map[string]int64 { return c.plane.split.counts() }

// Simulated says in one sentence what is not real here.
func (c *Clusters) Simulated() string {
	s := "in this process: two Kubernetes API servers with the objects of Linkerd's multicluster walkthrough, " +
		"podinfo in both, and a mesh that draws a backend at random for each request and counts its draws"
	switch {
	case c.options.OffMesh:
		s += ", which the frontend pod is not part of"
	case c.options.GatewayDown:
		s += ", with east's gateway down"
	case c.options.TrueWeights != nil:
		s += fmt.Sprintf(", by the weights %s=%d,%s=%d whatever the split says",
			backendWest, c.options.TrueWeights[backendWest], backendEast, c.options.TrueWeights[backendEast])
	}
	return s + "; real are TLS, exec and every HTTP request over loopback."
}

// Close ends every server, connection and agent that was started, and waits for them. It may be called again.
func (c *Clusters) Close() error {
	c.life.close()
	return nil
}

// agentRunner starts the agent as a goroutine of the exec request that asked for it.
type agentRunner struct {
	dialer func(vantage) func(ctx context.Context, network, address string) (net.Conn, error)
	main   func(ctx context.Context, args []string, in io.Reader, out, err io.Writer, o agent.ServeOptions) int
	mend   func(pod string, in io.Reader, out io.Writer) (io.Reader, io.Writer) // nil: nothing
	told   func(*agent.ServeOptions)                                            // nil: nothing more
}
