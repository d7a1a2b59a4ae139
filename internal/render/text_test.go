package render

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/splitbench/splitbench/internal/report"
)

func asText(t *testing.T, o report.Outline, opts TextOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := Text(&b, o, opts); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGoldenText(t *testing.T) {
	all := outlines(t)
	for _, name := range []string{"pass-small-canary", "hostile", "drill", "latency-sweep", "pass-baseline", "compare-inconclusive", "pass-pods-apart"} {
		golden(t, name+".txt", []byte(asText(t, all[name], TextOptions{})))
	}
	golden(t, "pass-pods-wide.txt", []byte(asText(t, all["pass-pods"], TextOptions{Wide: true})))
}

func TestTextIsSafeAndFits(t *testing.T) {
	for name, o := range outlines(t) {
		for _, width := range []int{0, 60, 80, 120, 200} {
			text := asText(t, o, TextOptions{Width: width})
			for _, r := range text {
				if r != '\n' && !unicode.IsPrint(r) {
					t.Errorf("%s: %U on the terminal", name, r)
				}
			}
			if width == 0 {
				width = defaultWidth
			}
			for line := range strings.Lines(text) {
				line = strings.TrimRight(line, "\n")
				command := strings.HasPrefix(strings.TrimSpace(line), "splitbench ") || strings.HasPrefix(strings.TrimSpace(line), "kubectl ")
				whole := len(strings.Fields(line)) <= 2 || strings.HasPrefix(line, "  request ") // a path, a URL or an answer is never broken
				if width >= 80 && textWidth(line) > width && !command && !whole {
					t.Errorf("%s: %d columns in %d: %s", name, textWidth(line), width, line)
				}
				if strings.TrimRight(line, " ") != line {
					t.Errorf("%s: space at the end of %q", name, line)
				}
			}
		}
	}
}

// The verdict is first, and last where the screen has scrolled.
func TestVerdictIsFirstAndLast(t *testing.T) {
	for name, o := range outlines(t) {
		text := asText(t, o, TextOptions{})
		word := strings.ToUpper(o.Outcome) + "  "
		if !strings.HasPrefix(text, word) {
			t.Errorf("%s begins with %.40q", name, text)
		}
		blocks := strings.Split(strings.TrimSpace(text), "\n\n")
		if strings.Count(text, "\n") > longText+2 && !strings.HasPrefix(blocks[len(blocks)-1], word) {
			t.Errorf("%s: a long report ends with %q", name, blocks[len(blocks)-1])
		}
	}
	if text := asText(t, outlines(t)["simulated"], TextOptions{}); !strings.HasPrefix(text, "PASS  (simulated) ") || !strings.Contains(text, "Simulated: both clusters") {
		t.Errorf("that it is simulated is not said:\n%s", text)
	}
}

// Where a terminal has no more than ASCII, nothing else is drawn; the words are the same.
func TestASCII(t *testing.T) {
	for name, o := range outlines(t) {
		if strings.HasSuffix(name, "hostile") {
			continue // its names are none
		}
		for _, r := range asText(t, o, TextOptions{ASCII: true}) {
			if r > unicode.MaxASCII {
				t.Errorf("%s: %U", name, r)
				break
			}
		}
	}
}

// The mark is in the bar of a backend that got its share, and behind it or inside it of one that did not.
func TestBarsShowTheGap(t *testing.T) {
	for name, want := range map[string][2]string{
		"pass": {"########|", "########|"},
		"fail": {"|####", "##...."},
	} {
		text := asText(t, outlines(t)[name], TextOptions{ASCII: true})
		var bars []string
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "podinfo") && strings.Contains(line, "##") {
				bars = append(bars, strings.Fields(line)[1])
			}
		}
		if len(bars) != 2 || !strings.Contains(bars[0], want[0]) || !strings.Contains(bars[1], want[1]) || len(bars[0]) != len(bars[1]) {
			t.Errorf("%s: bars %q, want parts %q", name, bars, want)
		}
	}
}

func TestColorIsOnlyPaint(t *testing.T) {
	for name, o := range outlines(t) {
		plain, painted := asText(t, o, TextOptions{}), asText(t, o, TextOptions{Color: true})
		if !strings.Contains(painted, "\x1b[") {
			t.Errorf("%s: no colour", name)
		}
		for _, c := range []color{green, red, yellow, purple} {
			painted = strings.ReplaceAll(painted, "\x1b["+string(c)+"m", "")
		}
		if painted = strings.ReplaceAll(painted, "\x1b[0m", ""); painted != plain {
			t.Errorf("%s: colour changes the text:\n%s", name, painted)
		}
	}
}

