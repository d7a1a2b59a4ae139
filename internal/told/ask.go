package told

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
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

// Dial opens a connection to a port of the control plane's pod. It lives as long as the context.
type Dial func(ctx context.Context, port int) (net.Conn, error)

// Ask asks a pod of Linkerd's control plane what it tells the client's proxy, and translates it. It takes two seconds
// at most. Errors: those of dial, and one sentence where nothing is told or no law can be made of it.
func Ask(ctx context.Context, dial Dial, q law.Question) (law.Law, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	var answer Linkerd
	profiled := make(chan error, 1)
	go func() { profiled <- at(ctx, dial, destinationPort, answer.askProfile(q)) }()
	err := errors.Join(at(ctx, dial, policyPort, answer.askPolicy(q)), <-profiled)
	if err != nil {
		return law.Law{}, err
	}
	return answer.Law(q)
}

// at calls a server of the pod over a connection of its own, which is made first: its errors are worth more than what
// gRPC makes of them.
func at(ctx context.Context, dial Dial, port int, call func(context.Context, *grpc.ClientConn) error) error {
	conn, err := dial(ctx, port)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("no connection to port %d of the control plane within %s", port, askLimit)
	case err != nil:
		return err
	}
	defer conn.Close()
	once := make(chan net.Conn, 1)
	once <- conn
	client, err := grpc.NewClient("passthrough:///pod", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)), grpc.WithNoProxy(),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			select {
			case c := <-once:
				return c, nil
			default:
				return nil, errors.New("the port-forward was cut")
			}
		}))
	if err != nil {
		return err
	}
	return errors.Join(call(ctx, client), client.Close())
}

// askProfile asks as the proxy does, by the address that is dialled.
func (l *Linkerd) askProfile(q law.Question) func(context.Context, *grpc.ClientConn) error {
	return func(ctx context.Context, c *grpc.ClientConn) error {
		token, err := json.Marshal(map[string]string{
			"ns": q.Client.Namespace, "nodeName": q.Client.Node, "pod": q.Client.Name,
		})
		if err != nil {
			return err
		}
		stream, err := destination.NewDestinationClient(c).GetProfile(ctx, &destination.GetDestination{
			Path: authority(q), ContextToken: string(token),
		})
		if err == nil {
			l.Profile, err = stream.Recv()
		}
		return said("destination controller", err)
	}
}

func (l *Linkerd) askPolicy(q law.Question) func(context.Context, *grpc.ClientConn) error {
	return func(ctx context.Context, c *grpc.ClientConn) error {
		workload, err := json.Marshal(map[string]string{"ns": q.Client.Namespace, "pod": q.Client.Name})
		if err != nil {
			return err
		}
		spec := &outbound.TrafficSpec{SourceWorkload: string(workload)}
		if ip, err := netip.ParseAddr(q.Root.ClusterIP); err == nil {
			spec.Target = &outbound.TrafficSpec_Addr{Addr: &pbnet.TcpAddress{Ip: address(ip), Port: uint32(q.Port)}}
		} else {
			spec.Target = &outbound.TrafficSpec_Authority{Authority: authority(q)}
		}
		l.Policy, err = outbound.NewOutboundPoliciesClient(c).Get(ctx, spec)
		return said("policy controller", err)
	}
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
func said(who string, err error) error {
	s := status.Convert(err)
	switch {
	case err == nil:
		return nil
	case s.Code() == codes.DeadlineExceeded:
		return fmt.Errorf("the %s did not answer within %s", who, askLimit)
	case s.Code() == codes.Canceled:
		return context.Canceled
	}
	return fmt.Errorf("the %s told nothing: %s: %s", who, s.Code(), untrusted.Short(s.Message(), 200))
}
