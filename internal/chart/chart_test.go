package chart

import (
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

const hostile = `</svg><script>alert("1")</script>&` + "\x1b[2J\u202e'"

func percent(v float64) string { return strconv.FormatFloat(v*100, 'g', 6, 64) + "%" }
func plain(v float64) string   { return strconv.FormatFloat(v, 'g', 6, 64) }

func to[T any](v T) *T { return &v }

// shares are bars as a report has them.
func shares() Bars {
	return Bars{
		X: Axis{Most: 1, Text: percent}, Values: "observed", Ranges: "likely range", Targets: "weight", Tolerances: "allowed",
		Rows: []Bar{
			{Name: "podinfo", Text: "50.5 %, weight 50 %", Value: to(0.505), Range: &Range{0.48, 0.53}, Target: 0.5, Tolerated: &Range{0.45, 0.55}},
			{Name: hostile, Text: hostile, Series: 1, Value: to(0.02), Range: &Range{0.01, 0.04}, Target: 0.03, Tolerated: &Range{-0.02, 0.08}},
			{Name: "silent", Text: "nothing observed", Series: 2, Target: 0.47},
		},
	}
}

// overTime is shares over time.
func overTime() Plot {
	panel := Panel{Height: High, Y: Axis{Most: 1, Text: percent}, Rules: []Rule{{Y: 0.5, Text: "weight 50%"}}}
	for series := range 2 {
		line := Line{Name: fmt.Sprint("backend ", series), Series: series}
		for i := range 10 {
			line.Points = append(line.Points, Point{X: float64(i) + 0.5, Y: 0.5 + 0.02*float64(series*2-1)*float64(i%3)})
		}
		panel.Lines = append(panel.Lines, line)
	}
	panel.Bands = [][]Point{{{X: 0.5, Range: &Range{0.4, 0.6}}, {X: 9.5, Range: &Range{0.45, 0.55}}}}
	return Plot{
		X: Axis{Max: 10, Label: "seconds", Text: plain}, Panels: []Panel{panel},
		Events: []Mark{{At: -1, Text: "1", Shape: Letter}, {At: 3, Text: "2", Shape: Letter}, {At: 3.1, Text: "3", Shape: Letter}, {At: 9, Text: "4", Shape: Letter}},
	}
}

// sweep has logarithmic axes, ranges, and words beside its marks.
func sweep() Plot {
	return Plot{
		X: Axis{Log: true, Label: "requests per second", Text: plain},
		Panels: []Panel{{
			Height: High, Y: Axis{Log: true, Text: plain}, Rules: []Rule{{Y: 50, Text: "limit: 50 ms"}},
			Lines: []Line{{Name: "p99", Dots: true, Points: []Point{
				{X: 50, Y: 3, Range: &Range{2.5, 4}}, {X: 200, Y: 5, Range: &Range{4, 7}}, {X: 300, Y: math.NaN()}, {X: 540, Y: 180},
			}}},
		}},
		Events: []Mark{{At: 500, Text: "holds at 500/s"}, {At: 540, Text: "breaks at 540/s"}},
	}
}

// timeline is panels below each other, with all shapes.
func timeline() Plot {
	edges := []float64{0, 1, 2, 3, 4}
	return Plot{
		X: Axis{Max: 4, Label: "seconds", Text: plain},
		Panels: []Panel{
			{
				Title: "answered", Height: 140, Y: Axis{Max: 1, Ticks: []float64{0, 0.5, 1}, Text: percent},
				Stack: &Stack{Edges: edges, Parts: []Part{
					{Name: "podinfo", Values: []float64{0.5, 0.5, math.NaN(), 1}},
					{Name: "nobody known", Series: Unknown, Values: []float64{0, 0.1, 0, 0}},
					{Name: "lost", Series: Lost, Values: []float64{0.5, 0.4, 0, 0}},
				}},
				Rules: []Rule{{Y: 0.5, From: 0, To: 2}, {Y: 0, From: 2, To: 4}},
			},
			{Title: "lost, timeout: 1", Height: 30, Y: Axis{Max: 1000}, Stack: &Stack{Edges: edges, Seen: true, Parts: []Part{{Series: Lost, Values: []float64{0, 1}}}}},
			{Title: "lost, http 502: 1000", Height: 30, Y: Axis{Max: 1000}, Stack: &Stack{Edges: edges, Seen: true, Parts: []Part{{Series: Lost, Values: []float64{1000, 0}}}}},
			{Title: "times", Height: 90, Y: Axis{Log: true, Text: plain}, Lines: []Line{{Name: "median", Points: []Point{{X: 0.5, Y: 3}, {X: 1.5, Y: math.NaN()}, {X: 3.5, Y: 3}}}}},
		},
		Events:  []Mark{{At: 0.5, Text: "1", Shape: Pin}, {At: 1.5, Text: "2", Shape: Diamond}, {At: 2.5, Text: "3", Shape: Circle}, {At: 4, Text: "4", Shape: Square}},
		Moments: []Mark{{At: 1, Text: "A", Shape: Letter, Range: &Range{0.8, 1}}, {At: 3, Text: "B", Shape: Letter, Range: &Range{3, 3}}},
	}
}

func charts() map[string]Chart {
	return map[string]Chart{
		"shares": shares(), "time": overTime(), "sweep": sweep(), "timeline": timeline(),
		"empty-bars": Bars{X: Axis{Text: plain}}, "empty-plot": Plot{X: Axis{Text: plain}, Panels: []Panel{{Height: High, Y: Axis{Text: plain}}}},
		"single-point": Plot{X: Axis{Text: plain}, Panels: []Panel{{Height: High, Y: Axis{Text: plain}, Lines: []Line{{Name: "one", Points: []Point{{X: 3, Y: 7}}}}}}},
	}
}

func TestGolden(t *testing.T) {
	for name, c := range charts() {
		var got strings.Builder
		for _, e := range c.Legend() {
			got.WriteString(string(e.Swatch) + e.Name + "\n")
		}
		got.WriteString(string(c.SVG("a label: "+hostile)) + "\n")
		path := filepath.Join("testdata", name+".svg")
		if *update {
			if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

// text is a text of a picture with its place.
type text struct {
	said             string
	low, high, above float64
	under            float64
}

// read parses a picture: its height, its texts, and all its coordinates are numbers.
func read(t *testing.T, svg string) (height float64, texts []text) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	attributes := map[string]string{}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return height, texts
		}
		if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
		switch e := token.(type) {
		case xml.StartElement:
			attributes = map[string]string{"element": e.Name.Local}
			for _, a := range e.Attr {
				attributes[a.Name.Local] = a.Value
				if a.Name.Local != "aria-label" && (strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf")) {
					t.Errorf("%s=%q", a.Name.Local, a.Value)
				}
			}
			switch e.Name.Local {
			case "svg":
				height = float(t, strings.Fields(attributes["viewBox"])[3])
			case "path", "rect", "circle", "text":
			default:
				t.Errorf("an element %s", e.Name.Local)
			}
		case xml.CharData:
			if attributes["element"] == "text" {
				texts = append(texts, place(t, string(e), attributes))
			}
		case xml.EndElement:
			attributes = map[string]string{}
		}
	}
}

// Widths of the letters from the space to the tilde in hundredths of the size, from the hmtx tables of DejaVu Sans
// and DejaVu Sans Bold 2.37, read by fontTools; others are about 1.
var (
	regular = []int{
		32, 40, 46, 84, 64, 95, 78, 27, 39, 39, 50, 84, 32, 36, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 34, 34, 84, 84, 84, 53,
		100, 68, 69, 70, 77, 63, 58, 77, 75, 29, 29, 66, 56, 86, 75, 79, 60, 79, 69, 63, 61, 73, 68, 99, 69, 61, 69, 39, 34, 39, 84, 50,
		50, 61, 63, 55, 63, 62, 35, 63, 63, 28, 28, 58, 28, 97, 63, 61, 63, 63, 41, 52, 39, 63, 59, 82, 59, 59, 52, 64, 34, 64, 84,
	}
	bold = []int{
		35, 46, 52, 84, 70, 100, 87, 31, 46, 46, 52, 84, 38, 42, 38, 37, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 40, 40, 84, 84, 84, 58,
		100, 77, 76, 73, 83, 68, 68, 82, 84, 37, 37, 77, 64, 100, 84, 85, 73, 85, 77, 72, 68, 81, 77, 110, 77, 72, 73, 46, 37, 46, 84, 50,
		50, 67, 72, 59, 72, 68, 44, 72, 71, 34, 34, 67, 34, 104, 71, 69, 72, 72, 49, 60, 48, 71, 65, 92, 65, 65, 58, 71, 37, 71, 84,
	}
)

// place is where a text stands in these fonts.
func place(t *testing.T, said string, a map[string]string) text {
	t.Helper()
	size, letters := 12.0, regular
	switch a["class"] {
	case "name":
		size, letters = 13.5, bold
	case "value":
		size = 13.5
	case "heading", "flag":
		letters = bold
	}
	w, x, y := 0.0, float(t, a["x"]), float(t, a["y"])
	for _, r := range said {
		if i := int(r - ' '); i >= 0 && i < len(letters) {
			w += size * float64(letters[i]) / 100
		} else {
			w += size
		}
	}
	switch a["text-anchor"] {
	case "end":
		x -= w
	case "middle":
		x -= w / 2
	}
	return text{said, x, x + w, y - 0.75*size, y + 0.2*size}
}

func float(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// readable fails where a text leaves the picture or covers another.
func readable(t *testing.T, name, svg string) {
	t.Helper()
	height, texts := read(t, svg)
	for i, a := range texts {
		if a.low < -1 || a.high > 901 || a.above < -1 || a.under > height {
			t.Errorf("%s: %q leaves the picture: %+v", name, a.said, a)
		}
		for _, b := range texts[:i] {
			if a.low < b.high && b.low < a.high && a.above < b.under && b.above < a.under {
				t.Errorf("%s: %q covers %q: %+v, %+v", name, a.said, b.said, a, b)
			}
		}
	}
}

func TestTextsStayReadable(t *testing.T) {
	for name, c := range charts() {
		readable(t, name, string(c.SVG("label")))
	}
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 100 {
		readable(t, fmt.Sprint("seed ", seed), string(anyPlot(rng).SVG("label")))
		if t.Failed() {
			return
		}
	}
}

// anyPlot is a plot of whatever a document may hold.
func anyPlot(rng *rand.Rand) Plot {
	number := func() float64 {
		return []float64{0, 1, -1, rng.Float64(), rng.ExpFloat64() * 1e3, math.NaN(), math.Inf(1), 1e300, -1e300, 1e-300, 1e6 + 1e-10*rng.Float64()}[rng.IntN(11)]
	}
	p := Plot{X: Axis{Log: rng.IntN(2) == 0, Label: strings.Repeat("label ", rng.IntN(40)), Text: plain}}
	for range rng.IntN(4) {
		panel := Panel{Height: High, Y: Axis{Log: rng.IntN(2) == 0, Text: plain}, Title: strings.Repeat("title ", rng.IntN(60))}
		for series := range rng.IntN(5) {
			line := Line{Series: series, Dots: rng.IntN(2) == 0}
			for range rng.IntN(20) {
				line.Points = append(line.Points, Point{X: number(), Y: number(), Range: &Range{number(), number()}})
			}
			panel.Lines = append(panel.Lines, line)
		}
		for range rng.IntN(30) {
			panel.Rules = append(panel.Rules, Rule{Y: number(), Text: strings.Repeat("w", rng.IntN(150))})
		}
		p.Panels = append(p.Panels, panel)
	}
	for i := range rng.IntN(40) {
		p.Events = append(p.Events, Mark{At: number(), Text: fmt.Sprint(i), Shape: Shape(rng.IntN(6)), Range: &Range{number(), number()}})
		p.Moments = append(p.Moments, Mark{At: number(), Text: strings.Repeat("long ", rng.IntN(40)), Shape: Shape(rng.IntN(2))})
	}
	return p
}

// A name from a cluster is text wherever it stands; read refuses any element that the package does not draw.
func TestHostileNamesAreText(t *testing.T) {
	b := shares()
	svg := string(b.SVG(hostile))
	_, texts := read(t, svg)
	found := false
	for _, text := range texts {
		found = found || strings.HasPrefix(text.said, "</svg><script>")
	}
	if !found || strings.Contains(svg, "<script") || strings.Contains(svg, `alert("`) {
		t.Errorf("the name is not shown as it is: %s", svg)
	}
}

// 300 series are drawn each, in bounded time and always alike.
func TestManySeries(t *testing.T) {
	var b Bars
	b.X = Axis{Most: 1, Text: percent}
	panel := Panel{Height: High, Y: Axis{Text: percent}}
	for i := range 300 {
		b.Rows = append(b.Rows, Bar{Name: fmt.Sprint("backend-", i), Series: i, Value: to(1.0 / 300), Target: 1.0 / 300})
		panel.Lines = append(panel.Lines, Line{Name: fmt.Sprint("backend-", i), Series: i, Points: []Point{{0, float64(i) / 300, nil}, {1, 0, nil}}})
	}
	p := Plot{X: Axis{Text: plain}, Panels: []Panel{panel}}
	bars, lines := string(b.SVG("")), string(p.SVG(""))
	if n := strings.Count(bars, "<circle"); n != 300 {
		t.Errorf("%d bars", n)
	}
	if n := strings.Count(lines, `class="line`); n != 300 || len(p.Legend()) != 300 {
		t.Errorf("%d lines, %d in the legend", n, len(p.Legend()))
	}
	if bars != string(b.SVG("")) || lines != string(p.SVG("")) {
		t.Error("the same numbers are drawn in two ways")
	}
	readable(t, "bars", bars)
	readable(t, "lines", lines)
	// 24 lines differ in colour or dashes.
	seen := map[string]bool{}
	for i := range 24 {
		seen[string(Key(i))] = true
	}
	if len(seen) != 24 {
		t.Errorf("%d ways to draw 24 lines", len(seen))
	}
}

// What is above 0 is drawn at least 3 high and 2 wide, within the panel, however little it is and wherever it lies.
func TestSmallLossesAreSeen(t *testing.T) {
	const n = 418
	edges := make([]float64, 10*n+1)
	for i := range edges {
		edges[i] = float64(i)
	}
	rng := rand.New(rand.NewPCG(7, 7))
	x := Axis{Min: 0, Max: 10 * n}.lay(nothing(), left, right, mostAcross)
	for range 50 {
		values := make([]float64, len(edges)-1)
		column := rng.IntN(len(values))
		values[column] = 1
		s := Stack{Edges: edges, Seen: true, Parts: []Part{{Series: Lost, Values: values}}}
		var c canvas
		s.draw(&c, x, Axis{Max: 1e6}.lay(nothing(), 100, 70, 2))
		var from, base, top, to float64
		if _, err := fmt.Sscanf(c.String(), `<path class="lost" d="M %f %fV %fH %fV`, &from, &base, &top, &to); err != nil {
			t.Fatalf("%v: %s", err, c.String())
		}
		at := x.at(float64(column) + 0.5)
		if base-top < leastHigh || to-from < leastWide-0.11 || at < from-0.2 || at > to+0.2 || to > right {
			t.Errorf("column %d at %.1f is drawn from %.1f to %.1f, %.1f high", column, at, from, to, base-top)
		}
	}
}

// However many things happen at once, each has its line, and the first has its head.
func TestFlagsKeepEveryLine(t *testing.T) {
	var marks []Mark
	for i := range 300 {
		marks = append(marks, Mark{At: float64(i * i % 836), Text: strconv.Itoa(i + 1), Shape: Pin})
	}
	p := Plot{X: Axis{Max: 836, Text: plain}, Panels: []Panel{{Height: High, Y: Axis{Text: plain}}}, Events: marks}
	x := p.X.lay(nothing(), left, right, mostAcross)
	svg := string(p.SVG(""))
	for _, m := range marks {
		if line := `<path class="mark" d="M ` + number(x.at(m.At)) + " "; !strings.Contains(svg, line) {
			t.Errorf("mark %s has no line", m.Text)
		}
	}
	if n := strings.Count(svg, `class="mark"`); n != 300 || !strings.Contains(svg, `>1 – `) {
		t.Errorf("%d lines are drawn", n)
	}
}

func TestAxisMarks(t *testing.T) {
	for name, c := range map[string]struct {
		axis Axis
		data extremes
		want string
	}{
		"shares":                   {Axis{Most: 1}, extremes{0, 0.97}, "0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1"},
		"given":                    {Axis{Min: 0, Max: 48}, nothing(), "0 5 10 15 20 25 30 35 40 45"},
		"an axis does not cross 0": {Axis{}, extremes{0.001, 0.12}, "0 0.05 0.1 0.15"},
		"differences":              {Axis{}, extremes{-3, 38}, "-5 0 5 10 15 20 25 30 35 40"},
		"times":                    {Axis{Log: true}, extremes{0.8, 180}, "1 2 5 10 20 50 100 200"},
		"many powers":              {Axis{Log: true}, extremes{1e-3, 1e6}, "0.001 0.01 0.1 1 10 100 1000 10000 100000 1e+06"},
		"one value":                {Axis{Log: true}, extremes{3, 3}, "2 5"},
		"nothing at all":           {Axis{}, nothing(), "0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1"},
		"neighbouring floats":      {Axis{}, extremes{1e6, math.Nextafter(1e6, 2e6)}, "500000 600000 700000 800000 900000 1e+06 1.1e+06 1.2e+06 1.3e+06 1.4e+06 1.5e+06"},
		"chosen":                   {Axis{Log: true, Min: 1, Max: 100, Ticks: []float64{1, 2, 10, 1000}}, nothing(), "1 2 10"},
	} {
		c.axis.Text = plain
		var got []string
		for _, v := range c.axis.lay(c.data, left, right, mostAcross).ticks() {
			got = append(got, plain(v))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
}
