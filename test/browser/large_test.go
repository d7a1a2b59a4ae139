package browser

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/export"
	"github.com/splitbench/splitbench/internal/judge"
)

// million is the answers of a load test of a million requests over 1,000 s, half of each backend.
func million(yield func(export.Answer, error) bool) {
	start := time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC)
	bodies := [2][]byte{[]byte("greetings from west"), []byte("greetings from east")}
	for i := range 1_000_000 {
		sent := time.Duration(i) * time.Millisecond
		took := time.Millisecond + time.Duration(i*7919%40_000)*time.Microsecond
		r := attack.Result{Seq: uint64(i), Planned: sent, Sent: sent, FirstByte: sent + took, Done: sent + took, Status: 200, Conn: attack.UnknownConn}
		if !yield(export.Answer{Result: r, At: start.Add(sent), Body: bodies[i*2654435761>>7&1]}, nil) {
			return
		}
	}
}

// The page of a million requests is under 5 MB and opens in under 2 s; the clock is the browser's own.
func TestPageOfAMillionRequests(t *testing.T) {
	weights := analyze.Weights{{Backend: "podinfo", W: 50}, {Backend: "podinfo-east", W: 50}}
	var rules []judge.ClassifyRule
	for _, text := range []string{"podinfo=regexp:from west", "podinfo-east=regexp:from east"} {
		rule, err := judge.ParseClassify(text)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, rule)
	}
	r, err := judge.AnalyzeAnswers(million, weights, rules, analyze.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	address := write(t, r)
	info, err := os.Stat(strings.TrimPrefix(address, "file://"))
	if err != nil || info.Size() > 5<<20 {
		t.Errorf("the page is %d bytes, %v", info.Size(), err)
	}
	b := open(t, start(t), chromedp.Navigate(address), chromedp.WaitVisible(chromedp.CSS("main")))
	took := ask[float64](t, b, `performance.getEntriesByType("navigation")[0].loadEventEnd`)
	t.Logf("%d bytes, opened in %.0f ms", info.Size(), took)
	if took <= 0 || took > 2000 {
		t.Errorf("it opened in %.0f ms", took)
	}
	b.quiet(t)
}
