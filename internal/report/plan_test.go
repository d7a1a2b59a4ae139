package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/splitbench/splitbench/analyze"
)

func TestPlan(t *testing.T) {
	schema := compile(t, planSchema)
	weights := analyze.Weights{{Backend: "podinfo", W: 90}, {Backend: "podinfo-east", W: 10}, {Backend: "old", W: 0}}
	tests := []struct {
		name     string
		w        analyze.Weights
		change   func(*analyze.Options)
		requests int64
		want     []string
	}{
		// 2,410 by exact binomial at 50/50, alpha 0.01, power 0.99, tolerance 5 points; ceil(2.326+2.576)^2*0.25/0.05^2 = 2,403 by
		// the normal approximation.
		{"the defaults", analyze.Weights{{Backend: "a", W: 50}, {Backend: "b", W: 50}}, nil, 0, []string{"word: PLAN", "headline: 2,410 requests", "99 % of the time"}},
		{"too few", weights, nil, 100, []string{"headline: 100 requests", "To pass a split on target 99 % of the time, send"}},
		{"plenty", weights, nil, 100_000, []string{"would do to pass", "old"}},
		{"chi-square", weights[:2], func(o *analyze.Options) { o.Gate = analyze.GateChiSquare }, 0, []string{"PLAN"}},
		{"hostile name", analyze.Weights{{Backend: "a\x1b[31m", W: 1}, {Backend: "b", W: 1}}, nil, 0, []string{"PLAN"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := analyze.DefaultOptions()
			if tt.change != nil {
				tt.change(&o)
			}
			p, err := BuildPlan(tt.w, o, tt.requests, 50, "--weights")
			if err != nil {
				t.Fatal(err)
			}
			text := said(p.Outline())
			for _, w := range tt.want {
				if !strings.Contains(text, w) {
					t.Errorf("%q is not in:\n%s", w, text)
				}
			}
			var doc bytes.Buffer
			if err := WriteJSON(&doc, p); err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(decode(t, doc.Bytes())); err != nil {
				t.Error(err)
			}
			if p.Requests < 1 || p.PassOnTarget < 0 || p.PassOnTarget > 1 || tt.requests == 0 && p.PassOnTarget < 0.99 {
				t.Errorf("%+v", p)
			}
		})
	}
	if _, err := BuildPlan(nil, analyze.DefaultOptions(), 10, 50, ""); err == nil {
		t.Error("a plan without weights")
	}
}
