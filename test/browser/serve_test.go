package browser

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/serve"
	"github.com/splitbench/splitbench/internal/store"
)

// The runs of the folder that is served, oldest first.
const (
	early  = "20261122t115449z-test-podinfo-aaaa" // passes
	moved  = "20261123t115449z-test-podinfo-bbbb" // fails
	latest = "20261124t115449z-test-podinfo-cccc" // passes, with a label that would be a script
)

// hostileLabel is what an attacker who labels a run could send.
const hostileLabel = `<script>alert(1)</script>"><img src=x onerror=alert(2)>`

// served are the pages of splitbench serve over a folder of runs, and their address. Every run has the samples of the committed
// reference run, an even split of 10,000 requests, and is judged here against its own weights.
func served(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	keep(t, dir, early, map[string]string{"change": "CHG-1"}, 50)
	keep(t, dir, moved, map[string]string{"change": "CHG-2"}, 90)
	keep(t, dir, latest, map[string]string{"change": "CHG-2", "note": hostileLabel}, 50)
	// A hundredth of the reference run was sent 0.7 ms late and more: what is known of its p90 is within 3 ms.
	o := judge.CompareOptions{Absolute: 5 * time.Millisecond, Relative: 0.1, SharePoints: 5, Quantiles: judge.JudgedQuantiles(), Alpha: 0.01}
	s := httptest.NewServer(serve.Handler(serve.Options{
		Dir: dir, Summarize: record.Summary,
		Report: func(f store.Folder) (report.Report, error) {
			b, err := f.ReadFile(record.VerdictFile)
			if err != nil {
				return report.Report{}, err
			}
			return report.ReadJSON(bytes.NewReader(b))
		},
		Compare: func(base, later store.Folder) (report.RunComparison, error) {
			return judge.Compare(base, []store.Folder{later}, o)
		},
	}))
	t.Cleanup(s.Close)
	return s.URL + "/"
}

