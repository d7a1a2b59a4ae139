package export

import (
	"bytes"
	"encoding/json"
	"regexp"
	"testing"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	"github.com/tsenart/vegeta/v12/lib/plot"
)

var plotRows = regexp.MustCompile(`(?s)const rowData = (\[.*?\n?  \]);\n`)

// vegeta's plot drops every point after a gap in Seq, and says nothing: all points must be there, in a line for each
// backend.
func TestVegetaPlotDrawsEveryPoint(t *testing.T) {
	t.Parallel()
	for o, lines := range map[Options]int{{}: 1, {Clock: ServiceTime}: 1, {PerBackend: true}: 3} {
		p := plot.New(plot.Downsample(0), plot.Label(func(*vegeta.Result) string { return "all" }))
		for r, err := range Vegeta(facts, o, seq(burst())) {
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Add(r); err != nil {
				t.Fatal(err)
			}
		}
		p.Close()
		var page bytes.Buffer
		if _, err := p.WriteTo(&page); err != nil {
			t.Fatal(err)
		}
		m := plotRows.FindSubmatch(page.Bytes())
		if m == nil {
			t.Fatal("the page has no data")
		}
		var rows [][]*float64
		if err := json.Unmarshal(m[1], &rows); err != nil {
			t.Fatal(err)
		}
		if len(rows) != requests || len(rows[0]) != 1+lines {
			t.Errorf("%+v: %d points in %d lines, want %d in %d", o, len(rows), len(rows[0])-1, requests, lines)
		}
	}
}
