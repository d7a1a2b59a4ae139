package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

// webhook does what Flagger's pkg/controller/webhook.go does: it posts the payload as JSON, tries a 5xx again and gives it up
// without a word of the body, and takes any other status above 202 for a failure whose event is the body.
func webhook(ctx context.Context, address string, metadata map[string]string, retries int) error {
	doc, err := json.Marshal(map[string]any{
		"name": "podinfo", "namespace": "test", "phase": "Progressing", "checksum": "6d8f", "metadata": metadata,
	})
	if err != nil {
		return err
	}
	for range retries + 1 {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(doc))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		switch {
		case err != nil:
			return fmt.Errorf("error reading body: %w", err)
		case answer.StatusCode >= http.StatusInternalServerError:
			if answer.Header.Get("Retry-After") != flaggerRetry {
				return fmt.Errorf("a retry would come after %q s", answer.Header.Get("Retry-After"))
			}
			continue
		case answer.StatusCode > http.StatusAccepted:
			return errors.New(string(body))
		}
		return nil
	}
	return fmt.Errorf("giving up after %d attempt(s)", retries+1)
}

// stored puts a run into dir that started so long ago, and leaves it open where it is to be running.
func stored(t *testing.T, dir string, ago time.Duration, status store.Status, change func(*report.Report)) string {
	t.Helper()
	b, err := os.ReadFile("../report/testdata/pass.json")
	if err != nil {
		t.Fatal(err)
	}
	r, err := report.ReadJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	r.Run.Started = time.Now().Add(-ago)
	if change != nil {
		change(&r)
	}
	id, err := store.NewID(r.Run.Started, r.Split.Namespace, r.Split.Name, strings.NewReader(fmt.Sprintf("%03d", int(ago.Seconds())%1000)))
	if err != nil {
		t.Fatal(err)
	}
	r.Run.ID = id
	run, err := store.Create(dir, id)
	if err != nil {
		t.Fatal(err)
	}
	var doc bytes.Buffer
	if err := errors.Join(report.WriteJSON(&doc, r), run.WriteFile("verdict.json", doc.Bytes())); err != nil {
		t.Fatal(err)
	}
	if status == store.Running {
		t.Cleanup(func() { _ = run.Close(store.Partial) })
	} else if err := run.Close(status); err != nil {
		t.Fatal(err)
	}
	return id
}

func gate(dir, token string) http.Handler {
	return Handler(Options{
		Dir: dir, Token: token, Flagger: true, Report: read,
		Summarize: func(f store.Folder) (report.Summary, error) {
			r, err := read(f)
			return report.Summarize(r), err
		},
	})
}

func outcome(o string) func(*report.Report) {
	return func(r *report.Report) {
		r.Verdict.Outcome, r.Verdict.Reasons = o, []string{"It is " + o + ".\nSecond line."}
	}
}

const minute = time.Minute

