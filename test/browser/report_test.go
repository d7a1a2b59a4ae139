package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/splitbench/splitbench/internal/render"
	"github.com/splitbench/splitbench/internal/report"
)

// reports are the golden reports of internal/report, by name.
func reports(t *testing.T) map[string]report.Report {
	t.Helper()
	files, err := filepath.Glob("../../internal/report/testdata/*.json")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d golden reports, %v", len(files), err)
	}
	out := map[string]report.Report{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !oneOf(b, report.Kind, report.KindLatencyReport, report.KindDrillReport, report.KindWatchReport) {
			continue // another document
		}
		r, err := report.ReadJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out[strings.TrimSuffix(filepath.Base(file), ".json")] = r
	}
	return out
}

// comparisons are the golden comparisons of runs, by name.
func comparisons(t *testing.T) map[string]report.RunComparison {
	t.Helper()
	files, err := filepath.Glob("../../internal/report/testdata/comparison/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d golden comparisons, %v", len(files), err)
	}
	out := map[string]report.RunComparison{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var c report.RunComparison
		if err := json.Unmarshal(b, &c); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out[strings.TrimSuffix(filepath.Base(file), ".json")] = c
	}
	return out
}

func oneOf(doc []byte, kinds ...string) bool {
	return slices.ContainsFunc(kinds, func(kind string) bool { return bytes.Contains(doc, []byte(`"kind": "`+kind+`"`)) })
}

// write writes the page of a report and returns its address.
func write(t *testing.T, r report.Report) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := render.HTML(f, r.Outline(), r); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return "file://" + path
}

// drawn says whether a figure has lines, and all of them can be seen.
const drawn = `(id => {
	const all = [...document.querySelectorAll("#chart-" + id + " .plot .line")];
	return all.length > 0 && all.every(e => e.getBBox().width > 0 && getComputedStyle(e).stroke !== "none");
})`

// Every report opens without a network and without a complaint, says its outcome, and has its charts drawn. What a cluster or an
// answer said is text: it starts nothing, adds no element and turns no text around.
func TestEveryReportOpens(t *testing.T) {
	browser := start(t)
	all := reports(t)
	for name, r := range all {
		t.Run(name, func(t *testing.T) {
			b := open(t, browser, chromedp.Navigate(write(t, r)), chromedp.WaitVisible(chromedp.CSS("main")))
			if got := ask[string](t, b, `document.querySelector(".badge").textContent`); got != strings.ToUpper(r.Verdict.Outcome) {
				t.Errorf("the badge says %q, want %s", got, r.Verdict.Outcome)
			}
			if n := ask[int](t, b, `document.querySelectorAll("script").length`); n != 2 {
				t.Errorf("%d scripts, want the report and one", n)
			}
			const odd = `/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/`
			if ask[bool](t, b, odd+`.test(document.body.innerText)`) {
				t.Error("the page shows characters that act on text")
			}
			if r.Series != nil && r.Series.OverTime != nil && r.Series.OverTime.Windows > 1 && r.Drill == nil && !ask[bool](t, b, drawn+`("time")`) {
				t.Error("the chart over time is not drawn")
			}
			if r.Series != nil && r.Series.Latency != nil && !ask[bool](t, b, drawn+`("latency")`) {
				t.Error("the chart of latencies is not drawn")
			}
			if n := ask[int](t, b, `document.querySelectorAll("#chart-shares circle").length`); r.GoodnessOfFit != nil && n < len(r.Backends) {
				t.Errorf("%d shares are drawn, want %d", n, len(r.Backends))
			}
			b.quiet(t)
		})
	}
	if _, ok := all["hostile"]; !ok {
		t.Error("there is no hostile report")
	}
}

func TestHostileTextIsText(t *testing.T) {
	b := open(t, start(t), chromedp.Navigate(write(t, reports(t)["hostile"])), chromedp.WaitVisible(chromedp.CSS("main")))
	text := ask[string](t, b, `(document.querySelectorAll("details").forEach(d => { d.open = true; }), document.body.innerText)`)
	for _, want := range []string{"<script>alert(1)</script>", `\x1b[2J`, `\u{202e}`, "</pre><script>alert(2)</script>", "![x](http://evil.test/x.png)"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not show %s", want)
		}
	}
	if n := ask[int](t, b, `document.querySelectorAll("img, iframe, object, embed, link, form, base, a[href^='http'], a[href^='javascript']").length`); n != 0 {
		t.Errorf("%d elements that a report does not have", n)
	}
	b.quiet(t)
}

