package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Drawings are 900 wide, in units of which a figure shows about one per pixel.
const chartWidth = 900.0

// palette is how many colours the style has; dashes tell lines apart without them.
const palette = 8

// dashes are stroke patterns. Their number and palette have no small common multiple: 24 backends differ in one or both.
//
//nolint:gochecknoglobals // a table that never changes
var dashes = []string{"", "9 4", "2.5 3.5", "12 4 2.5 4", "16 5", "6 3 2 3 2 3"}

// keyView is how one backend is drawn.
type keyView struct {
	Name  string
	Color int
	Dash  string
}

func keyOf(name string, i int) *keyView {
	return &keyView{Name: name, Color: i % palette, Dash: dashes[i%len(dashes)]}
}

// at writes a coordinate.
func at(x float64) string {
	return strconv.FormatFloat(math.Round(x*10)/10, 'f', -1, 64)
}

type tick struct{ At, TextAt, Text string }

// shareChart is expected and observed shares, one row for each backend.
type shareChart struct {
	Summary, Caption       string
	Height, Bottom, Labels string
	Tolerance              bool
	Grid                   []tick
	Rows                   []shareRow
}

type shareRow struct {
	Name, Value                      string
	Color                            int
	TextY, Y, Middle, Above, Below   string
	Observed, Expected, Range, Pixel string
	Allowed                          *allowedBand
}

type allowedBand struct{ From, Width, Y string }

const (
	shareRowHeight = 58.0
	barTop         = 22.0
	barHeight      = 18.0
)

// sharesOf is nil where nothing was counted.
func sharesOf(r Report) *shareChart {
	if n, _ := requestsOf(r); n == 0 {
		return nil
	}
	tolerance := map[string]float64{}
	for _, t := range r.Verdict.Tolerance {
		tolerance[t.Backend] = t.Points / 100
	}
	most := 0.0
	for _, b := range r.Backends {
		most = max(most, b.ExpectedShare+tolerance[b.Name])
		if b.ObservedShare != nil {
			most = max(most, *b.ObservedShare)
		}
		if b.Interval != nil && b.Interval.High != nil {
			most = max(most, *b.Interval.High)
		}
	}
	top := roof(most)
	x := func(share float64) float64 { return chartWidth * min(max(share, 0), top) / top }
	bottom := shareRowHeight*float64(len(r.Backends)) - 8
	c := &shareChart{
		Summary: sharesSummary(r), Caption: sharesCaption(r), Height: at(bottom + 26), Bottom: at(bottom), Labels: at(bottom + 18),
		Tolerance: len(tolerance) > 0 && r.Verdict.Gate != "chisquare",
	}
	step := niceStep(top, 8)
	for s := step; s < top-step/2; s += step {
		c.Grid = append(c.Grid, tick{At: at(x(s)), Text: percentTight(s)})
	}
	for i, b := range r.Backends {
		y := shareRowHeight*float64(i) + barTop
		row := shareRow{
			Name: b.Name, Value: shareValue(b), Color: i % palette, TextY: at(y - 8), Y: at(y), Middle: at(y + barHeight/2),
			Above: at(y - 3), Below: at(y + barHeight + 4), Expected: at(x(b.ExpectedShare)), Observed: "0",
		}
		if b.ObservedShare != nil {
			row.Observed = at(x(*b.ObservedShare))
		}
		if i := b.Interval; i != nil && i.Low != nil && i.High != nil {
			row.Range = fmt.Sprintf("M%s %sH%[3]sM%[1]s %[4]sV%[5]sM%[3]s %[4]sV%[5]s", at(x(*i.Low)), row.Middle, at(x(*i.High)),
				at(y+3), at(y+barHeight-3))
		}
		if t, ok := tolerance[b.Name]; ok && c.Tolerance {
			low, high := x(b.ExpectedShare-t), x(b.ExpectedShare+t)
			row.Allowed = &allowedBand{at(low), at(high - low), row.Y}
		}
		c.Rows = append(c.Rows, row)
	}
	return c
}

// roof is where an axis that begins at 0 ends: the whole, or a round number above the largest share.
func roof(most float64) float64 {
	if most > 0.6 {
		return 1
	}
	step := niceStep(max(most*1.05, 0.001), 5)
	return min(1, step*math.Ceil(most*1.05/step))
}

// niceStep is 1, 2 or 5 times a power of ten, so that no more than about n of them fit.
func niceStep(length float64, n int) float64 {
	raw := length / float64(n)
	power := math.Pow10(int(math.Floor(math.Log10(raw))))
	for _, m := range []float64{1, 2, 5} {
		if raw <= m*power*(1+1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// lineChart is lines over an axis, with what a reader compares them to.
type lineChart struct {
	ID, Summary, Caption, XLabel                                             string
	Height, Left, Right, Top, Bottom, Middle, YText, XText, XTitle, MarkText string
	XTicks, YTicks, Weights                                                  []tick
	Bands                                                                    []string
	Lines                                                                    []lineView
	Ranges                                                                   []lineView // bars across the lines
	LimitLeft                                                                bool       // what stands for Weights is named on the left
	Keys                                                                     []lineView
	Marks                                                                    []markView
}

type lineView struct {
	keyView
	Path string
}

// Key lets the legend use the same template as tables.
func (l lineView) Key() *keyView { return &l.keyView }

type markView struct{ At, TextAt, Anchor, Text string }

const (
	lineLeft, lineRight = 56.0, chartWidth - 8
	lineTop, lineBottom = 18.0, 272.0
	lineHeight          = 316.0
)

// frame is an empty chart whose axes go over these ranges.
type frame struct{ x0, x1, y0, y1 float64 }

func (f frame) x(v float64) float64 {
	return lineLeft + (lineRight-lineLeft)*(min(max(v, f.x0), f.x1)-f.x0)/(f.x1-f.x0)
}

func (f frame) y(v float64) float64 {
	return lineBottom - (lineBottom-lineTop)*(min(max(v, f.y0), f.y1)-f.y0)/(f.y1-f.y0)
}

func (f frame) chart(id string) *lineChart {
	return &lineChart{
		ID: id, Height: at(lineHeight), Left: at(lineLeft), Right: at(lineRight), Top: at(lineTop), Bottom: at(lineBottom),
		Middle: at((lineLeft + lineRight) / 2), YText: at(lineLeft - 8), XText: at(lineBottom + 19), XTitle: at(lineBottom + 38), MarkText: at(lineTop - 6),
	}
}

func (f frame) path(xs, ys []float64) string {
	var b strings.Builder
	for i := range xs {
		letter := "L"
		if i == 0 {
			letter = "M"
		}
		b.WriteString(letter + at(f.x(xs[i])) + " " + at(f.y(ys[i])))
	}
	return b.String()
}

// yTick writes a tick of the y axis, with its text level with the line.
func (f frame) yTick(v float64, text string) tick {
	y := f.y(v)
	return tick{At: at(y), TextAt: at(y + 4), Text: text}
}