// keep stores a run like the reference run, but for its name, its labels, and the weight of 100 that its first backend had.
func keep(t *testing.T, dir, id string, labels map[string]string, weight int64) {
	t.Helper()
	reference, err := store.Open("../../results", "20261122t115449z-test-podinfo-zlcd")
	if err != nil {
		t.Fatal(err)
	}
	text, err := reference.ReadFile(record.ManifestFile)
	if err != nil {
		t.Fatal(err)
	}
	var m record.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	m.ID, m.Labels, m.Weights = id, labels, analyze.Weights{{Backend: "podinfo", W: weight}, {Backend: "podinfo-east", W: 100 - weight}}
	if text, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	in, err := reference.OpenStream(store.SamplesFile)
	if err != nil {
		t.Fatal(err)
	}
	samples, err := io.ReadAll(in)
	if err = errors.Join(err, in.Close()); err != nil {
		t.Fatal(err)
	}
	run, err := store.Create(dir, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(run.WriteFile(record.ManifestFile, text), run.Append(samples)); err != nil {
		t.Fatal(err)
	}
	f, err := store.Open(dir, id)
	if err != nil {
		t.Fatal(err)
	}
	r, err := judge.Analyze(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	var verdict bytes.Buffer
	if err := errors.Join(report.WriteJSON(&verdict, r), run.WriteFile(record.VerdictFile, verdict.Bytes()), run.Close(store.Complete)); err != nil {
		t.Fatal(err)
	}
}

// The list shows every run, newest first; it is filtered by label and by outcome, opens a report and compares two runs. With and
// without scripts the same is done with the mouse and the keyboard, and no page complains or asks for anything elsewhere.
func TestServedPages(t *testing.T) {
	site := served(t)
	browser := start(t, "127.0.0.1")
	t.Run("with scripts", func(t *testing.T) {
		b := openAt(t, browser, site)
		useServedPages(t, b, site)
		do(t, b, chromedp.Navigate(site), chromedp.WaitVisible(chromedp.CSS("table.sortable th button"))) // sorting is the list's one script
		b.quiet(t)
	})
	t.Run("without scripts", func(t *testing.T) {
		b := openAt(t, browser, site, command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
		useServedPages(t, b, site)
		do(t, b, chromedp.Navigate(site), chromedp.WaitVisible(chromedp.CSS("main.runs")), chromedp.WaitNotPresent(chromedp.CSS("th button")))
		b.quiet(t)
	})
}

func useServedPages(t *testing.T, b *tab, site string) {
	do(t, b, chromedp.Navigate(site))
	listed(t, b, latest, moved, early)
	list := text(t, b, "main.runs")
	for _, want := range []string{hostileLabel, "change=CHG-1", "10,000", "PASS", "FAIL"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list does not show %s", want)
		}
	}

	do(t, b, chromedp.SendKeys(chromedp.CSS("input[name=label]"), "change=CHG-2"+kb.Enter), chromedp.WaitVisible(chromedp.CSS(`input[name=label][value="change=CHG-2"]`)))
	listed(t, b, latest, moved)
	do(t, b, chromedp.SendKeys(chromedp.CSS("select[name=outcome]"), report.Fail), chromedp.Click(chromedp.CSS("form[role=search] button")), chromedp.WaitReady(chromedp.CSS("select[name=outcome] option[selected]")))
	listed(t, b, moved)
	do(t, b, chromedp.Click(chromedp.CSS("form[role=search] a")), chromedp.WaitVisible(chromedp.CSS(`input[name=label][value=""]`)))
	listed(t, b, latest, moved, early)
	do(t, b, chromedp.Navigate(site+"?outcome=invalid"), chromedp.WaitReady(chromedp.CSS("select[name=outcome] option[selected]")))
	if said := text(t, b, "main.runs"); !strings.Contains(said, "No run fits.") {
		t.Errorf("a filter that no run passes shows %q", said)
	}

	do(t, b, chromedp.Navigate(site), chromedp.Click(chromedp.CSS(`a[href="/runs/`+moved+`/"]`)), chromedp.WaitVisible(chromedp.CSS("#chart-shares svg")))
	if badge := text(t, b, ".badge"); badge != "FAIL" {
		t.Errorf("the report says %q, want FAIL", badge)
	}
	if page := text(t, b, "body"); !strings.Contains(page, moved) {
		t.Error("the report does not name its run")
	}

	do(t, b, chromedp.Click(chromedp.CSS(`nav[aria-label="Pages"] a`)), chromedp.WaitVisible(chromedp.CSS("main.runs")),
		chromedp.Click(chromedp.CSS(`input[name=run][value="`+early+`"]`)), chromedp.Click(chromedp.CSS(`input[name=run][value="`+latest+`"]`)),
		chromedp.Click(chromedp.CSS("form[aria-label=Compare] button")), chromedp.WaitVisible(chromedp.CSS(`nav[aria-label="Pages"] a`)))
	page := text(t, b, "body")
	for _, want := range []string{"PASS", early, latest, "podinfo-east"} {
		if !strings.Contains(page, want) {
			t.Errorf("the comparison does not show %s", want)
		}
	}
	// Its links lead to both reports, and a split to its history.
	for i, id := range []string{early, latest} {
		do(t, b, chromedp.Navigate(site+"compare?run="+latest+"&run="+early), chromedp.WaitVisible(chromedp.CSS("main")))
		link := ask[[]string](t, b, `[...document.querySelectorAll("dl.pairs a")].map(a => a.href)`)[i]
		do(t, b, chromedp.Navigate(link), chromedp.WaitVisible(chromedp.CSS("#chart-shares svg")))
		if !strings.Contains(text(t, b, "body"), id) {
			t.Errorf("%s does not lead to run %s", link, id)
		}
	}
	do(t, b, chromedp.Navigate(site), chromedp.Click(chromedp.CSS(`main.runs td a`)), chromedp.WaitVisible(chromedp.CSS("#chart-share-history svg")))
	if said := text(t, b, "header .lead"); !strings.Contains(said, "of 3 runs: 2 pass, 1 fail") {
		t.Errorf("the history says %q", said)
	}
	b.quiet(t)
}

// Every page of serve fits its window, has no fault in its pictures, and can be used by the keyboard alone.
func TestServedPagesFit(t *testing.T) {
	site := served(t)
	b := openAt(t, start(t, "127.0.0.1"), site)
	for _, path := range []string{"", "?outcome=pass", "runs/" + moved + "/", "compare?run=" + early + "&run=" + latest, "history?split=test/podinfo", "compare"} {
		do(t, b, chromedp.Navigate(site+path), chromedp.WaitVisible(chromedp.CSS("main")))
		for _, width := range []int64{360, 768, 1280, 1920} {
			do(t, b, chromedp.EmulateViewport(width, 900))
			for _, fault := range ask[struct{ Faults []string }](t, b, faults).Faults {
				t.Errorf("%s at %d: %s", path, width, fault)
			}
		}
	}
	do(t, b, chromedp.Navigate(site), chromedp.EmulateViewport(1280, 900), chromedp.WaitVisible(chromedp.CSS("main.runs")))
	if wide := ask[bool](t, b, `[...document.querySelectorAll(".scroll")].some(e => e.scrollWidth > e.clientWidth)`); wide {
		t.Error("the list is wider than a window of 1280 pixels")
	}
	// Tab reaches each control in turn: the two boxes are ticked and the button pressed without a mouse.
	do(t, b, chromedp.Focus(chromedp.CSS(`input[name=run]`)), chromedp.KeyEvent(" "))
	for range 9 {
		do(t, b, chromedp.KeyEvent(kb.Tab))
		if ask[string](t, b, `document.activeElement.name || ""`) == "run" {
			break
		}
	}
	do(t, b, chromedp.KeyEvent(" "), chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(chromedp.CSS("#base")))
}

// listed checks which runs the list shows, in which order.
func listed(t *testing.T, b *tab, want ...string) {
	t.Helper()
	links, err := chromedp.Run(b, chromedp.AttributesAll(chromedp.CSSAll(`main.runs th[scope=row] a`)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, link := range links {
		got = append(got, strings.TrimSuffix(strings.TrimPrefix(link["href"], "/runs/"), "/"))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the list shows %q, want %q", got, want)
	}
}

// text is the text that is seen of an element.
func text(t *testing.T, b *tab, selector string) string {
	t.Helper()
	s, err := chromedp.Run(b, chromedp.Text(chromedp.CSS(selector)))
	if err != nil {
		t.Fatalf("%v: %s", err, selector)
	}
	return s
}