// A table is sorted with the keyboard alone: Tab to a heading, Enter, and Enter again for the other direction.
func TestTablesSortByKeyboard(t *testing.T) {
	b := open(t, start(t), chromedp.Navigate(write(t, reports(t)["many-backends"])), chromedp.WaitVisible(chromedp.CSS("#shares table th button")))
	column := func() []string {
		return ask[[]string](t, b, `[...document.querySelectorAll("#shares tbody tr")].map(r => r.cells[3].dataset.sort)`)
	}
	heading := `document.activeElement.closest("#shares th") ? document.activeElement.textContent : ""`
	for i := 0; ask[string](t, b, heading) != "Observed"; i++ {
		if i > 60 {
			t.Fatal("Tab never comes to the heading Observed")
		}
		do(t, b, chromedp.KeyEvent(kb.Tab))
	}
	if outline := ask[string](t, b, `getComputedStyle(document.activeElement).outlineStyle`); outline == "none" {
		t.Error("where the keyboard is cannot be seen")
	}
	for _, want := range []string{"ascending", "descending"} {
		do(t, b, chromedp.KeyEvent(kb.Enter))
		if got := ask[string](t, b, `document.activeElement.closest("th").getAttribute("aria-sort")`); got != want {
			t.Errorf("aria-sort is %q, want %q", got, want)
		}
		values := column()
		for i := 1; i < len(values); i++ {
			a, z := values[i-1], values[i]
			if want == "descending" {
				a, z = z, a
			}
			if len(a) > len(z) || len(a) == len(z) && a > z { // whole numbers
				t.Errorf("%s: %v", want, values)
				break
			}
		}
		if len(values) != 16 {
			t.Errorf("%d rows", len(values))
		}
	}
	b.quiet(t)
}

// A command's button copies it whole, by keyboard too, and keeps the focus.
func TestCommandsCanBeCopied(t *testing.T) {
	b := open(t, start(t), chromedp.Navigate(write(t, reports(t)["fail"])), chromedp.WaitReady(chromedp.CSS("#do .copied .copy")))
	ask[bool](t, b, `document.addEventListener("copy", () => { window.copied = document.activeElement.value });
		document.querySelector("#do .copied .copy").focus(); true`)
	do(t, b, chromedp.KeyEvent(kb.Enter))
	command := ask[string](t, b, `document.querySelector("#do .copied pre").textContent`)
	if got := ask[string](t, b, `window.copied || ""`); got != command || !strings.HasPrefix(command, "splitbench ") {
		t.Errorf("copied %q of %q", got, command)
	}
	if says := ask[string](t, b, `document.activeElement.textContent`); says != "Copied" {
		t.Errorf("the button says %q", says)
	}
	b.quiet(t)
}

// contrast is how well text can be told from what is behind it, as WCAG 2 computes it.
const contrast = `(selector => {
	const e = document.querySelector(selector);
	const rgb = s => s.match(/[\d.]+/g).map(Number);
	const lum = c => c.slice(0, 3).map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
		.reduce((n, v, i) => n + v * [0.2126, 0.7152, 0.0722][i], 0);
	let back = null;
	for (let p = e; p && !back; p = p.parentElement) {
		const c = rgb(getComputedStyle(p).backgroundColor);
		if (c.length === 3 || c[3] > 0) back = c;
	}
	const [a, b] = [lum(rgb(getComputedStyle(e).color)), lum(back || [255, 255, 255])];
	return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
})`

// Light and dark follow the reader's setting, and text of both can be read: 4.5 to 1 at least (WCAG 2 AA).
func TestLightAndDark(t *testing.T) {
	browser := start(t)
	all := reports(t)
	for _, name := range []string{"pass", "fail", "inconclusive", "invalid-changed"} {
		var background []float64
		for _, scheme := range []string{"light", "dark"} {
			b := open(t, browser, media("", scheme), chromedp.Navigate(write(t, all[name])), chromedp.WaitVisible(chromedp.CSS("main")))
			for _, selector := range []string{".badge", "h1", ".lead", ".facts dt", "figcaption", "td", "th button", "nav a", ".state"} {
				if c := ask[float64](t, b, contrast+`("`+selector+`")`); c < 4.5 {
					t.Errorf("%s, %s: contrast of %s is %.1f", name, scheme, selector, c)
				}
			}
			background = append(background, ask[float64](t, b, `Number(getComputedStyle(document.body).backgroundColor.match(/\d+/)[0])`))
			b.quiet(t)
		}
		if background[0] < 200 || background[1] > 60 {
			t.Errorf("%s: backgrounds %v, want a light and a dark one", name, background)
		}
	}
}

