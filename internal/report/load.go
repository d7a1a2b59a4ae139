package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
)

// LoadKind is the kind of the document that WriteLoadJSON writes.
const LoadKind = "LoadReport"

// LoadReport is what the generator alone sent and measured, no split involved. Its schema is
// docs/schema/loadreport.v1alpha1.json.
type LoadReport struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`

	Target    LoadTarget       `json:"target"`
	Load      Load             `json:"load"`     // quantiles are null where the generator was late: what they hold would be its own
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
	OnTime            bool     `json:"onTime"`
	Why               []string `json:"why"`               // why not
	Late              int64    `json:"late"`              // requests sent more than 10 ms late
	OwnLimitPerSecond *float64 `json:"ownLimitPerSecond"` // what selftest found here, with this engine; null: not asked for
	OwnLimitShare     *float64 `json:"ownLimitShare"`     // the rate as a share of it
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

// LoadInput is everything that a LoadReport is built from.
type LoadInput struct {
	Plan      attack.Plan
	Summary   *attack.Summary
	Dials     attack.Dials
	WarmUp    int64
	CPU       time.Duration // of the generator, over the burst; 0: unknown
	Throttled time.Duration // that the generator was kept from running
	OwnLimit  float64       // requests per second; 0: unknown
	Backends  []string      // names, by the rules' index
	Search    *LoadSearch
	Specimens []attack.Specimen
	Run       LoadRun
}

// BuildLoad builds the report.
func BuildLoad(in LoadInput) LoadReport {
	p, s := in.Plan, in.Summary
	r := LoadReport{
		APIVersion: APIVersion, Kind: LoadKind,
		Target: LoadTarget{
			URL: p.URL, Method: p.Method, Protocol: or(string(p.Protocol), string(attack.ProtocolHTTP1)), Schedule: string(attack.ShapeConstant),
			Connections: p.Connections, Streams: max(p.Streams, 1), Saturation: or(string(p.Saturation), string(attack.SaturationQueue)), ConnectTo: p.ConnectTo,
		},
		Errors: map[string]int64{}, Backends: map[string]int64{}, Dials: loadDials(in.Dials), Search: in.Search, Run: in.Run,
		Warnings: []string{}, Specimens: []Specimen{},
	}
	if p.Shape != nil {
		r.Target.Schedule = string(p.Shape.Kind)
	}
	r.Generator = LoadGenerator{Why: list(s.ClientLimits(in.Throttled)), Late: int64(s.Late)}
	r.Generator.OnTime = len(r.Generator.Why) == 0
	r.Load = loadOf(in, r.Generator.Why)
	if in.OwnLimit > 0 {
		r.Generator.OwnLimitPerSecond = finite(in.OwnLimit)
		r.Generator.OwnLimitShare = finite(r.Load.RatePerSecond / in.OwnLimit)
	}
	for class, n := range s.Errors {
		r.Errors[class.String()] = int64(n)
	}
	for rule, n := range s.ByRule {
		name := unattributedName
		if int(rule) >= 0 && int(rule) < len(in.Backends) {
			name = in.Backends[rule]
		}
		if len(in.Backends) > 0 {
			r.Backends[name] += int64(n)
		}
	}
	for _, x := range in.Specimens {
		if len(in.Backends) > 0 {
			r.Specimens = append(r.Specimens, Specimen{Seq: x.Seq, Status: x.Status, Body: x.Body})
		}
	}
	return r
}

// unattributedName is in the place of a rule's name where none matched. No Service can be called that.
const unattributedName = "(unattributed)"

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func loadOf(in LoadInput, late []string) Load {
	s := in.Summary
	l := Load{
		Requests: int64(s.Requests), WarmUpRequests: in.WarmUp, RatePerSecond: s.Rate(), DurationSeconds: s.LastDone.Seconds(),
		Errors: int64(s.Failed()), Dropped: int64(s.Errors[attack.ErrDropped]), Connections: in.Dials.Opened, StatusCodes: map[string]int64{},
		Engine: in.Plan.EngineName(), OnTime: len(late) == 0, EndReason: in.Run.EndReason,
	}
	if in.Plan.Shape == nil || in.Plan.Shape.Kind == attack.ShapeConstant || in.Plan.Shape.Kind == attack.ShapePoisson {
		l.TargetRatePerSecond = in.Plan.Rate.PerSecond()
	}
	if in.CPU > 0 && s.Requests > 0 {
		l.CPUUsPerRequest = finite(in.CPU.Seconds() * 1e6 / float64(s.Requests))
	}
	for status, n := range s.Statuses {
		l.StatusCodes[fmt.Sprint(status)] = int64(n)
	}
	n := s.Timed()
	l.SendLag = SendLag{P50Us: enough(int64(s.Sent), 0.5, s.SendLag, time.Microsecond), P99Us: enough(int64(s.Sent), 0.99, s.SendLag, time.Microsecond)}
	switch {
	case n == 0:
		l.Why = "nothing was timed"
	case len(late) > 0:
		l.Why = "the generator was late: " + strings.Join(late, "; ")
	default:
		l.ServiceTime, l.ResponseTime = summaryQuantiles(n, s.ServiceTime), summaryQuantiles(n, s.ResponseTime)
		for _, q := range []float64{0.5, 0.9, 0.99, 0.999} {
			if need := analyze.MinSamples(q, quantileLevel); int64(need) > n {
				l.Why = tooFewForQuantile(q, need)
				break
			}
		}
	}
	return l
}

func summaryQuantiles(n int64, at func(float64) time.Duration) Quantiles {
	return Quantiles{
		P50Ms: enough(n, 0.5, at, time.Millisecond), P90Ms: enough(n, 0.9, at, time.Millisecond), P99Ms: enough(n, 0.99, at, time.Millisecond),
		P999Ms: enough(n, 0.999, at, time.Millisecond), MaxMs: finite(float64(at(1)) / float64(time.Millisecond)),
	}
}

// enough is a quantile of n times, nil where they are too few for it.
func enough(n int64, q float64, at func(float64) time.Duration, unit time.Duration) *float64 {
	if n == 0 || n < int64(analyze.MinSamples(q, quantileLevel)) {
		return nil
	}
	return finite(float64(at(q)) / float64(unit))
}

func loadDials(d attack.Dials) LoadDials {
	out := LoadDials{Opened: d.Opened, Failed: d.Failed, Addresses: maps.Clone(d.Addresses), Resolve: dialOf(d.Resolve), Connect: dialOf(d.Connect), Handshake: dialOf(d.Handshake)}
	if out.Addresses == nil {
		out.Addresses = map[string]int64{}
	}
	return out
}

func dialOf(s attack.Spread) (d Dial) {
	if s.N > 0 {
		in := func(t time.Duration) *float64 { return finite(float64(t) / float64(time.Millisecond)) }
		d = Dial{P50Ms: in(s.P50), P99Ms: in(s.P99), MaxMs: in(s.Max)}
	}
	return d
}

// WriteLoadJSON writes the report as one document of kind LoadReport.
func WriteLoadJSON(w io.Writer, r LoadReport) error { return writeJSON(w, r) }

// WriteLoad writes the report in words.
func WriteLoad(w io.Writer, r LoadReport, o TextOptions) error {
	r = mapStrings(r, forTerminal)
	page := newPage(o)
	page.para("ATTACK  ", loadHeadline(r))
	rows := [][]string{quantileRow("service", r.Load.ServiceTime), quantileRow("response", r.Load.ResponseTime)}
	if r.Load.ServiceTime.MaxMs != nil {
		table, err := drawTable([]string{"Time", "P50", "P90", "P99", "P99.9", "Max"}, []bool{true, false, false, false, false, false}, rows, "  ")
		if err != nil {
			return err
		}
		page.line("")
		page.b.WriteString(table)
	}
	if r.Load.Why != "" {
		page.list([]string{capital(r.Load.Why) + "."})
	}
	page.fields(loadFields(r))
	page.list(searchLines(r.Search))
	page.bullets("Warnings:", r.Warnings)
	if len(r.Specimens) > 0 {
		page.bullets("Answers that no rule names:", specimenLines(r.Specimens))
	}
	_, err := w.Write(page.b.Bytes())
	return err
}

func specimenLines(specimens []Specimen) (lines []string) {
	for _, s := range specimens {
		lines = append(lines, fmt.Sprintf("request %d, status %d: %s", s.Seq, s.Status, cut(s.Body, maxSpecimenText)))
	}
	return lines
}

func quantileRow(name string, q Quantiles) []string {
	return []string{name, ms(q.P50Ms), ms(q.P90Ms), ms(q.P99Ms), ms(q.P999Ms), ms(q.MaxMs)}
}

func loadHeadline(r LoadReport) string {
	s := fmt.Sprintf("%s in %s, %s", plural(r.Load.Requests, "request"), seconds(r.Load.DurationSeconds), rate(r.Load.RatePerSecond))
	if r.Load.TargetRatePerSecond > 0 {
		s += " of " + rate(r.Load.TargetRatePerSecond)
	}
	if !r.Run.Complete {
		s += "; ended early: " + or(r.Run.EndText, r.Run.EndReason)
	}
	return s
}

func loadFields(r LoadReport) (f []field) {
	add := func(label, text string) {
		if text != "" {
			f = append(f, field{label, text})
		}
	}
	add("To", r.Target.Method+" "+r.Target.URL)
	add("Answers", counted(r.Load.StatusCodes))
	add("Errors", counted(r.Errors))
	add("Backends", counted(r.Backends))
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
	add("Dials", dials)
	generator := "engine " + r.Load.Engine
	if r.Load.SendLag.P99Us != nil {
		generator += fmt.Sprintf(", half of the requests within %s of the plan, 99 in 100 within %s", micros(r.Load.SendLag.P50Us), micros(r.Load.SendLag.P99Us))
	}
	if r.Load.CPUUsPerRequest != nil {
		generator += fmt.Sprintf(", %s of CPU for each", micros(r.Load.CPUUsPerRequest))
	}
	if r.Generator.OwnLimitShare != nil {
		generator += ", at " + percent(*r.Generator.OwnLimitShare) + " of its own limit"
	}
	add("Generator", generator)
	add("Run", r.Run.ID)
	return f
}

// micros writes microseconds, as milliseconds where they are many.
func micros(us *float64) string {
	if us != nil && *us < 1000 {
		return strconv.FormatFloat(*us, 'f', 0, 64) + "us"
	}
	if us == nil {
		return dash
	}
	inMs := *us / 1000
	return ms(&inMs)
}

// counted writes counts by name, the largest first.
func counted(n map[string]int64) string {
	names := slices.SortedFunc(maps.Keys(n), func(a, b string) int {
		if n[a] != n[b] {
			return int(min(max(n[b]-n[a], -1), 1))
		}
		return strings.Compare(a, b)
	})
	parts := make([]string, 0, len(names))
	for _, name := range names {
		parts = append(parts, fmt.Sprintf("%s: %s", cut(name, maxName), count(n[name])))
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
		lines = append(lines, fmt.Sprintf("%s: %s (p99 %s, errors %s)", rate(t.RatePerSecond), text, ms(&t.P99Ms), percent(t.ErrorShare)))
	}
	return lines
}
