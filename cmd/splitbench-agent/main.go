// Command splitbench-agent is the in-pod end of splitbench: it takes a session's orders from stdin and writes results
// to stdout. It is not meant to be run by hand.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/splitbench/splitbench/internal/agent"
)

func main() { os.Exit(run(context.Background(), os.Args[1:])) }

func run(ctx context.Context, args []string) int {
	log.SetOutput(io.Discard) // net/http writes a line for each stray byte of a server
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer stop()
	exe, err := os.Executable()
	if err != nil {
		exe = ""
	}
	return agent.Main(ctx, args, os.Stdin, os.Stdout, os.Stderr, agent.ServeOptions{Executable: exe, Alone: true})
}
