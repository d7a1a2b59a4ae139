package browser

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/splitbench/splitbench/internal/report"
)

var screenshots = flag.String("screenshots", "", "folder to write pictures of reports to, for the documents")

// TestScreenshots takes the pictures that the README shows: of the demo, seeded, one for each outcome. Without -screenshots it only
// sees that they are there and are pictures.
func TestScreenshots(t *testing.T) {
	runs := map[string][]string{
		"pass": nil, "fail": {"--true-weights", "podinfo=65,podinfo-east=35"}, "inconclusive": {"--requests", "200"},
	}
	dir := *screenshots
	if dir == "" {
		dir = "../../docs/screenshots"
		for name := range runs {
			for _, scheme := range []string{"", "-dark"} {
				b, err := os.ReadFile(filepath.Join(dir, name+scheme+".png"))
				if err != nil || !bytes.HasPrefix(b, []byte("\x89PNG")) {
					t.Errorf("%s%s: %v", name, scheme, err)
				}
			}
		}
		return
	}
	browser := start(t)
	for name, args := range runs {
		command := exec.CommandContext(t.Context(), "../../bin/splitbench", append([]string{
			"demo", "--seed", "1", "--fail-on", "never",
			"-q", "-o", "json", "--results-dir", t.TempDir(),
		}, args...)...)
		doc, err := command.Output()
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		r, err := report.ReadJSON(bytes.NewReader(doc))
		if err != nil {
			t.Fatal(err)
		}
		if r.Verdict.Outcome != name {
			t.Errorf("%s: the outcome is %s", name, r.Verdict.Outcome)
		}
		for _, scheme := range []string{"light", "dark"} {
			b := open(t, browser, media("", scheme), chromedp.EmulateViewport(1120, 1500), chromedp.Navigate(write(t, r)), chromedp.WaitVisible(chromedp.CSS("main")))
			picture, err := chromedp.Run(b, func(ctx context.Context, t *chromedp.Target) ([]byte, error) {
				out, err := cdp.Call(ctx, t, page.CaptureScreenshot, page.CaptureScreenshotParams{})
				return out.Data, err
			})
			if err != nil {
				t.Fatal(err)
			}
			file := name
			if scheme == "dark" {
				file += "-dark"
			}
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, file+".png"), picture, 0o644); err != nil {
				t.Fatal(err)
			}
			b.quiet(t)
		}
	}
}
