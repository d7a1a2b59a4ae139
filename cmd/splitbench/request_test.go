package main

import (
	"testing"

	"github.com/spf13/cobra"
)

// What a request says is said alike wherever there is one: a law that `check` was asked for is the one that `run` tests.
func TestRequestsHaveTheSameFlagsEverywhere(t *testing.T) {
	t.Parallel()
	root := newRoot(&app{})
	commands := map[string]*cobra.Command{}
	for _, c := range root.Commands() {
		commands[c.Name()] = c
	}
	same := func(names, in []string) {
		for _, name := range names {
			for _, command := range in {
				f, first := commands[command].Flags().Lookup(name), commands[in[0]].Flags().Lookup(name)
				if f == nil || f.Usage != first.Usage || f.DefValue != first.DefValue {
					t.Errorf("%s and %s: --%s is not the same flag", in[0], command, name)
				}
			}
		}
	}
	same([]string{"http", "method", "header", "body", "body-file", "grpc-method", "grpc-message", "allow-unsafe"},
		[]string{"run", "check", "plan", "latency", "drill", "watch", "demo", "attack"})
	same([]string{"url"}, []string{"run", "check", "plan", "drill", "watch", "demo", "convert"})
}
