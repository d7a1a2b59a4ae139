package report

import (
	"fmt"
	"strings"
)

// Witness is what the client's own proxy counted between right before and right after the burst. What is null or empty
// was not counted by this proxy; available false says why nothing was.
type Witness struct {
	Available bool   `json:"available"`
	Why       string `json:"why,omitempty"` // why it is not available
	Proxy     string `json:"proxy,omitempty"`
	URL       string `json:"url,omitempty"`
	Counter   string `json:"counter,omitempty"` // that the draws were read from
	Path      string `json:"path,omitempty"`    // kind of object whose rules the requests took in the proxy

	Unit    string `json:"unit,omitempty"`    // what the verdict counts: request | connection | draw
	UnitWhy string `json:"unitWhy,omitempty"` // set where that is not the request

	Draws      []WitnessDraws `json:"draws,omitempty"`
	Requests   int64          `json:"requests"`           // that the client sent meanwhile, the warm-up included
	Background int64          `json:"backgroundRequests"` // draws beyond those: of others in the pod
	Retries    int64          `json:"retries"`
	// of the draws alone against the weights: pass | fail | inconclusive
	Outcome       string     `json:"outcome,omitempty"`
	GoodnessOfFit *Statistic `json:"goodnessOfFit,omitempty"` // Pearson's chi-square of the draws alone

	Agrees      bool     `json:"agrees"`      // each backend was drawn for all that it answered
	Undisturbed bool     `json:"undisturbed"` // nothing was found that takes the verdict away
	Findings    []string `json:"findings,omitempty"`
	Blurred     string   `json:"blurred,omitempty"` // what the counters cannot tell apart
}

// WitnessDraws are the draws of one backend.
type WitnessDraws struct {
	Backend    string   `json:"backend"`
	Drawn      int64    `json:"drawnRequests"`
	DrawnShare *float64 `json:"drawnShare"` // null where nothing was drawn
	Answered   int64    `json:"answeredRequests"`
	// to the backend's own Service, past the split: no draws, and not among them
	Direct int64 `json:"directRequests,omitempty"`
}

// The units of a verdict.
const (
	unitRequest    = "request"
	unitConnection = "connection"
	unitDraw       = "draw"
)

// unitOf is what the verdict of a report counts.
func unitOf(r Report) string {
	if r.Witness == nil || r.Witness.Unit == "" {
		return unitRequest
	}
	switch r.Witness.Unit {
	case unitConnection, unitDraw:
		return r.Witness.Unit
	}
	return unitRequest
}

// witnessSentence is the second witness in one line: what the proxy drew, whether that fits the weights and the
// answers.
func witnessSentence(w *Witness) string {
	switch {
	case w == nil:
		return ""
	case !w.Available:
		return "not available: " + w.Why
	case len(w.Draws) == 0:
		none := "the client's proxy counted no draws of requests"
		if w.Blurred != "" {
			none = "what the client's proxy drew is not known: " + w.Blurred
		}
		return strings.Join(append([]string{none}, w.Findings...), "; ")
	}
	var drawn []string
	for i, d := range w.Draws {
		if i == maxWeightsShown {
			drawn = append(drawn, "...")
			break
		}
		drawn = append(drawn, d.Backend+" "+count(d.Drawn))
	}
	text := "the client's proxy drew " + strings.Join(drawn, ", ")
	switch w.Outcome {
	case Pass:
		text += ": by the weights"
	case Fail:
		text += ": NOT by the weights"
	case Inconclusive:
		text += ": too few to tell whether by the weights"
	}
	if w.GoodnessOfFit != nil && w.GoodnessOfFit.Exact != nil {
		text += fmt.Sprintf(" (chi-square p %.3g)", w.GoodnessOfFit.Exact.P)
	}
	if w.Agrees {
		text += ", and for every answer that came meanwhile"
	} else {
		text += "; the answers that came meanwhile are NOT what it drew"
	}
	if w.Background > 0 {
		text += fmt.Sprintf("; %s of others in the pod included, whose containers its counters do not tell apart",
			plural(w.Background, "draw"))
	}
	var direct int64
	for _, d := range w.Draws {
		direct += d.Direct
	}
	if direct > 0 {
		text += fmt.Sprintf("; %s past the split, straight to a backend's Service, not included", plural(direct, unitRequest))
	}
	return text
}

// witnessSections are what the client's own proxy counted.
func witnessSections(w *Witness) []Section {
	if w == nil {
		return nil
	}
	draws := Table{
		Caption: "Draws that the client's proxy counted, the warm-up included, beside the answers that came.",
		Columns: headings(1, "Backend", "Drawn", "Share", "Answered"), Sortable: true,
	}
	for i, d := range w.Draws {
		share := Cell{Text: dash}
		if d.DrawnShare != nil {
			share = numberCell(shareColumn(*d.DrawnShare), *d.DrawnShare)
		}
		draws.Rows = append(draws.Rows, []Cell{
			{Text: d.Backend, Key: i + 1},
			countCell(d.Drawn), share,
			countCell(d.Answered),
		})
	}
	var facts Fields
	facts.add("Proxy", w.Proxy)
	facts.add("Counter", w.Counter)
	facts.add("Read from", w.URL)
	facts.add("Cannot tell apart", w.Blurred)
	facts.add("What is counted", w.UnitWhy)
	return []Section{{
		ID: "witness", Title: "What the client's proxy counted", Level: Page,
		Blocks: []Block{Paragraph(capital(witnessSentence(w)) + "."), titled("Findings", bullets(w.Findings)), draws, facts},
	}}
}
