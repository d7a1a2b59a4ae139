package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// LoadKind is the kind of a LoadReport.
const LoadKind = "LoadReport"

// LoadReport is what the generator alone sent and measured, no split involved. Its schema is
// docs/schema/loadreport.v1alpha1.json.
type LoadReport struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`

	Target LoadTarget `json:"target"`
	// quantiles are null where the generator was late: what they hold would be its own
	Load      Load             `json:"load"`
	Errors    map[string]int64 `json:"errors"`   // requests without a complete answer, by class
	Backends  map[string]int64 `json:"backends"` // answers by the rule that named them; "(unattributed)": none did
	Dials     LoadDials        `json:"dials"`
	Generator LoadGenerator    `json:"generator"`
	Search    *LoadSearch      `json:"search"` // null where the rate was given
	Run       LoadRun          `json:"run"`
	Warnings  []string         `json:"warnings"`
	Specimens []Specimen       `json:"specimens"` // first answers that no rule named, where there are rules
}

// LoadTarget is what was asked for.
type LoadTarget struct {
	URL         string            `json:"url"`
	Method      string            `json:"method"`
	Protocol    string            `json:"protocol"` // http1 | h2 | h2c | grpc
	Schedule    string            `json:"schedule"` // kind of the schedule
	Connections int               `json:"connections"`
	Streams     int               `json:"streamsPerConnection"`
	Saturation  string            `json:"saturation"`
	ConnectTo   map[string]string `json:"connectTo,omitempty"`
}

// LoadDials is what opening connections took.
type LoadDials struct {
	Opened    int64            `json:"opened"`
	Failed    int64            `json:"failed"`
	Addresses map[string]int64 `json:"addresses"` // how often each was dialled
	Causes    map[string]int64 `json:"causes"`    // why there was no connection, and how often
	Resolve   Dial             `json:"resolve"`
	Connect   Dial             `json:"connect"`
	Handshake Dial             `json:"tlsHandshake"`
}

// Dial is the time that a part of dialling took; null where there was none.
type Dial struct {
	P50Ms *float64 `json:"p50Ms"`
	P99Ms *float64 `json:"p99Ms"`
	MaxMs *float64 `json:"maxMs"`
}

// LoadGenerator says whether the numbers are those of the target or of the generator.
type LoadGenerator struct {
	OnTime bool     `json:"onTime"`
	Why    []string `json:"why"`  // why not
	Late   int64    `json:"late"` // requests sent more than 10 ms late
	// what selftest found here, with this engine; null: not asked for
	OwnLimitPerSecond *float64 `json:"ownLimitPerSecond"`
	OwnLimitShare     *float64 `json:"ownLimitShare"` // the rate as a share of it
}

// LoadRun identifies the attack.
type LoadRun struct {
	ID        string    `json:"id"`
	Started   time.Time `json:"started"`
	Tool      string    `json:"tool"`
	EndReason string    `json:"endReason"` // done, a limit's name, gaveUp, interrupted
	EndText   string    `json:"endText,omitempty"`
	Complete  bool      `json:"complete"`
}

// LoadSearch is the search for the highest rate that keeps given limits.
type LoadSearch struct {
	BestPerSecond *float64    `json:"bestPerSecond"` // highest rate that kept them; null: none did
	FailPerSecond *float64    `json:"failPerSecond"` // lowest rate that did not; null: all did
	Why           string      `json:"why"`           // why it ended
	Trials        []LoadTrial `json:"trials"`
}

// LoadTrial is one trial of a search.
type LoadTrial struct {
	RatePerSecond float64 `json:"ratePerSecond"`
	OK            bool    `json:"ok"`
	Why           string  `json:"why,omitempty"` // which limit was not kept
	P99Ms         float64 `json:"p99Ms"`         // of response times
	ErrorShare    float64 `json:"errorShare"`
}

// Outline is the report as people read it.
func (r LoadReport) Outline() Outline {
	times := Table{Caption: "Times of answers.", Columns: headings(1, "Time", "p50", "p90", "p99", "p99.9", "Max")}
	if r.Load.ServiceTime.MaxMs != nil {
		times.Rows = [][]Cell{quantileRow("service", r.Load.ServiceTime), quantileRow("response", r.Load.ResponseTime)}
	}
	why := ""
	if r.Load.Why != "" {
		why = capital(r.Load.Why) + "."
	}
	return Outline{
		Word: "ATTACK", Title: "load on " + r.Target.URL, Headline: loadHeadline(r),
		Sections: outlined(
			Section{ID: "times", Title: "Times", Blocks: []Block{times, Paragraph(why)}},
			Section{ID: "measured", Title: "How it was measured", Blocks: []Block{loadFields(r)}},
			Section{ID: "search", Title: "Highest rate", Blocks: paragraphs(searchLines(r.Search)...)},
			Section{ID: "warnings", Title: "Warnings", Note: NoteWarn, Blocks: []Block{bullets(r.Warnings)}},
			Section{ID: "unattributed", Title: "Unattributed answers", Blocks: []Block{specimenLines(r.Specimens)}},
		),
	}
}

func quantileRow(name string, q Quantiles) []Cell {
	return row(name, ms(q.P50Ms), ms(q.P90Ms), ms(q.P99Ms), ms(q.P999Ms), ms(q.MaxMs))
}

func loadHeadline(r LoadReport) string {
	s := fmt.Sprintf("%s in %s, %s", plural(r.Load.Requests, "request"), seconds(r.Load.DurationSeconds),
		rate(r.Load.RatePerSecond))
	if r.Load.TargetRatePerSecond > 0 {
		s += " of " + rate(r.Load.TargetRatePerSecond)
	}
	if !r.Run.Complete {
		s += "; ended early: " + cmp.Or(r.Run.EndText, r.Run.EndReason)
	}
	return s
}

func loadFields(r LoadReport) Fields {
	var f Fields
	f.add("To", r.Target.Method+" "+r.Target.URL)
	f.add("Answers", counted(r.Load.StatusCodes))
	f.add("Errors", counted(r.Errors))
	f.add("Causes", counted(r.Dials.Causes))
	f.add("Backends", counted(r.Backends))
	dials := plural(r.Dials.Opened, "connection") + " dialled"
	if len(r.Dials.Addresses) > 0 {
		dials += " to " + counted(r.Dials.Addresses)
	}
	for _, x := range []struct {
		what string
		d    Dial
	}{{"resolve", r.Dials.Resolve}, {"connect", r.Dials.Connect}, {"TLS", r.Dials.Handshake}} {
		if x.d.P50Ms != nil {
			dials += fmt.Sprintf("; %s %s, at most %s", x.what, ms(x.d.P50Ms), ms(x.d.MaxMs))
		}
	}
	f.add("Dials", dials)
	generator := "engine " + r.Load.Engine
	if r.Load.SendLag.P99Us != nil {
		generator += fmt.Sprintf(", half of the requests within %s of the plan, 99 in 100 within %s",
			micros(r.Load.SendLag.P50Us), micros(r.Load.SendLag.P99Us))
	}
	if r.Load.CPUUsPerRequest != nil {
		generator += fmt.Sprintf(", %s of CPU for each", micros(r.Load.CPUUsPerRequest))
	}
	if r.Generator.OwnLimitShare != nil {
		generator += ", at " + percent(*r.Generator.OwnLimitShare) + " of its own limit"
	}
	f.add("Generator", generator)
	f.add("Sent as", "X-Splitbench-Run: "+r.Run.ID) // nothing is stored under it
	return f
}

// counted writes counts by name, the largest first.
func counted(n map[string]int64) string {
	names := slices.SortedFunc(maps.Keys(n), func(a, b string) int {
		return cmp.Or(cmp.Compare(n[b], n[a]), cmp.Compare(a, b))
	})
	parts := make([]string, 0, len(names))
	for _, name := range names {
		parts = append(parts, fmt.Sprintf("%s: %s", name, count(n[name])))
	}
	return strings.Join(parts, ", ")
}

func searchLines(s *LoadSearch) (lines []string) {
	if s == nil {
		return nil
	}
	if s.BestPerSecond != nil {
		lines = append(lines, fmt.Sprintf("The highest rate that kept the limits is %s: %s.", rate(*s.BestPerSecond), s.Why))
	} else {
		lines = append(lines, "No rate kept the limits: "+s.Why+".")
	}
	for _, t := range s.Trials {
		text := "kept"
		if !t.OK {
			text = t.Why
		}
		lines = append(lines, fmt.Sprintf("%s: %s (p99 %s, errors %s)", rate(t.RatePerSecond), text, ms(&t.P99Ms),
			percent(t.ErrorShare)))
	}
	return lines
}
