// Command controlplane answers as Linkerd's control plane does, on its ports, that Service test/podinfo is split by the
// two weights of its command line. It runs in a pod of the clusters that tests use.
package main

import (
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/splitbench/splitbench/test/recorded"
)

func main() {
	if err := serve(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(weights []string) error {
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
		l, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		listeners = append(listeners, l)
	}
	c := &recorded.ControlPlane{}
	c.Tell(recorded.Overridden("test", "podinfo", 9898, overrides))
	c.Serve(listeners...)
	select {}
}