// On paper the charts are there, links to sections go, and nothing is wider than the sheet.
func TestPrintLayout(t *testing.T) {
	browser := start(t)
	for _, name := range []string{"pass", "many-backends", "hostile"} {
		b := open(t, browser, chromedp.Navigate(write(t, reports(t)[name])), chromedp.WaitVisible(chromedp.CSS("main")))
		do(t, b, media("print", "dark"), chromedp.EmulateViewport(720, 1000))
		const shown = `(s => { const e = document.querySelector(s); return !!e && getComputedStyle(e).display !== "none"; })`
		for selector, want := range map[string]bool{"#chart-time svg.plot": true, "nav.toc": false, "#chart-shares svg.plot": true} {
			if ask[bool](t, b, shown+`("`+selector+`")`) != want {
				t.Errorf("%s: on paper %s is shown: want %v", name, selector, want)
			}
		}
		if wide := ask[int](t, b, `document.documentElement.scrollWidth`); wide > 720 {
			t.Errorf("%s: the page is %d wide, paper 720", name, wide)
		}
		pdf, err := chromedp.Run(b, func(ctx context.Context, t *chromedp.Target) ([]byte, error) {
			out, err := cdp.Call(ctx, t, page.PrintToPDF, page.PrintToPDFParams{})
			return out.Data, err
		})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(pdf, []byte("%PDF-")) || bytes.Count(pdf, []byte("/Type /Page\n")) > 20 {
			t.Errorf("%s: printed %d bytes, %d pages", name, len(pdf), bytes.Count(pdf, []byte("/Type /Page\n")))
		}
		b.quiet(t)
	}
}

// Without scripts all is there but sorting.
func TestWithoutScript(t *testing.T) {
	b := open(t, start(t), command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}), chromedp.Navigate(write(t, reports(t)["pass"])), chromedp.WaitVisible(chromedp.CSS("#chart-time svg.plot")))
	do(t, b, chromedp.WaitVisible(chromedp.CSS("#chart-latency svg.plot")), chromedp.WaitVisible(chromedp.CSS("#chart-shares svg.plot")), chromedp.WaitNotPresent(chromedp.CSS("th button")))
	b.quiet(t)
}

// tooWide names what sticks out of the page.
const tooWide = `[...document.querySelectorAll("body *")].filter(e => !e.closest(".scroll, svg") && e.getBoundingClientRect().right > innerWidth)
	.map(e => e.tagName + "." + e.className).join(" ")`

// A telephone shows the page without scrolling it sideways; wide tables and charts scroll by themselves.
func TestNarrow(t *testing.T) {
	browser := start(t)
	for _, name := range []string{"pass", "many-backends", "hostile"} {
		b := open(t, browser, chromedp.EmulateViewport(375, 800), chromedp.Navigate(write(t, reports(t)[name])), chromedp.WaitVisible(chromedp.CSS("main")))
		if wide := ask[int](t, b, `document.documentElement.scrollWidth`); wide > 375 {
			t.Errorf("%s: the page is %d wide on a screen of 375: %s", name, wide, ask[string](t, b, tooWide))
		}
		b.quiet(t)
	}
}

// What a screen reader gets: one main heading, headings in order, tables with captions, and a name for every picture.
func TestScreenReader(t *testing.T) {
	b := open(t, start(t), chromedp.Navigate(write(t, reports(t)["fail"])), chromedp.WaitVisible(chromedp.CSS("main")))
	tree, err := chromedp.Run(b, func(ctx context.Context, t *chromedp.Target) ([]*accessibility.Node, error) {
		out, err := cdp.Call(ctx, t, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
		return out.Nodes, err
	})
	if err != nil {
		t.Fatal(err)
	}
	images, landmarks := 0, map[string]int{}
	for _, n := range tree {
		if n.Ignored || n.Role == nil {
			continue
		}
		role := strings.Trim(string(n.Role.Value), `"`)
		name := ""
		if n.Name != nil {
			name = strings.Trim(string(n.Name.Value), `"`)
		}
		landmarks[role]++
		if role == "image" || role == "img" {
			images++
			if name == "" {
				t.Error("a picture has no name")
			}
		}
		if (role == "table" || role == "figure") && name == "" {
			t.Errorf("a %s has no name", role)
		}
	}
	if images < 3 || landmarks["main"] != 1 || landmarks["banner"] != 1 || landmarks["navigation"] != 1 {
		t.Errorf("%d pictures, landmarks %v", images, landmarks)
	}
	levels := ask[[]int](t, b, `[...document.querySelectorAll("h1, h2, h3")].map(h => Number(h.tagName[1]))`)
	for i, l := range levels {
		if l == 1 && i > 0 || i > 0 && l > levels[i-1]+1 {
			t.Errorf("headings %v skip a level at %d", levels, i)
		}
	}
	b.quiet(t)
}
