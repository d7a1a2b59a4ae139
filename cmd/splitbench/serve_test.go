package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// TestServeShowsTheResults starts the page on a free port, opens it as a browser would, and interrupts it.
func TestServeShowsTheResults(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	out, in := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		code := run(ctx, []string{"splitbench", "serve", "--listen", "127.0.0.1:0", "--results-dir", "../../results", "--gate-flagger"}, surroundings{
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
	// As a gate it answers from the same run, whose age is no matter here.
	const call = `{"name":"podinfo","namespace":"test","phase":"Progressing","metadata":{"maxAge":"1000000h"}}`
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"v1/flagger", strings.NewReader(call))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil || answer.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), "pass: Traffic follows") {
		t.Errorf("gate: %s %q, %v", answer.Status, body, err)
	}
	cancel(&signalError{syscall.SIGINT})
	if code := <-ended; code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
}

// The objects of Flagger's gate have no field that Kubernetes' types do not.
func TestTheExampleGateIsOfKnownFields(t *testing.T) {
	b, err := os.ReadFile("../../examples/gates/flagger.yaml")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]any{"PersistentVolumeClaim": &corev1.PersistentVolumeClaim{}, "CronJob": &batchv1.CronJob{}, "Deployment": &appsv1.Deployment{}, "Service": &corev1.Service{}}
	for doc := range bytes.SplitSeq(b, []byte("\n---\n")) {
		var head struct{ Kind string }
		if err := yaml.Unmarshal(doc, &head); err != nil {
			t.Fatal(err)
		}
		if kinds[head.Kind] == nil {
			t.Fatalf("kind %q is not expected, or is there twice", head.Kind)
		}
		if err := yaml.UnmarshalStrict(doc, kinds[head.Kind]); err != nil {
			t.Errorf("%s: %v", head.Kind, err)
		}
		delete(kinds, head.Kind)
	}
	if len(kinds) > 0 {
		t.Errorf("missing: %v", kinds)
	}
}
