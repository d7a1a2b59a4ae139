package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/mesh"
)

// sourcing are the flags that say how many pods send and how the generator comes to them.
type sourcing struct {
	pods, via, image string
	resume           bool
}

func (s *sourcing) add(flags *pflag.FlagSet) {
	flags.StringVar(&s.pods, "pods", "1", fmt.Sprintf("how many pods of --from or -l send at once: a number up to %d, or all that are ready", mesh.MaxPods))
	flags.BoolVar(&s.resume, "resume", false, "take a run whose stream breaks up again, as a further segment; what may have been sent is not sent again")
	flags.StringVar(&s.via, "via", string(bench.ViaAuto), "how the generator comes to the pod: "+viaNames(", "))
	flags.StringVar(&s.image, "ephemeral-image", "", "image with a shell for --via ephemeral, which adds a container to the pod that stays in its spec")
}

func viaNames(separator string) string {
	var names []string
	for _, v := range bench.Vias() {
		names = append(names, string(v))
	}
	return strings.Join(names, separator)
}

// apply completes a run's configuration.
func (s *sourcing) apply(cfg *bench.Config) error {
	switch n, err := strconv.Atoi(s.pods); {
	case s.pods == "all":
		cfg.Query.Pods = mesh.AllPods
	case err != nil || n < 1 || n > mesh.MaxPods:
		return fmt.Errorf("--pods %q: want 1 to %d, or all", s.pods, mesh.MaxPods)
	case n > 1:
		cfg.Query.Pods = n
	}
	cfg.Via, cfg.Image, cfg.Resume = bench.Via(s.via), s.image, s.resume
	switch {
	case !slices.Contains(bench.Vias(), cfg.Via):
		return fmt.Errorf("--via %q: want %s", s.via, viaNames(", "))
	case cfg.Via == bench.ViaEphemeral && s.image == "":
		return fmt.Errorf("--via ephemeral: name an image that has a shell with --ephemeral-image, such as busybox:1.36")
	case cfg.Via != bench.ViaEphemeral && s.image != "":
		return fmt.Errorf("--ephemeral-image: goes with --via ephemeral only")
	}
	return nil
}
