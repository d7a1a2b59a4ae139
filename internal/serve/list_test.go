package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

// ids are the runs that a page links to, in order.
func ids(body string) (got []string) {
	for _, m := range regexp.MustCompile(`href="/runs/([^"/]+)/"`).FindAllStringSubmatch(body, -1) {
		got = append(got, m[1])
	}
	return got
}

func TestListFiltersByEverything(t *testing.T) {
	h := handler(t, "")
	for query, want := range map[string]int{
		"?split=test/podinfo": 2, "?split=test/other": 0, "?kind=split": 3, "?kind=drill": 0, "?text=bbbb": 1,
		"?text=CHG-1+podinfo": 1, "?text=chg-1": 1, "?text=nothing+podinfo": 0, "?split=test/podinfo&outcome=fail&text=bbbb": 1,
		"?page=2": 0, "?page=-7": 3, "?page=99999999999999999999": 3,
	} {
		if got := ids(get(h, "/"+query).Body.String()); len(got) != want {
			t.Errorf("%s: %q, want %d", query, got, want)
		}
	}
}

// What was kept of a run does not outlive a change of its files.
func TestListSeesWhatChanges(t *testing.T) {
	dir := folder(t)
	h := Handler(Options{Dir: dir, Report: read, Summarize: summarize})
	if body := get(h, "/?outcome=pass").Body.String(); !strings.Contains(body, first) {
		t.Fatal("the run is not listed")
	}
	file := filepath.Join(dir, first, "verdict.json")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(b, ' '), 0o644); err != nil {
		t.Fatal(err)
	}
	if body := get(h, "/?outcome=pass").Body.String(); strings.Contains(body, first) {
		t.Error("a damaged run has an outcome")
	}
	body := get(h, "/").Body.String()
	if !strings.Contains(body, "DAMAGED: run "+first) {
		t.Error("the list does not say what is damaged")
	}
	if w := get(h, "/history?split=test/podinfo"); strings.Contains(w.Body.String(), "of 2 runs") {
		t.Error("a damaged run counts in the history")
	}
}

func summarize(f store.Folder) (report.Summary, error) {
	r, err := read(f)
	return report.Summarize(r), err
}

func TestTwoTickedRunsAreComparedOlderFirst(t *testing.T) {
	h := handler(t, "")
	w := get(h, "/compare?run="+second+"&run="+first)
	body := strings.ReplaceAll(w.Body.String(), "<wbr>", "")
	if w.Code != http.StatusOK || strings.Index(body, first) > strings.Index(body, second) {
		t.Errorf("%d", w.Code)
	}
	// The links of the comparison lead to the reports.
	links := regexp.MustCompile(`href="\./([^"/]+)/report.html"`).FindAllStringSubmatch(body, -1)
	if len(links) != 2 {
		t.Fatalf("%d links", len(links))
	}
	for _, link := range links {
		w := get(h, "/"+link[1]+"/report.html")
		if to := w.Header().Get("Location"); w.Code != http.StatusFound || get(h, to).Code != http.StatusOK {
			t.Errorf("%s leads to %q", link[0], to)
		}
	}
	for _, query := range []string{"", "?run=" + first, "?run=" + first + "&run=" + second + "&run=" + evil} {
		if w := get(h, "/compare"+query); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "tick two runs") {
			t.Errorf("%s: %d", query, w.Code)
		}
	}
}

