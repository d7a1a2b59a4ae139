package browser

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/splitbench/splitbench/internal/render"
	"github.com/splitbench/splitbench/internal/report"
)

// faults names what is wrong with the charts of a page: texts that stick out of their picture or cover each other, a legend whose
// picture shows nothing, and a page that is wider than what shows it. It counts the texts that it looked at.
const faults = `(() => {
	const out = [];
	let checked = 0;
	for (const svg of document.querySelectorAll("svg.plot")) {
		const box = svg.getBoundingClientRect();
		const texts = [...svg.querySelectorAll("text")].map(e => [e.textContent, e.getBoundingClientRect()]);
		checked += texts.length;
		const unit = box.width / svg.viewBox.baseVal.width;
		for (const [text, r] of texts)
			if (r.left < box.left - 1 || r.right > box.right + 1 || r.top < box.top - 1 || r.bottom > box.bottom + 1) out.push("outside: " + text);
		for (let i = 0; i < texts.length; i++) for (let k = 0; k < i; k++) {
			const a = texts[i][1], b = texts[k][1];
			if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 4 * unit && b.top < a.bottom - 4 * unit) out.push(texts[k][0] + " / " + texts[i][0]);
		}
		if (!svg.querySelector(".line, .dot, .dots, .area, .lost, .bar")) out.push("shows nothing: " + svg.getAttribute("aria-label"));
	}
	for (const svg of document.querySelectorAll("svg")) {
		if (!svg.getAttribute("width") || !svg.getAttribute("height")) out.push("a picture without a size of its own");
	}
	if (!document.querySelector("style")) document.querySelectorAll("pre").forEach(e => { e.remove(); }); // their lines cannot be wrapped
	if (document.documentElement.scrollWidth > innerWidth) {
		const wide = [...document.querySelectorAll("main *, header *")].find(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll, .copied"));
		out.push("the page is " + document.documentElement.scrollWidth + " wide in " + innerWidth + (wide ? ": " + wide.outerHTML.slice(0, 120) : ""));
	}
	return {Faults: out, Checked: checked};
})()`

// goldenPages are the pages of every golden report and comparison, by name.
func goldenPages(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	keep := func(name string, o report.Outline, doc any) {
		var b bytes.Buffer
		if err := render.HTML(&b, o, doc); err != nil {
			t.Fatal(err)
		}
		out[name] = b.String()
	}
	for name, r := range reports(t) {
		keep(name, r.Outline(), r)
	}
	for name, c := range comparisons(t) {
		keep(name, c.Outline(), c)
	}
	return out
}

// at writes a page to a file and gives its address.
func at(t *testing.T, page string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	return "file://" + path
}

// unstyled is a page whose styles the server's policy does not let in, as Jenkins' does.
func unstyled(page string) string {
	before, rest, _ := strings.Cut(page, "<style>")
	_, after, _ := strings.Cut(rest, "</style>")
	return before + after
}

// No text of a chart leaves its picture or covers another, on a telephone, a tablet, a screen and a wide one, in the dark, on
// paper, with forced colours, and where no style is let in.
func TestTextsOfChartsHaveTheirPlaces(t *testing.T) {
	browser := start(t)
	forced := command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "forced-colors", Value: "active"}},
	})
	views := []struct {
		name string
		set  []action
	}{
		{"360", []action{media("", "light"), chromedp.EmulateViewport(360, 740)}},
		{"768", []action{chromedp.EmulateViewport(768, 1000)}},
		{"1280", []action{chromedp.EmulateViewport(1280, 900)}},
		{"1920", []action{chromedp.EmulateViewport(1920, 1080)}},
		{"dark", []action{media("", "dark")}},
		{"forced colours", []action{forced}},
		{"paper", []action{media("print", "light"), chromedp.EmulateViewport(688, 1000)}},
	}
	type found struct {
		Faults  []string
		Checked int
	}
	pages, texts := 0, 0
	look := func(t *testing.T, b *tab, view string) {
		t.Helper()
		f := ask[found](t, b, faults)
		texts += f.Checked
		for _, fault := range f.Faults {
			t.Errorf("%s: %s", view, fault)
		}
	}
	for name, page := range goldenPages(t) {
		t.Run(name, func(t *testing.T) {
			pages++
			b := open(t, browser, chromedp.Navigate(at(t, page)), chromedp.WaitReady(chromedp.CSS("main")))
			for _, v := range views {
				do(t, b, v.set...)
				look(t, b, v.name)
			}
			do(t, b, media("", "light"), chromedp.EmulateViewport(1280, 900), chromedp.Navigate(at(t, unstyled(page))), chromedp.WaitReady(chromedp.CSS("main")))
			look(t, b, "without styles")
			do(t, b, chromedp.Navigate("about:blank"))
		})
	}
	t.Logf("%d texts checked, of %d pages in %d views", texts, pages, len(views)+1)
	if texts < 10_000 {
		t.Errorf("only %d texts were checked", texts)
	}
}
