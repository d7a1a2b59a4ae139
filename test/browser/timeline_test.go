package browser

import (
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/splitbench/splitbench/internal/report"
)

// covered names texts of a drawing that cover each other or stick out of it.
const covered = `(selector => {
	const out = [];
	for (const svg of document.querySelectorAll(selector)) {
		const box = svg.getBoundingClientRect();
		const texts = [...svg.querySelectorAll("text")].map(e => [e.textContent, e.getBoundingClientRect()]);
		for (const [text, r] of texts) if (r.left < box.left - 1 || r.right > box.right + 1 || r.top < box.top - 1 || r.bottom > box.bottom + 1) out.push("outside: " + text);
		for (let i = 0; i < texts.length; i++) for (let k = 0; k < i; k++) {
			const a = texts[i][1], b = texts[k][1];
			if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3) out.push(texts[k][0] + " / " + texts[i][0]);
		}
	}
	return out.join("; ");
})`

// visible says whether everything of a selector is drawn, at least so many units wide and high.
const visible = `((selector, least) => {
	const all = [...document.querySelectorAll(selector)];
	return all.length > 0 && all.every(e => { const b = e.getBBox(); return b.width >= least && b.height >= least && getComputedStyle(e).fill !== "none"; });
})`

// The timeline of a drill is there in whole and from near, in light and dark, on paper, on a telephone and without scripts: each
// kind of loss can be seen, each moment and event has its line, no text covers another, and a reader hears what is drawn.
func TestTimelineOfADrill(t *testing.T) {
	browser := start(t)
	drill := reports(t)["drill"]
	if drill.Kind != report.KindDrillReport {
		t.Fatalf("the golden drill is a %q", drill.Kind)
	}
	for name, first := range map[string][]action{
		"light": {media("", "light")}, "dark": {media("", "dark")}, "paper": {media("print", "light"), chromedp.EmulateViewport(720, 1000)},
		"telephone": {chromedp.EmulateViewport(375, 800)},
		"no script": {command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, browser, append(first, chromedp.Navigate(write(t, drill)), chromedp.WaitVisible(chromedp.CSS("#chart-timeline svg.plot")))...)
			charts := ask[int](t, b, `document.querySelectorAll("figure[id^=chart-timeline] svg.plot").length`)
			if charts < 2 {
				t.Errorf("%d charts, want the whole and one from near", charts)
			}
			if !ask[bool](t, b, visible+`("figure[id^=chart-timeline] path.lost", 1)`) || !ask[bool](t, b, visible+`("#chart-timeline svg.plot path.area", 1)`) {
				t.Error("shares or losses are not to be seen")
			}
			if n := ask[int](t, b, `document.querySelectorAll("#chart-timeline svg.plot path.lost").length`); n != 1+len(drill.Drill.LostByKind) {
				t.Errorf("%d drawings of losses, want one of shares and one for each kind", n)
			}
			if n := ask[int](t, b, `document.querySelectorAll("#chart-timeline path.mark").length`); n != len(drill.Drill.Events) {
				t.Errorf("%d lines of events, want %d", n, len(drill.Drill.Events))
			}
			if n := ask[int](t, b, `document.querySelectorAll("#chart-timeline path.moment").length`); n != 4 {
				t.Errorf("%d lines of moments, want 4", n)
			}
			if text := ask[string](t, b, covered+`("figure[id^=chart-timeline] svg.plot")`); text != "" && name != "telephone" {
				t.Errorf("texts cover each other: %s", text)
			}
			label := ask[string](t, b, `document.querySelector("#chart-timeline svg.plot").getAttribute("aria-label")`)
			for _, want := range []string{"100 lost", "first request lost of podinfo at 10.1s", "back to the declared split"} {
				if !strings.Contains(label, want) {
					t.Errorf("the label does not say %q: %s", want, label)
				}
			}
			if wide := ask[bool](t, b, `document.documentElement.scrollWidth > innerWidth`); wide {
				t.Error("the page is wider than what shows it")
			}
			if ask[bool](t, b, `!!document.querySelector("#chart-time")`) {
				t.Error("the chart over time says the same a second time, with less")
			}
			b.quiet(t)
		})
	}
}

// Marks of a run have their lines and numbers in the drawing, and the texts stand below.
func TestMarksOfARun(t *testing.T) {
	r := reports(t)["pass"]
	r.Series.Marks = []report.Mark{{AtSeconds: -2, Text: "mark: before"}, {AtSeconds: 12, Text: "mark: deployed"}, {AtSeconds: 30, Text: "<b>moved</b>"}}
	b := open(t, start(t), chromedp.Navigate(write(t, r)), chromedp.WaitVisible(chromedp.CSS("main")))
	if got := ask[string](t, b, `[...document.querySelectorAll("#chart-time text.flag")].map(e => e.textContent).join()`); got != "2,3" {
		t.Errorf("marks %q", got)
	}
	if got := ask[string](t, b, `[...document.querySelectorAll("#time ol li")].map(e => e.textContent.replace(/.*: /, "")).join()`); got != "before,deployed,<b>moved</b>" {
		t.Errorf("texts %q", got)
	}
	b.quiet(t)
}

// The chart of a sweep is drawn in light and dark, its texts do not cover each other, and a reader hears each rate.
func TestChartOfASweep(t *testing.T) {
	browser := start(t)
	sweep := reports(t)["latency-sweep"]
	for _, scheme := range []string{"light", "dark"} {
		b := open(t, browser, media("", scheme), chromedp.Navigate(write(t, sweep)), chromedp.WaitVisible(chromedp.CSS("#chart-sweep svg.plot")))
		if n := ask[int](t, b, `document.querySelectorAll("#chart-sweep svg.plot path.line").length`); n != 3 {
			t.Errorf("%d lines, want one for each quantile", n)
		}
		if !ask[bool](t, b, `[...document.querySelectorAll("#chart-sweep svg.plot path.line, #chart-sweep svg.plot path.range")].every(e => e.getBBox().width > 100 && getComputedStyle(e).stroke !== "none")`) {
			t.Error("lines or ranges are not to be seen")
		}
		if text := ask[string](t, b, covered+`("#chart-sweep svg.plot")`); text != "" {
			t.Errorf("texts cover each other: %s", text)
		}
		if label := ask[string](t, b, `document.querySelector("#chart-sweep svg.plot").getAttribute("aria-label")`); strings.Count(label, "limit holds") != 3 || !strings.Contains(label, "limit breaks") {
			t.Errorf("the label says %q", label)
		}
		b.quiet(t)
	}
}