// A table that is too wide is laid out in several, each of which names its rows; no column is lost.
func TestWideTablesAreSplit(t *testing.T) {
	table := report.Table{Columns: []report.Column{{Title: "name", Left: true}}, Rows: [][]report.Cell{{{Text: strings.Repeat("n", 40)}}}}
	for _, title := range []string{"one", "two", "three", "four", "five", "six"} {
		table.Columns = append(table.Columns, report.Column{Title: title})
		table.Rows[0] = append(table.Rows[0], report.Cell{Text: title + strings.Repeat("x", 12)})
	}
	text := asText(t, report.Outline{Sections: []report.Section{{Blocks: []report.Block{table}}}}, TextOptions{Width: 60})
	if widest(text) > 60 || strings.Count(text, "NAME") < 2 || !strings.Contains(text, "nn..nn") {
		t.Errorf("not within 60 columns, or not named:\n%s", text)
	}
	for _, c := range table.Columns[1:] {
		if !strings.Contains(text, strings.ToUpper(c.Title)) || !strings.Contains(text, c.Title+"xx") {
			t.Errorf("column %s is lost:\n%s", c.Title, text)
		}
	}
}

type brokenWriter struct{}

var errBroken = errors.New("broken pipe")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestWriteErrorsAreReturned(t *testing.T) {
	r := reports(t)["pass"]
	o := r.Outline()
	for name, err := range map[string]error{
		"text": Text(brokenWriter{}, o, TextOptions{}), "markdown": Markdown(brokenWriter{}, o, Long), "html": HTML(brokenWriter{}, o, r),
		"junit": JUnit(brokenWriter{}, "x", r.Suite()), "json": report.WriteJSON(brokenWriter{}, r),
	} {
		if !errors.Is(err, errBroken) {
			t.Errorf("%s: %v, want the writer's error", name, err)
		}
	}
}

// A document may lack what this version writes, and may hold anything: it is rendered in every format, and never panics or
// hangs.
func TestOddDocumentsAreRendered(t *testing.T) {
	for name, change := range map[string]func(r *report.Report){
		"no quantiles": func(r *report.Report) {
			r.GatewayCost.Backends[1].Quantiles, r.GatewayCost.Costs[0].Quantiles = nil, nil
		},
		"too many windows":    func(r *report.Report) { r.Series.OverTime.Windows = 1 << 60 },
		"windows of no time":  func(r *report.Report) { r.Series.OverTime.WindowSeconds = 5e-324 },
		"curves without time": func(r *report.Report) { r.Series.Latency.Curves = []report.LatencyCurve{{Backend: "podinfo"}} },
		"a share beyond all":  func(r *report.Report) { r.Backends[0].ExpectedShare = 1e300 },
		"an unknown outcome":  func(r *report.Report) { r.Verdict.Outcome = "\x1b[31m<b>" },
		"no pods' backends": func(r *report.Report) {
			r.Source.Pods = []report.SourcePod{{Pod: "a"}, {Pod: "b", Backends: make([]report.PodShare, 3)}}
		},
		"pods that agree and nothing else": func(r *report.Report) { r.Source.Agreement = &report.Agreement{Alike: true, Pods: &report.GroupTest{}} },
		"pods that differ and nothing else": func(r *report.Report) {
			r.Source.Agreement = &report.Agreement{StandOut: make([]report.StandsOut, 1), StandOutPods: 3, Nodes: &report.GroupTest{}}
		},
		"two costs": func(r *report.Report) {
			r.GatewayCost.Costs = append(r.GatewayCost.Costs, report.BackendCost{Backend: "x", Shift: make([]report.QuantileDifference, 20)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := reports(t)["gateway-cost"]
			change(&r)
			var b bytes.Buffer
			if err := errors.Join(
				HTML(&b, r.Outline(), r), Text(&b, r.Outline(), TextOptions{Width: 100, Color: true}), Markdown(&b, r.Outline(), Long), JUnit(&b, "x", r.Suite()),
			); err != nil {
				t.Error(err)
			}
		})
	}
}

func FuzzDocumentsAreRendered(f *testing.F) {
	for _, doc := range documents(f, "") {
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		r, err := report.ReadJSON(bytes.NewReader(doc))
		if err != nil {
			return
		}
		var text, md bytes.Buffer
		if err := errors.Join(Text(&text, r.Outline(), TextOptions{}), Markdown(&md, r.Outline(), Short)); err != nil {
			t.Fatal(err)
		}
		for _, c := range text.String() {
			if c != '\n' && !unicode.IsPrint(c) {
				t.Fatalf("text holds %U", c)
			}
		}
	})
}
