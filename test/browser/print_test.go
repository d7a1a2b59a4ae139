package browser

import (
	"context"
	"regexp"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// sheet begins a page in a PDF.
var sheet = regexp.MustCompile(`/Type\s*/Page\b`)

func printed(on page.PrintToPDFParams) chromedp.Action[page.PrintToPDFResult] {
	return func(ctx context.Context, t *chromedp.Target) (page.PrintToPDFResult, error) {
		return cdp.Call(ctx, t, page.PrintToPDF, on)
	}
}

// What every golden page says to its reader is printed on four sheets of A4; its appendix, the details, may go on.
func TestPagesPrintOnFourSheets(t *testing.T) {
	b := open(t, start(t))
	a4 := page.PrintToPDFParams{PaperWidth: 8.27, PaperHeight: 11.69, PreferCSSPageSize: new(true)}
	most := 0
	for name, html := range goldenPages(t) {
		t.Run(name, func(t *testing.T) {
			do(t, b, chromedp.Navigate(at(t, html)), chromedp.WaitReady(chromedp.CSS("main")))
			ask[bool](t, b, `document.querySelector("#appendix")?.remove(); true`)
			pdf, err := chromedp.Run(b, printed(a4))
			if err != nil {
				t.Fatal(err)
			}
			sheets := len(sheet.FindAll(pdf.Data, -1))
			limit := 4
			if name == "hostile" {
				limit = 5 // each of its names is a paragraph
			}
			if sheets < 1 || sheets > limit {
				t.Errorf("printed on %d sheets", sheets)
			}
			most = max(most, sheets)
		})
	}
	t.Logf("%d sheets at most", most)
}
