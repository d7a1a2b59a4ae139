package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/witness"
	"github.com/splitbench/splitbench/podexec"
)

// podFlags choose how many pods send, and how to get the load generator into them.
type podFlags struct{}

func (podFlags) register(flags *pflag.FlagSet, cfg *bench.Config) {
	read(flags, "pods", "1",
		fmt.Sprintf("how many pods of --from or -l send at once: a number up to %d, or all that are ready", law.MaxPods),
		into(&cfg.Query.Pods, parsePods))
	flags.BoolVar(&cfg.Resume, "resume", false,
		"resume a run whose stream broke, as a further segment; what may have been sent is not sent again")
	choose(flags, "via", string(bench.ViaAuto),
		"how to get the load generator into the pod: "+enumerate(bench.Vias(), " or "),
		&cfg.Via, bench.Vias()...)
	flags.StringVar(&cfg.Image, "ephemeral-image", "",
		"image with a shell for --via ephemeral, which adds a container to the pod that stays in its spec")
}

func (podFlags) complete(cfg *bench.Config) error {
	switch {
	case cfg.Via == bench.ViaEphemeral && cfg.Image == "":
		return fmt.Errorf("--via ephemeral: name an image that has a shell with --ephemeral-image, such as busybox:1.36")
	case cfg.Via != bench.ViaEphemeral && cfg.Image != "":
		return fmt.Errorf("--ephemeral-image: goes with --via ephemeral only")
	}
	return nil
}

// parsePods reads a number of pods. One is 0: a run of one pod is not a run of several.
func parsePods(s string) (int, error) {
	n, err := strconv.Atoi(s)
	switch {
	case s == "all":
		return mesh.AllPods, nil
	case err != nil || n < 1 || n > law.MaxPods:
		return 0, fmt.Errorf("want 1 to %d, or all", law.MaxPods)
	case n == 1:
		return 0, nil
	}
	return n, nil
}

func parseCountBy(s string) (string, error) {
	switch s {
	case "answers":
		return "", nil
	case record.CountedByProxy:
		return s, nil
	}
	return "", fmt.Errorf("want answers or %s", record.CountedByProxy)
}

// execFlag is the flag of the protocol that runs programs in containers.
func execFlag(flags *pflag.FlagSet, cfg *bench.Config) {
	choose(flags, "exec-protocol", string(podexec.Auto), "auto, websocket or spdy",
		&cfg.Protocol, podexec.Auto, podexec.WebSocket, podexec.SPDY)
}

// witnessFlags choose the proxy whose counters are compared with the answers, or stand in for them.
func witnessFlags(flags *pflag.FlagSet, cfg *bench.Config) {
	read(flags, "witness", witness.Auto,
		"counters of the client's proxy: auto, linkerd, envoy, off, or their http address in the pod",
		into(&cfg.Witness, func(s string) (string, error) { return s, witness.CheckWord(s) }))
	offer(flags, "witness", witness.Auto, "linkerd", "envoy", "off")
	read(flags, "count-by", "answers", "what says which backend a request went to: answers, or the client's proxy by its "+
		"counters, where answers name nobody", into(&cfg.CountBy, parseCountBy))
	offer(flags, "count-by", "answers", record.CountedByProxy)
}
