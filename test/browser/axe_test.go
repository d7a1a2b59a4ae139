package browser

import (
	"fmt"
	"os"
	"testing"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// violations are the rules of axe-core that the page in a tab breaks, and where.
func violations(t *testing.T, b *tab, axe string) []string {
	t.Helper()
	ask[bool](t, b, axe+"; true")
	const run = `axe.run({resultTypes: ["violations"]}).then(r => r.violations.map(v => v.id + " (" + v.nodes.length + "): " + v.nodes[0].html.slice(0, 150)))`
	await := func(p *runtime.EvaluateParams) { p.AwaitPromise = new(true) }
	found, err := chromedp.Run(b, chromedp.Evaluate[[]string](run, await))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Nothing on any page keeps people out who see, hear or point differently, as far as axe-core can tell.
func TestAxe(t *testing.T) {
	name := os.Getenv("SPLITBENCH_AXE")
	if name == "" {
		t.Skip("SPLITBENCH_AXE is not set: no axe-core to look with; make browser-test fetches it")
	}
	axe, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	site := served(t)
	browser := start(t, "127.0.0.1")
	pages := 0
	look := func(b *tab, name, address string) {
		pages++
		do(t, b, chromedp.Navigate(address), chromedp.WaitReady(chromedp.CSS("main")))
		for _, v := range violations(t, b, string(axe)) {
			t.Errorf("%s: %s", name, v)
		}
	}
	b := open(t, browser)
	for name, page := range goldenPages(t) {
		look(b, name, at(t, page))
	}
	b = openAt(t, browser, site)
	for _, path := range []string{
		"", "runs/" + moved + "/", fmt.Sprintf("compare?run=%s&run=%s", early, latest), "history?split=test/podinfo", "compare",
	} {
		look(b, "serve /"+path, site+path)
	}
	t.Logf("%d pages", pages)
}