func TestListForPrograms(t *testing.T) {
	w := get(handler(t, ""), "/runs.json?outcome=fail")
	var doc struct {
		Kind    string
		Fitting int
		Runs    []struct{ ID, Outcome, Page, Status string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Kind != "ServedRuns" || doc.Fitting != 1 || doc.Runs[0].ID != second || doc.Runs[0].Outcome != "fail" || doc.Runs[0].Status != "complete" {
		t.Errorf("%+v", doc)
	}
}

// Whether it works is said to a kubelet, which asks by address and has no token, and nothing else is.
func TestHealth(t *testing.T) {
	w := get(handler(t, "0123456789abcdef"), "/healthz", func(r *http.Request) { r.Host = "10.0.0.1:8080" })
	if w.Code != http.StatusOK || w.Body.String() != "ok\n" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

func TestHistoryOfASplit(t *testing.T) {
	h := handler(t, "")
	w := get(h, "/history?split=test/podinfo")
	body := strings.ReplaceAll(w.Body.String(), "<wbr>", "")
	for _, want := range []string{
		"The newest run is fail; of 2 runs: 1 pass, 1 fail.", `id="chart-share-history"`, `class="badge fail"`,
		"/?split=test%2Fpodinfo", "/runs/" + second + "/",
	} {
		if w.Code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%d: no %q", w.Code, want)
		}
	}
	if w := get(h, "/history"); w.Code != http.StatusBadRequest {
		t.Errorf("no split: %d", w.Code)
	}
	if w := get(h, "/history?split="+url.QueryEscape(hostile)); w.Code != http.StatusOK || strings.Contains(w.Body.String(), "<script>alert") {
		t.Errorf("hostile: %d", w.Code)
	}
}

// years fills a folder with n runs of one split, evenly over ten years.
func years(tb testing.TB, n int) string {
	tb.Helper()
	dir := tb.TempDir()
	b, err := os.ReadFile("../report/testdata/pass.json")
	if err != nil {
		tb.Fatal(err)
	}
	r, err := report.ReadJSON(bytes.NewReader(b))
	if err != nil {
		tb.Fatal(err)
	}
	var page bytes.Buffer
	if err := report.WriteJSON(&page, r); err != nil {
		tb.Fatal(err)
	}
	end := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	for i := range n {
		r.Run.Started = end.Add(-time.Duration(n-i) * 10 * 365 * 24 * time.Hour / time.Duration(n))
		r.Run.ID = fmt.Sprintf("%s-test-podinfo-%04d", strings.ToLower(r.Run.Started.Format("20060102T150405Z")), i%10000)
		summary, err := report.WriteSummary(report.Summarize(r))
		if err != nil {
			tb.Fatal(err)
		}
		files := map[string][]byte{
			"verdict.json": page.Bytes(), "summary.json": summary, "status": []byte("complete\n"),
			"frames.sbw": bytes.Repeat([]byte("sample"), 12_000), "manifest.json": bytes.Repeat([]byte("x"), 20_000),
			"report.html": bytes.Repeat([]byte("x"), 100_000),
		}
		folder, sums := filepath.Join(dir, r.Run.ID), ""
		err = os.Mkdir(folder, 0o755)
		for name, b := range files {
			sums += report.Digest(b) + "  " + name + "\n"
			err = errors.Join(err, os.WriteFile(filepath.Join(folder, name), b, 0o644))
		}
		if err := errors.Join(err, os.WriteFile(filepath.Join(folder, "SHA256SUMS"), []byte(sums), 0o644)); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

func summaryFile(f store.Folder) (report.Summary, error) {
	b, err := f.ReadFile("summary.json")
	if err != nil {
		return report.Summary{}, err
	}
	return report.ReadSummary(b)
}

// Ten years of runs: a page has a hundred of them, a history the newest five hundred, and each says how many there are.
func TestTenYearsOfRuns(t *testing.T) {
	h := Handler(Options{Dir: years(t, 620), Report: read, Summarize: summaryFile})
	body := get(h, "/").Body.String()
	if got := ids(body); len(got) != maxRows || !strings.Contains(body, "Runs 1 to 100 of 620") || !strings.Contains(body, `rel="next"`) {
		t.Errorf("%d runs", len(got))
	}
	if body := get(h, "/?page=7").Body.String(); len(ids(body)) != 20 || strings.Contains(body, `rel="next"`) {
		t.Errorf("the last page has %d", len(ids(body)))
	}
	body = strings.ReplaceAll(get(h, "/history?split=test/podinfo").Body.String(), "<wbr>", "")
	if !strings.Contains(body, "the newest 500 of 620") || !strings.Contains(body, "of 500 runs: 500 pass") {
		t.Error("the history does not say how much of it is shown")
	}
}

// BenchmarkFirstPage of 5,000 runs, of a server that knows none of them yet, must stay below 300 ms.
func BenchmarkFirstPage(b *testing.B) {
	dir := years(b, 5000)
	for b.Loop() {
		if w := get(Handler(Options{Dir: dir, Report: read, Summarize: summaryFile}), "/"); len(ids(w.Body.String())) != maxRows {
			b.Fatal(w.Code)
		}
	}
}

// BenchmarkHistory of 500 runs, of a server that knows none of them yet, must stay below 500 ms.
func BenchmarkHistory(b *testing.B) {
	dir := years(b, 500)
	for b.Loop() {
		if w := get(Handler(Options{Dir: dir, Report: read, Summarize: summaryFile}), "/history?split=test/podinfo"); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}

// BenchmarkFilter is the filtering of 5,000 runs that the server knows already.
func BenchmarkFilter(b *testing.B) {
	h := Handler(Options{Dir: years(b, 5000), Report: read, Summarize: summaryFile})
	get(h, "/?outcome=pass")
	for b.Loop() {
		get(h, "/?outcome=pass")
	}
}
