package serve

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

const (
	first  = "20261122t071502z-test-podinfo-aaaa"
	second = "20261123t071502z-test-podinfo-bbbb"
	evil   = "20261124t071502z-test-podinfo-evil"
)

// hostile is what an attacker who names things could send.
const hostile = `<script>alert(1)</script>"><img src=x onerror=alert(1)>` + "\x1b[31m\u202e"

// folder holds three finished runs: one that passed, one that failed, and one whose every text is hostile.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for id, change := range map[string]func(*report.Report){
		first:  func(r *report.Report) { r.Run.Labels = map[string]string{"change": "CHG-1"} },
		second: func(r *report.Report) { r.Verdict.Outcome = report.Fail },
		evil: func(r *report.Report) {
			r.Run.Labels = map[string]string{hostile: hostile}
			r.Split.Name, r.Backends[0].Name, r.Warnings = hostile, hostile, []string{hostile}
		},
	} {
		b, err := os.ReadFile("../report/testdata/pass.json")
		if err != nil {
			t.Fatal(err)
		}
		r, err := report.ReadJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		r.Run.ID = id
		change(&r)
		run, err := store.Create(dir, id)
		if err != nil {
			t.Fatal(err)
		}
		var doc bytes.Buffer
		if err := errors.Join(report.WriteJSON(&doc, r), run.WriteFile("verdict.json", doc.Bytes()), run.Close(store.Complete)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc", filepath.Join(dir, "20261125t071502z-x-y-link")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func read(f store.Folder) (report.Report, error) {
	b, err := f.ReadFile("verdict.json")
	if err != nil {
		return report.Report{}, err
	}
	return report.ReadJSON(bytes.NewReader(b))
}

func handler(t *testing.T, token string) http.Handler {
	t.Helper()
	return Handler(Options{
		Dir: folder(t), Token: token, Report: read,
		Summarize: func(f store.Folder) (report.Summary, error) {
			r, err := read(f)
			return report.Summarize(r), err
		},
		Compare: func(base, latest store.Folder) (report.RunComparison, error) {
			if base.ID == latest.ID {
				return report.RunComparison{}, fmt.Errorf("run %s is compared with itself", base.ID)
			}
			a, _ := read(base)
			b, _ := read(latest)
			c := report.ConcludeChange(report.RunChange{Run: report.Compared(b), Shares: []report.ShareChange{}}, nil)
			return report.RunComparison{Base: report.Compared(a), Changes: []report.RunChange{c}, Verdict: report.ComparisonVerdict{Outcome: c.Outcome}}, nil
		},
	})
}

func get(h http.Handler, target string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Host = "127.0.0.1:7878"
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestListFiltersByLabelAndOutcome(t *testing.T) {
	h := handler(t, "")
	for query, want := range map[string][]string{
		"": {first, second, evil}, "?outcome=fail": {second}, "?label=change%3DCHG-1": {first}, "?label=change%3DCHG-1&outcome=fail": nil,
		"?outcome=" + url.QueryEscape(hostile): nil, "?label=nonsense": {first, second, evil},
	} {
		w := get(h, "/"+query)
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", query, w.Code, w.Body)
		}
		var got []string
		for _, m := range regexp.MustCompile(`href="/runs/([^"/]+)/"`).FindAllStringSubmatch(w.Body.String(), -1) {
			got = append(got, m[1])
		}
		if len(got) != len(want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
		if query == "" && (got[0] != evil || got[2] != first) {
			t.Errorf("not newest first: %q", got)
		}
		if query == "?label=nonsense" && !strings.Contains(w.Body.String(), "want KEY=VALUE") {
			t.Errorf("%s: nothing is said", query)
		}
	}
}

func TestReportsAndComparisonsAreShown(t *testing.T) {
	h := handler(t, "")
	if w := get(h, "/runs/"+first+"/"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "PASS") || !strings.Contains(w.Body.String(), `href="/"`) {
		t.Errorf("report: %d", w.Code)
	}
	if w := get(h, "/compare?base="+first+"&new="+second); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), second) {
		t.Errorf("comparison: %d %s", w.Code, w.Body)
	}
	if w := get(h, "/compare?base="+first+"&new="+first); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "with itself") {
		t.Errorf("with itself: %d", w.Code)
	}
	if w := get(h, "/compare?base="+first); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "tick two runs") {
		t.Errorf("with nothing: %d", w.Code)
	}
}