func TestFlaggerIsAnsweredFromTheNewestRun(t *testing.T) {
	type run struct {
		ago    time.Duration
		status store.Status
		change func(*report.Report)
	}
	complete := func(ago time.Duration, change func(*report.Report)) run { return run{ago, store.Complete, change} }
	simulated := func(r *report.Report) { r.Run.Simulated = "two clusters in one process" }
	for name, tt := range map[string]struct {
		runs   []run
		labels string
		status int
		says   string
	}{
		"pass":                  {[]run{complete(minute, nil)}, "", 200, "pass: "},
		"fail":                  {[]run{complete(minute, outcome(report.Fail))}, "", 412, `fail: It is fail.\nSecond line (run `},
		"inconclusive":          {[]run{complete(minute, outcome(report.Inconclusive))}, "", 412, "inconclusive: "},
		"invalid":               {[]run{complete(minute, outcome(report.Invalid))}, "", 412, "invalid: "},
		"an unknown outcome":    {[]run{complete(minute, outcome("passed"))}, "", 412, "passed: "},
		"no reason":             {[]run{complete(minute, func(r *report.Report) { r.Verdict.Outcome, r.Verdict.Reasons = report.Fail, nil })}, "", 412, "no reason is stored"},
		"newest counts, failed": {[]run{complete(2*minute, nil), complete(minute, outcome(report.Fail))}, "", 412, "fail: "},
		"newest counts, passed": {[]run{complete(2*minute, outcome(report.Fail)), complete(minute, nil)}, "", 200, "pass: "},
		"none":                  {nil, "", 503, "no run yet: none of test/podinfo started in the last 5m0s"},
		"too old":               {[]run{complete(6*minute, nil)}, "", 503, "started 6m0s ago, and at most 5m0s was asked for"},
		"under way":             {[]run{complete(2*minute, nil), {minute, store.Running, nil}}, "", 503, "measuring: run "},
		"cut short":             {[]run{{minute, store.Partial, nil}}, "", 412, "invalid: run "},
		"refused before it was": {[]run{{minute, store.Aborted, outcome(report.Invalid)}}, "", 412, "invalid: "},
		"from now on":           {[]run{complete(-time.Hour, nil)}, "", 412, "the clocks differ"},
		"of another split":      {[]run{complete(minute, func(r *report.Report) { r.Split.Name = "other" })}, "", 503, "no run yet"},
		"of another namespace":  {[]run{complete(minute, func(r *report.Report) { r.Split.Namespace = "prod" })}, "", 503, "no run yet"},
		"simulated":             {[]run{complete(minute, simulated)}, "", 503, "no run yet"},
		"of another kind":       {[]run{complete(minute, func(r *report.Report) { r.Kind = report.KindWatchReport })}, "", 503, "no run yet"},
		"with the label":        {[]run{complete(minute, func(r *report.Report) { r.Run.Labels = map[string]string{"gate": "flagger"} })}, "gate=flagger", 200, "pass: "},
		"without the label":     {[]run{complete(minute, nil)}, "gate=flagger", 503, "no run yet"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, r := range tt.runs {
				stored(t, dir, r.ago, r.status, r.change)
			}
			metadata := map[string]string{"split": "podinfo", "maxAge": "5m"}
			if tt.labels != "" {
				metadata["labels"] = tt.labels
			}
			doc, err := json.Marshal(map[string]any{"name": "c", "namespace": "test", "phase": "Progressing", "metadata": metadata})
			if err != nil {
				t.Fatal(err)
			}
			h := gate(dir, "")
			w := post(h, string(doc))
			text := w.Body.String()
			if w.Code != tt.status || !strings.Contains(text, tt.says) || strings.Count(text, "\n") != 1 {
				t.Errorf("%d %q, want %d and %q in one line", w.Code, text, tt.status, tt.says)
			}
			// And what Flagger makes of it.
			server := httptest.NewServer(h)
			defer server.Close()
			err = webhook(t.Context(), server.URL+flaggerPath, metadata, 1)
			switch {
			case tt.status == 200 && err != nil:
				t.Errorf("Flagger is halted: %v", err)
			case tt.status == 412 && (err == nil || err.Error() != text):
				t.Errorf("Flagger's event is %q, want %q", err, text)
			case tt.status == 503 && (err == nil || err.Error() != "giving up after 2 attempt(s)"):
				t.Errorf("Flagger says %v", err)
			}
		})
	}
}

func post(h http.Handler, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	return get(h, flaggerPath, append([]func(*http.Request){func(r *http.Request) {
		r.Method, r.Body = http.MethodPost, io.NopCloser(strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
	}}, change...)...)
}

// A run whose files are not as they were written passes nothing, nor does one that cannot be read, while it is young.
func TestFlaggerIsNotAnsweredFromDamagedRuns(t *testing.T) {
	const ask = `{"name":"podinfo","namespace":"test","metadata":{"maxAge":"5m"}}`
	for name, damage := range map[string]func(file string) error{
		"changed":        func(file string) error { return appendTo(file, " \n") },
		"unreadable":     func(file string) error { return os.WriteFile(file, []byte("{"), 0o600) },
		"missing":        os.Remove,
		"without status": func(file string) error { return os.Remove(filepath.Join(filepath.Dir(file), store.StatusFile)) },
		"of another status": func(file string) error {
			return os.WriteFile(filepath.Join(filepath.Dir(file), store.StatusFile), []byte("x"), 0o600)
		},
	} {
		for ago, want := range map[time.Duration]int{minute: 412, time.Hour: 503} {
			dir := t.TempDir()
			id := stored(t, dir, ago, store.Complete, nil)
			if err := damage(filepath.Join(dir, id, "verdict.json")); err != nil {
				t.Fatal(err)
			}
			if w := post(gate(dir, ""), ask); w.Code != want {
				t.Errorf("%s, %s ago: %d %s", name, ago, w.Code, w.Body)
			}
		}
	}
}

func appendTo(file, text string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, text...), 0o600)
}

