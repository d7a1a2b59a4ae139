// Command controlplane answers as Linkerd's control plane does, on its ports, that Service test/podinfo is split by the
// two weights of its command line. It runs in a pod of the clusters that tests use.
package main

import (
	"context"
	"log"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/splitbench/splitbench/test/recorded"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

// serve answers until the pod is ended.
func serve(ctx context.Context, weights []string) error {
	overrides := map[string]uint32{}
	for i, service := range []string{"podinfo", "podinfo-east"} {
		n, err := strconv.ParseUint(weights[i], 10, 16)
		if err != nil {
			return err
		}
		overrides[service] = uint32(n) * 10_000
	}
	var listeners []net.Listener
	for _, address := range []string{":8086", ":8090"} {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err != nil {
			return err
		}
		listeners = append(listeners, l)
	}
	c := &recorded.ControlPlane{}
	c.Tell(recorded.Overridden("test", "podinfo", 9898, overrides))
	c.Serve(listeners...)
	<-ctx.Done()
	return nil
}
