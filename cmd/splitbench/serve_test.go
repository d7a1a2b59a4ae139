package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// TestServeShowsTheResults starts the page on a free port, opens it as a browser would, and interrupts it.
func TestServeShowsTheResults(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	out, in := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		code := run(ctx, []string{"splitbench", "serve", "--listen", "127.0.0.1:0", "--results-dir", "../../results"}, surroundings{
			stdin: strings.NewReader(""), stdout: in, stderr: io.Discard, getenv: func(string) string { return "" },
		})
		in.Close()
		ended <- code
	}()
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address = strings.TrimSpace(address)
	for path, want := range map[string]string{"": "20261122t115449z-test-podinfo-zlcd", "runs/20261122t115449z-test-podinfo-zlcd/": "traffic follows"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(strings.ToLower(string(body)), want) {
			t.Errorf("%s%s: %s, %v", address, path, answer.Status, err)
		}
	}
	cancel(&signalError{syscall.SIGINT})
	if code := <-ended; code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
}
