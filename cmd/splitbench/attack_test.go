package main

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/splitbench/splitbench/internal/report"
)

// A search whose first rate is too high reports the best rate's load: not that of the trial that failed first, whose
// end would be the command's exit code too.
func TestASearchReportsItsBestTrial(t *testing.T) {
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) <= 20 { // all of the first trial
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"splitbench", "attack", server.URL, "--search", "200:200", "--duration", "100ms", "-o", "json"}, surroundings{
		stdout: &stdout, stderr: &stderr, getenv: func(string) string { return "" },
	})
	var r report.LoadReport
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatalf("exit code %d, %v: %s", code, err, stderr.String())
	}
	if r.Search == nil || len(r.Search.Trials) < 2 || r.Search.Trials[0].OK {
		t.Fatalf("the search was %+v", r.Search)
	}
	if r.Search.BestPerSecond == nil { // a machine that was never on time has no best
		t.Skip("no trial was on time here")
	}
	// Rates are sent in thousandths.
	if r.Load.Errors != 0 || math.Abs(r.Load.TargetRatePerSecond-*r.Search.BestPerSecond) > 0.001 || code != 0 {
		t.Errorf("exit code %d; %d errors at %g/s are reported, best is %g/s", code, r.Load.Errors, r.Load.TargetRatePerSecond, *r.Search.BestPerSecond)
	}
}

// What a search makes itself is not taken from flags that say otherwise, without a word.
func TestASearchRefusesWhatItDoesNotHeed(t *testing.T) {
	for _, flags := range [][]string{
		{"--search", "50:100", "--rate", "10"}, {"--search", "50:100", "--requests", "10"}, {"--search", "50:100", "--schedule", "poisson"}, {"--to", "csv"},
	} {
		var stderr bytes.Buffer
		args := append([]string{"splitbench", "attack", "http://127.0.0.1:9/", "--duration", "1ms", "--timeout", "10ms"}, flags...)
		code := run(t.Context(), args, surroundings{stdout: &bytes.Buffer{}, stderr: &stderr, getenv: func(string) string { return "" }})
		if code != report.ExitBug || !bytes.Contains(stderr.Bytes(), []byte(flags[len(flags)-2])) {
			t.Errorf("%q: exit code %d, %q", flags, code, stderr.String())
		}
	}
}