func TestFlaggerCallsAreReadStrictly(t *testing.T) {
	dir := t.TempDir()
	stored(t, dir, minute, store.Complete, nil)
	h := gate(dir, "")
	call := func(metadata string) string {
		return `{"name":"podinfo","namespace":"test","metadata":` + metadata + `}`
	}
	if w := post(h, call(`{"maxAge":"5m"}`)); w.Code != http.StatusOK {
		t.Fatalf("the canary's own name: %d %s", w.Code, w.Body)
	}
	for body, want := range map[string]int{
		"": 400, "null": 400, "[]": 400, "{": 400, call(`{"maxAge":"5m"}`) + "{}": 400, call(`{"maxAge":"5m"}`) + "]": 400,
		`{"name":"podinfo","namespace":"test","cmd":"id","metadata":{"maxAge":"5m"}}`:                               400,
		`{"name":"podinfo","metadata":{"maxAge":"5m"}}`:                                                             400,
		`{"namespace":"test","metadata":{"maxAge":"5m"}}`:                                                           400,
		`{"name":"podinfo","namespace":"test","metadata":{"maxAge":"5m","x":"` + strings.Repeat("x", 1<<17) + `"}}`: 413,
		call(`{"maxAge":"5m","maxAge":"9999h"}`):                                                                    400,
		`{"name":"podinfo","namespace":"test","metadata":{"maxAge":"5m"},"metadata":{"maxAge":"9999h"}}`:            400,
		`{"name":"podinfo","namespace":"test","metadata":{"maxAge":"5m"},"Metadata":{"maxAge":"9999h"}}`:            400,
		`{"name":"podinfo","namespace":"test","phase":{"metadata":{}},"metadata":{"maxAge":"5m"}}`:                  400,
		call(`{}`): 400, call(`{"maxAge":"soon"}`): 400, call(`{"maxAge":"0s"}`): 400, call(`{"maxAge":"-5m"}`): 400, call(`{"maxAge":5}`): 400,
		call(`{"maxage":"5m"}`): 400, call(`{"maxAge":"5m","cmd":"id"}`): 400, call(`{"maxAge":"5m","labels":"nonsense"}`): 400,
		call(`{"maxAge":"5m","split":""}`): 400, call(`{"maxAge":"5m","split":"ts/podinfo"}`): 400, call(`{"maxAge":"5m","split":"../podinfo"}`): 400,
	} {
		w := post(h, body)
		if w.Code != want || strings.Count(w.Body.String(), "\n") != 1 || len(w.Body.String()) > 600 {
			t.Errorf("%.90s: %d %.700s, want %d", body, w.Code, w.Body, want)
		}
	}
	for kind, want := range map[string]int{"application/json; charset=utf-8": 200, "": 415, "text/plain": 415, "application/x-www-form-urlencoded": 415, "application/json-seq": 415} {
		if w := post(h, call(`{"maxAge":"5m"}`), func(r *http.Request) { r.Header.Set("Content-Type", kind) }); w.Code != want {
			t.Errorf("content type %q: %d, want %d", kind, w.Code, want)
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete} {
		if w := post(h, "", func(r *http.Request) { r.Method = method }); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
	if w := post(Handler(Options{Dir: dir, Summarize: nil}), call(`{"maxAge":"5m"}`)); w.Code != http.StatusNotFound {
		t.Errorf("a gate that nobody asked for: %d", w.Code)
	}
	if w := post(h, call(`{"maxAge":"5m"}`), func(r *http.Request) { r.Host = "evil.test" }); w.Code != http.StatusForbidden {
		t.Errorf("another name without a token: %d", w.Code)
	}
}

// What a call or a run says ends up in the events of a cluster: as plain text, in one line, with nothing that acts.
func TestFlaggerAnswersAreHarmless(t *testing.T) {
	dir := t.TempDir()
	stored(t, dir, minute, store.Complete, func(r *report.Report) {
		r.Verdict.Outcome, r.Verdict.Reasons = hostile+"\n", []string{hostile + "\r\n"}
	})
	name, err := json.Marshal(hostile + "\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{
		`{"name":"podinfo","namespace":"test","metadata":{"maxAge":"5m"}}`,
		fmt.Sprintf(`{"name":"podinfo","namespace":%s,"metadata":{"maxAge":"5m"}}`, name),
		fmt.Sprintf(`{"name":%s,"namespace":"test","metadata":{"maxAge":"5m"}}`, name),
		fmt.Sprintf(`{"name":"podinfo","namespace":"test","metadata":{"maxAge":%s}}`, name),
		fmt.Sprintf(`{"name":"podinfo","namespace":"test","metadata":{%s:""}}`, name),
		fmt.Sprintf(`{"name":"podinfo","namespace":"test","metadata":{"maxAge":"5m","labels":%s}}`, name),
		fmt.Sprintf(`{%s:1}`, name),
	} {
		w := post(gate(dir, ""), body)
		text := w.Body.String()
		if w.Code <= http.StatusAccepted || strings.ContainsAny(text, "\x1b\u202e\r") || strings.Count(text, "\n") != 1 {
			t.Errorf("%s: %d %q", body, w.Code, text)
		}
		if h := w.Header(); h.Get("Content-Type") != "text/plain; charset=utf-8" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", body, h)
		}
	}
}

// With a token the gate takes it as the password of the webhook's URL, where Flagger's client finds it; the pages do not.
func TestFlaggerToken(t *testing.T) {
	const token = "0123456789abcdef"
	dir := t.TempDir()
	stored(t, dir, minute, store.Complete, nil)
	server := httptest.NewServer(gate(dir, token))
	defer server.Close()
	at, err := url.Parse(server.URL + flaggerPath)
	if err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]string{token: "", "wrong": "a token is needed", "": "a token is needed"} {
		at.User = url.UserPassword("flagger", password)
		err := webhook(t.Context(), at.String(), map[string]string{"maxAge": "5m"}, 0)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("password %q: %v", password, err)
		}
	}
	if w := get(gate(dir, token), "/", func(r *http.Request) { r.SetBasicAuth("flagger", token) }); w.Code != http.StatusUnauthorized {
		t.Errorf("a page: %d", w.Code)
	}
}
