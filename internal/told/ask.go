package told

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/linkerd/linkerd2-proxy-api/go/destination"
	pbnet "github.com/linkerd/linkerd2-proxy-api/go/net"
	"github.com/linkerd/linkerd2-proxy-api/go/outbound"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Ports of the pod that Linkerd's control plane answers proxies on (linkerd2 edge-26.8.3, charts/linkerd-control-plane,
// destination.yaml).
const (
	destinationPort = 8086
	policyPort      = 8090
)

// Bounds of asking: a control plane answers proxies within milliseconds, and a policy of 500 routes has some 200 KiB.
const (
	askLimit  = 2 * time.Second
	maxAnswer = 4 << 20
)

// Dial opens a connection to a port of the control plane's pod. The context is of the dialling alone.
type Dial func(ctx context.Context, port int) (net.Conn, error)

// ErrSilent is that no answer came within the time that is waited for one.
var ErrSilent = fmt.Errorf("did not answer within %s", askLimit)

// ControlPlane is a pod of Linkerd's control plane, with a connection to each of its ports that is made when it is
// needed, and again when it was cut.
type ControlPlane struct{ destination, policy server }

// server is one port of the pod.
type server struct {
	name   string
	conn   *grpc.ClientConn
	refuse atomic.Pointer[error] // why the last dial failed, which is worth more than what gRPC makes of it
}

// NewControlPlane prepares a control plane for questions. It dials nothing yet.
func NewControlPlane(dial Dial) (*ControlPlane, error) {
	c := &ControlPlane{destination: server{name: "destination controller"}, policy: server{name: "policy controller"}}
	return c, errors.Join(c.destination.at(dial, destinationPort), c.policy.at(dial, policyPort))
}

func (s *server) at(dial Dial, port int) (err error) {
	s.conn, err = grpc.NewClient("passthrough:///pod", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)), grpc.WithNoProxy(),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			conn, err := dial(ctx, port)
			s.refuse.Store(&err)
			return conn, err
		}))
	return err
}

// Close closes the connections.
func (c *ControlPlane) Close() error {
	return errors.Join(c.destination.conn.Close(), c.policy.conn.Close())
}

// Ask asks what the client's proxy is told, and translates it. It takes two seconds at most. Errors: those of the
// dialling, ErrSilent, and one sentence where nothing is told or no law can be made of it.
func (c *ControlPlane) Ask(ctx context.Context, q law.Question) (law.Law, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	var answer Linkerd
	profiled := make(chan error, 1)
	go func() {
		var err error
		answer.Profile, err = askProfile(ctx, c.destination.conn, q)
		profiled <- c.destination.said(err)
	}()
	var err error
	answer.Policy, err = askPolicy(ctx, c.policy.conn, q)
	if err := errors.Join(c.policy.said(err), <-profiled); err != nil {
		return law.Law{}, err
	}
	return answer.Law(q)
}

// askProfile asks as the proxy does, by the address that is dialled.
func askProfile(
	ctx context.Context, c *grpc.ClientConn, q law.Question,
) (*destination.DestinationProfile, error) {
	token, err := json.Marshal(map[string]string{
		"ns": q.Client.Namespace, "nodeName": q.Client.Node, "pod": q.Client.Name,
	})
	if err != nil {
		return nil, err
	}
	stream, err := destination.NewDestinationClient(c).GetProfile(ctx, &destination.GetDestination{
		Path: authority(q), ContextToken: string(token),
	})
	if err != nil {
		return nil, err
	}
	return stream.Recv()
}

func askPolicy(ctx context.Context, c *grpc.ClientConn, q law.Question) (*outbound.OutboundPolicy, error) {
	workload, err := json.Marshal(map[string]string{"ns": q.Client.Namespace, "pod": q.Client.Name})
	if err != nil {
		return nil, err
	}
	spec := &outbound.TrafficSpec{SourceWorkload: string(workload)}
	if ip, err := netip.ParseAddr(q.Root.ClusterIP); err == nil {
		spec.Target = &outbound.TrafficSpec_Addr{Addr: &pbnet.TcpAddress{Ip: address(ip), Port: uint32(q.Port)}}
	} else {
		spec.Target = &outbound.TrafficSpec_Authority{Authority: authority(q)}
	}
	return outbound.NewOutboundPoliciesClient(c).Get(ctx, spec)
}

// authority is what the client dials: the address of the Service, or its name where it has none.
func authority(q law.Question) string {
	host := q.Root.ClusterIP
	if _, err := netip.ParseAddr(host); err != nil {
		host = q.Root.Name + "." + q.Root.Namespace + ".svc.cluster.local"
	}
	return net.JoinHostPort(host, strconv.Itoa(int(q.Port)))
}

// address is an IP as the API has it: an IPv6 one in two halves.
func address(ip netip.Addr) *pbnet.IPAddress {
	if b := ip.As16(); ip.Is6() && !ip.Is4In6() {
		half := func(b []byte) (n uint64) {
			for _, x := range b {
				n = n<<8 | uint64(x)
			}
			return n
		}
		return &pbnet.IPAddress{Ip: &pbnet.IPAddress_Ipv6{Ipv6: &pbnet.IPv6{First: half(b[:8]), Last: half(b[8:])}}}
	}
	var n uint32
	for _, x := range ip.Unmap().As4() {
		n = n<<8 | uint32(x)
	}
	return &pbnet.IPAddress{Ip: &pbnet.IPAddress_Ipv4{Ipv4: n}}
}

// said makes a sentence of how a server refused; nil where it did not.
func (s *server) said(err error) error {
	is := status.Convert(err)
	refused := s.refuse.Load()
	switch {
	case err == nil:
		return nil
	case is.Code() == codes.DeadlineExceeded:
		return fmt.Errorf("the %s %w", s.name, ErrSilent)
	case is.Code() == codes.Canceled:
		return context.Canceled
	case is.Code() == codes.Unavailable && refused != nil && *refused != nil:
		return *refused
	}
	return fmt.Errorf("the %s told nothing: %s: %s", s.name, is.Code(), untrusted.Short(is.Message(), 200))
}