// Nothing of a run acts in a page, and the policy would not let it.
func TestHostileRunsAreText(t *testing.T) {
	h := handler(t, "")
	for _, target := range []string{"/", "/?label=" + url.QueryEscape(hostile), "/runs/" + evil + "/", "/compare?base=" + first + "&new=" + evil, "/runs/" + url.PathEscape(hostile) + "/"} {
		w := get(h, target)
		body := w.Body.String()
		visible := regexp.MustCompile(`(?s)<script type="application/json".*?</script>`).ReplaceAllString(body, "")
		if strings.Contains(body, "<script>alert") || strings.Contains(body, "<img src=x") || strings.ContainsAny(visible, "\x1b\u202e") {
			t.Errorf("%s: a name became markup", target)
		}
		policy := w.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; script-src ") || strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %q", target, policy)
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: headers %v", target, w.Header())
		}
		// No page refers to anywhere else.
		if m := regexp.MustCompile(`(?i)(src|href|action)="(https?:)?//`).FindString(visible); m != "" {
			t.Errorf("%s: refers to %q", target, m)
		}
	}
}

func TestNothingOutsideTheFolderIsShown(t *testing.T) {
	h := handler(t, "")
	for _, id := range []string{"..", ".", "latest", "2026", "%2e%2e", "..%2f..%2fetc", "20261125t071502z-x-y-link", "nothing", ".tmp-x"} {
		if w := get(h, "/runs/"+id+"/"); w.Code == http.StatusOK {
			t.Errorf("%s: %d", id, w.Code)
		}
	}
	for _, base := range []string{"../" + first, "/etc", "latest", first + "/"} {
		if w := get(h, "/compare?base="+url.QueryEscape(base)+"&new="+second); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", base, w.Code)
		}
	}
}

func TestReadOnly(t *testing.T) {
	h := handler(t, "")
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch} {
		for _, target := range []string{"/", "/runs/" + first + "/", "/compare"} {
			w := get(h, target, func(r *http.Request) { r.Method = method })
			if w.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d", method, target, w.Code)
			}
		}
	}
}

// A page elsewhere that has its name resolved to this machine is refused: the browser tells the name.
func TestOtherNamesAreRefusedWithoutAToken(t *testing.T) {
	h := handler(t, "")
	for host, want := range map[string]int{
		"localhost:7878": 200, "127.0.0.1": 200, "[::1]:7878": 200, "evil.test:7878": 403, "127.0.0.1.evil.test": 403, "10.0.0.1:7878": 403, "": 403,
	} {
		if w := get(h, "/", func(r *http.Request) { r.Host = host }); w.Code != want {
			t.Errorf("host %q: %d, want %d", host, w.Code, want)
		}
	}
}

func TestToken(t *testing.T) {
	const token = "0123456789abcdef"
	h := handler(t, token)
	if w := get(h, "/"); w.Code != http.StatusUnauthorized || strings.Contains(w.Body.String(), first) {
		t.Errorf("without a token: %d", w.Code)
	}
	if w := get(h, "/?token=wrong"); w.Code != http.StatusForbidden {
		t.Errorf("wrong token: %d", w.Code)
	}
	if w := get(h, "/", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token); r.Host = "bench.example:8080" }); w.Code != http.StatusOK {
		t.Errorf("bearer: %d", w.Code)
	}
	w := get(h, "//evil.test/?outcome=fail&token="+token)
	location := w.Header().Get("Location")
	if w.Code != http.StatusSeeOther || strings.Contains(location, token) || strings.HasPrefix(location, "//") || !strings.Contains(location, "outcome=fail") {
		t.Errorf("first request: %d to %q", w.Code, location)
	}
	cookies := w.Result().Cookies()
	if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode || strings.Contains(cookies[0].Value, token) {
		t.Fatalf("cookies %v", cookies)
	}
	if w := get(h, "/", func(r *http.Request) { r.AddCookie(cookies[0]) }); w.Code != http.StatusOK {
		t.Errorf("with the cookie: %d", w.Code)
	}
}

func TestLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:7878": true, "localhost:0": true, "[::1]:1": true, "127.9.9.9:1": true,
		":7878": false, "0.0.0.0:7878": false, "[::]:7878": false, "192.168.1.2:1": false, "example.test:1": false,
	} {
		if got, err := Loopback(address); err != nil || got != want {
			t.Errorf("%s: %t, %v, want %t", address, got, err, want)
		}
	}
	if _, err := Loopback("7878"); err == nil {
		t.Error("a port alone is no address")
	}
}

// A folder that holds nothing, or is not there, is an empty list.
func TestNoRuns(t *testing.T) {
	o := Options{Dir: filepath.Join(t.TempDir(), "none")}
	if w := get(Handler(o), "/"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "No run fits") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
