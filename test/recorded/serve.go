package recorded

import (
	"context"
	"net"
	"sync"

	"github.com/linkerd/linkerd2-proxy-api/go/destination"
	"github.com/linkerd/linkerd2-proxy-api/go/outbound"
	"google.golang.org/grpc"
)

// ControlPlane answers as Linkerd's does, by the generated API, with what it is given.
type ControlPlane struct {
	mu      sync.Mutex
	profile *destination.DestinationProfile
	policy  *outbound.OutboundPolicy
	asked   []any
}

// Tell sets what it answers from now on. nil: it is silent.
func (c *ControlPlane) Tell(profile *destination.DestinationProfile, policy *outbound.OutboundPolicy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.profile, c.policy = profile, policy
}

// Asked are the questions so far: *outbound.TrafficSpec and *destination.GetDestination.
func (c *ControlPlane) Asked() []any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]any(nil), c.asked...)
}

// Serve answers on both listeners until they are closed, and gives what stops it.
func (c *ControlPlane) Serve(listeners ...net.Listener) (stop func()) {
	s := grpc.NewServer()
	outbound.RegisterOutboundPoliciesServer(s, policies{ControlPlane: c})
	destination.RegisterDestinationServer(s, profiles{ControlPlane: c})
	var serving sync.WaitGroup
	for _, l := range listeners {
		serving.Go(func() { _ = s.Serve(l) })
	}
	return func() {
		s.Stop()
		serving.Wait()
	}
}

func (c *ControlPlane) take(question any) (*destination.DestinationProfile, *outbound.OutboundPolicy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, question)
	return c.profile, c.policy
}

type policies struct {
	outbound.UnimplementedOutboundPoliciesServer
	*ControlPlane
}

// Get is OutboundPolicies.Get.
func (c policies) Get(ctx context.Context, q *outbound.TrafficSpec) (*outbound.OutboundPolicy, error) {
	if _, policy := c.take(q); policy != nil {
		return policy, nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

type profiles struct {
	destination.UnimplementedDestinationServer
	*ControlPlane
}

// GetProfile is Destination.GetProfile: the profile, and then the stream stays open for changes.
func (c profiles) GetProfile(q *destination.GetDestination,
	s grpc.ServerStreamingServer[destination.DestinationProfile],
) error {
	if profile, _ := c.take(q); profile != nil {
		if err := s.Send(profile); err != nil {
			return err
		}
	}
	<-s.Context().Done()
	return s.Context().Err()
}

// ServeHere answers on two ports of this machine in place of those of a pod. dial leads to the one that stands for a
// port of the pod.
func (c *ControlPlane) ServeHere(
	ctx context.Context,
) (dial func(context.Context, int) (net.Conn, error), stop func(), err error) {
	at := map[int]net.Listener{}
	for _, port := range []int{8086, 8090} {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, nil, err
		}
		at[port] = l
	}
	stop = c.Serve(at[8086], at[8090])
	return func(ctx context.Context, port int) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", at[port].Addr().String())
	}, stop, nil
}
