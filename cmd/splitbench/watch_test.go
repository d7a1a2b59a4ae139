package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

// The command that grants what a watch lacks grants runner pods too, where it is of several splits.
func TestGrantOfSeveralSplits(t *testing.T) {
	c := &watchCommand{everywhere: true}
	c.cluster.register(pflag.NewFlagSet("watch", pflag.ContinueOnError), &c.cfg.Config)
	c.cfg.Query.Namespace, c.cfg.Query.Runners = "test", true
	if _, err := c.finder(); err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{c.cfg.Local.Grant, c.each(mesh.Found{Namespace: "test", Split: "ts/a"}).Local.Grant} {
		if !strings.Contains(got, " --runners") {
			t.Error(got)
		}
	}
}

// The page answers from before the first look on, in gaps too, with what was told last; it is gone when the watch has
// ended, and a second watch on the same address is told so.
func TestMetricsPage(t *testing.T) {
	var stderr bytes.Buffer
	c := &watchCommand{app: &app{surroundings: surroundings{stderr: &stderr, getenv: func(string) string { return "" }}}}
	c.metrics = "127.0.0.1:0"
	stop, err := c.serveMetrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(stderr.String(), "metrics on ")
	url := strings.TrimSpace(rest)
	client := &http.Client{Timeout: 10 * time.Second}
	get := func() map[string]float64 {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "application/openmetrics-text; version=1.0.0") {
			t.Fatalf("%s %s %v", res.Status, res.Header, err)
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(strings.TrimSuffix(string(body), "# EOF\n")))
		if err != nil {
			t.Fatalf("%v\n%s", err, body)
		}
		out := map[string]float64{}
		for name, f := range families {
			out[name] = f.GetMetric()[0].GetGauge().GetValue() + f.GetMetric()[0].GetUntyped().GetValue()
		}
		return out
	}
	if m := get(); m["splitbench_watch_up"] != 0 || m["splitbench_watch_looks_total"] != 0 {
		t.Errorf("before the first look: %v", m)
	}
	c.page.Set(mesh.Found{}, bench.WatchState{Watch: report.Watch{Looks: 3}, Outcome: report.Inconclusive, Up: true})
	if m := get(); m["splitbench_watch_up"] != 1 || m["splitbench_watch_looks_total"] != 3 {
		t.Errorf("at work: %v", m)
	}
	c.page.Set(mesh.Found{}, bench.WatchState{Watch: report.Watch{Looks: 3, GapCount: 1}, Outcome: report.Inconclusive})
	if m := get(); m["splitbench_watch_up"] != 0 || m["splitbench_watch_gaps_total"] != 1 {
		t.Errorf("in a gap: %v", m)
	}
	address := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/metrics")
	c.metrics = address
	if _, err := c.serveMetrics(t.Context()); err == nil || !strings.Contains(err.Error(), "--metrics \""+address+"\"") || codeOf(err) != report.ExitBug {
		t.Errorf("a second page on %s: %v", address, err)
	}
	stop()
	if again, err := c.serveMetrics(t.Context()); err != nil {
		t.Errorf("the address is still taken: %v", err)
	} else {
		again()
	}
}

// talkTo hands on each line that is said on stderr.
type talkTo struct{ lines chan string }

func (w talkTo) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		select {
		case w.lines <- line:
		default: // nobody listens any more
		}
	}
	return len(p), nil
}

// An interrupted watch ends with the code of its signal, prints its report, and keeps it as a part of a run, which is
// no verdict.
func TestInterruptedWatchKeepsItsReport(t *testing.T) {
	t.Parallel()
	world, err := demo.Start(t.Context(), demo.Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer world.Close()
	dir := t.TempDir()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(kubeconfig, world.Kubeconfig(), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	talk := talkTo{make(chan string, 100)}
	var stdout bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, strings.Fields("splitbench watch ts/podinfo -n test --from deploy/frontend --rate 200 --every 100ms -o json --metrics 127.0.0.1:0"), surroundings{
			stdin: strings.NewReader(""), stdout: &stdout, stderr: talk, getenv: func(k string) string {
				return map[string]string{
					"SPLITBENCH_RESULTS_DIR": filepath.Join(dir, "results"), "SPLITBENCH_KUBECONFIG": kubeconfig,
				}[k]
			},
		})
	}()
	url := ""
	for url == "" {
		select {
		case line := <-talk.lines:
			if _, rest, ok := strings.Cut(line, "metrics on "); ok {
				url = strings.TrimSpace(rest)
			}
		case code := <-ended:
			t.Fatalf("it ended with %d\n%s", code, stdout.String())
		}
	}
	for looked := false; !looked; {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		_, looks, _ := strings.Cut(string(body), "\nsplitbench_watch_looks_total{")
		_, looks, _ = strings.Cut(looks, "} ")
		looked = looks != "" && looks[0] != '0'
	}
	cancel(&signalError{syscall.SIGINT})
	if code := <-ended; code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	r, err := report.ReadJSON(&stdout)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Outcome != report.Invalid || r.Watch == nil || r.Watch.Requests == 0 || r.Run.CutShort == "" {
		t.Errorf("%s %q: %+v", r.Verdict.Outcome, r.Verdict.Reasons, r.Watch)
	}
	f, err := store.Open(filepath.Join(dir, "results"), "latest")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := f.ReadFile(record.MarkdownFile); err != nil || len(b) == 0 || f.Status != store.Partial {
		t.Errorf("%s: %v, %d bytes of report", f.Status, err, len(b))
	}
}
