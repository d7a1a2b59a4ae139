package report

import (
	"bytes"
	"math"
	"testing"
)

// A document may lack what this version writes: it is rendered without it, in every format, and never panics or hangs.
func TestIncompleteDocumentsAreRendered(t *testing.T) {
	for name, cut := range map[string]func(r *Report){
		"no quantiles":        func(r *Report) { r.GatewayCost.Backends[1].Quantiles, r.GatewayCost.Costs[0].Quantiles = nil, nil },
		"too many windows":    func(r *Report) { r.Series.OverTime.Windows = 1 << 60 },
		"windows of no time":  func(r *Report) { r.Series.OverTime.WindowSeconds = math.SmallestNonzeroFloat64 },
		"curves without time": func(r *Report) { r.Series.Latency.Curves = []LatencyCurve{{Backend: "podinfo"}} },
		"a share beyond all":  func(r *Report) { r.Backends[0].ExpectedShare = 1e300 },
	} {
		t.Run(name, func(t *testing.T) {
			in := inputs()["gateway-cost"]
			r := Build(in)
			if r.Series == nil {
				r.Series = &Series{}
			}
			if r.Series.OverTime == nil {
				r.Series.OverTime = &OverTime{Windows: 3, WindowSeconds: 1}
			}
			if r.Series.Latency == nil {
				r.Series.Latency = &LatencyCurves{}
			}
			cut(&r)
			var b bytes.Buffer
			if err := WriteHTML(&b, r); err != nil {
				t.Error(err)
			}
			if err := WriteText(&b, r, TextOptions{Width: 100, Color: true}); err != nil {
				t.Error(err)
			}
			if err := WriteMarkdown(&b, r); err != nil {
				t.Error(err)
			}
		})
	}
}
