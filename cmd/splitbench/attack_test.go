package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/splitbench/splitbench/internal/report"
)

// A search one of whose rates is too high reports the best rate's load: not that of the trial that failed, whose
// end would be the command's exit code too.
func TestASearchReportsItsBestTrial(t *testing.T) {
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if i := n.Add(1); i > 20 && i <= 60 { // all of the second trial
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"splitbench", "attack", server.URL, "--search", "200:400", "--duration", "100ms", "-o", "json"}, surroundings{
		stdout: &stdout, stderr: &stderr, getenv: func(string) string { return "" },
	})
	var r report.LoadReport
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatalf("exit code %d, %v: %s", code, err, stderr.String())
	}
	if r.Search == nil || len(r.Search.Trials) == 0 {
		t.Fatalf("the search was %+v", r.Search)
	}
	if r.Search.BestPerSecond == nil { // a machine that was never on time has no best
		t.Skip("no trial was on time here")
	}
	if len(r.Search.Trials) < 2 || r.Search.Trials[1].OK {
		t.Fatalf("the search was %+v", r.Search)
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

// TestAttackTellsCauses attacks what does not answer, and wants the reason with its count, in text and JSON; a search for a rate says
// what broke the limit, and goes no lower than it was told.
func TestAttackTellsCauses(t *testing.T) {
	quiet := log.New(io.Discard, "", 0)
	secret := httptest.NewUnstartedServer(http.HandlerFunc(plainServer))
	secret.Config.ErrorLog = quiet
	secret.StartTLS()
	t.Cleanup(secret.Close)
	plain := httptest.NewServer(http.HandlerFunc(plainServer))
	t.Cleanup(plain.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secret.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ line, want string }{
		{"http://127.0.0.1:1/", "connection refused"},
		{secret.URL + "/", "TLS: the certificate is of an unknown authority"},
		{secret.URL + "/ --cacert " + ca + " --tls-name other.test", "TLS: the certificate is for another name"},
		{strings.Replace(plain.URL, "http:", "https:", 1) + "/", "TLS: the server does not speak it"},
	} {
		line := "attack " + row.line + " --requests 5 --rate 100 --connections 1 --max-errors 100%"
		text, _, code := carriedOut(t, nil, line)
		if code != 4 || !strings.Contains(strings.Join(strings.Fields(text), " "), "Causes "+row.want+": 5") {
			t.Errorf("%s: exit code %d, want %q\n%s", line, code, row.want, text)
		}
		stdout, _, _ := carriedOut(t, nil, line+" -o json")
		var doc struct {
			Dials struct{ Causes map[string]int64 }
		}
		if err := json.Unmarshal([]byte(stdout), &doc); err != nil || doc.Dials.Causes[row.want] != 5 {
			t.Errorf("%s: %v, %v", line, doc.Dials.Causes, err)
		}
	}
	text, stderr, code := carriedOut(t, nil, "attack http://127.0.0.1:1/ --search 100:400 --duration 200ms --max-errors 100%")
	if said := strings.Join(strings.Fields(text), " "); code != 4 || strings.Count(stderr, "trying") != 1 ||
		!strings.Contains(said, "even at 100/s, 100 % of the requests failed (connection refused: 20)") {
		t.Errorf("exit code %d\n%s%s", code, text, stderr)
	}
}
