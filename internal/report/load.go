package report

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/untrusted"
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
			URL: untrusted.Masked(p.URL), Method: p.Method, Protocol: cmp.Or(string(p.Protocol), string(attack.ProtocolHTTP1)),
			Schedule:    string(attack.ShapeConstant),
			Connections: p.Connections, Streams: max(p.Streams, 1), Saturation: cmp.Or(string(p.Saturation),
				string(attack.SaturationQueue)), ConnectTo: p.ConnectTo,
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
		r.Generator.OwnLimitPerSecond = Finite(in.OwnLimit)
		r.Generator.OwnLimitShare = Finite(r.Load.RatePerSecond / in.OwnLimit)
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
			r.Specimens = append(r.Specimens, Specimen(x))
		}
	}
	return r
}

// unattributedName is in the place of a rule's name where none matched. No Service can be called that.
const unattributedName = "(unattributed)"

func loadOf(in LoadInput, late []string) Load {
	s := in.Summary
	l := Load{
		Requests: int64(s.Requests), WarmUpRequests: in.WarmUp, RatePerSecond: s.Rate(),
		DurationSeconds: s.LastDone.Seconds(),
		Errors:          int64(s.Failed()), Dropped: int64(s.Errors[attack.ErrDropped]), Connections: in.Dials.Opened,
		StatusCodes: map[string]int64{}, Engine: in.Plan.EngineName(), OnTime: len(late) == 0, EndReason: in.Run.EndReason,
	}
	if in.Plan.Shape == nil || in.Plan.Shape.Kind == attack.ShapeConstant || in.Plan.Shape.Kind == attack.ShapePoisson {
		l.TargetRatePerSecond = in.Plan.Rate.PerSecond()
	}
	if in.CPU > 0 && s.Requests > 0 {
		l.CPUUsPerRequest = Finite(in.CPU.Seconds() * 1e6 / float64(s.Requests))
	}
	for status, n := range s.Statuses {
		l.StatusCodes[fmt.Sprint(status)] = int64(n)
	}
	n := s.Timed()
	l.SendLag = SendLag{
		P50Us: QuantileOf(int64(s.Sent), 0.5, s.SendLag, time.Microsecond),
		P99Us: QuantileOf(int64(s.Sent), 0.99, s.SendLag, time.Microsecond),
	}
	switch {
	case n == 0:
		l.Why = "nothing was timed"
	case len(late) > 0:
		l.Why = "the generator was late: " + strings.Join(late, "; ")
	default:
		l.ServiceTime, l.ResponseTime, l.Why = QuantilesOf(n, s.ServiceTime), QuantilesOf(n, s.ResponseTime), TooFew(n)
	}
	return l
}

// FailuresOf says what failed of a load, and how often: causes where there was no connection, else kinds of errors, and
// statuses that say that the server failed.
func FailuresOf(s *attack.Summary, d attack.Dials) string {
	n := maps.Clone(d.Causes)
	if n == nil {
		n = map[string]int64{}
	}
	for class, times := range s.Errors {
		explained := len(d.Causes) > 0 && (class == attack.ErrDial || class == attack.ErrTLS)
		if class != attack.ErrCanceled && !explained {
			n[class.String()] += int64(times)
		}
	}
	for status, times := range s.Statuses {
		if status >= http.StatusInternalServerError {
			n[fmt.Sprintf("status %d", status)] += int64(times)
		}
	}
	return counted(n)
}

func loadDials(d attack.Dials) LoadDials {
	out := LoadDials{
		Opened: d.Opened, Failed: d.Failed, Addresses: maps.Clone(d.Addresses), Resolve: dialOf(d.Resolve),
		Connect: dialOf(d.Connect), Handshake: dialOf(d.Handshake), Causes: map[string]int64{},
	}
	maps.Copy(out.Causes, d.Causes)
	if out.Addresses == nil {
		out.Addresses = map[string]int64{}
	}
	return out
}

func dialOf(s attack.Spread) (d Dial) {
	if s.N > 0 {
		in := func(t time.Duration) *float64 { return Finite(float64(t) / float64(time.Millisecond)) }
		d = Dial{P50Ms: in(s.P50), P99Ms: in(s.P99), MaxMs: in(s.Max)}
	}
	return d
}

// BuildSelfTest puts a self-test into words of the report.
func BuildSelfTest(a attack.Ability) SelfTest {
	us := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	return SelfTest{
		APIVersion: APIVersion, Kind: SelfTestKind, Engine: a.Engine, CPUs: a.CPUs, Connections: a.Connections,
		LimitPerSecond: a.Limit, SendLagRatePerSecond: a.LagRate, SendLag: SendLag{
			P50Us: Finite(us(a.LagP50)),
			P99Us: Finite(us(a.LagP99)),
		},
		ServiceP50Us: us(a.ServiceP50), TimerLateP50Us: us(a.AlarmP50), TimerLateP99Us: us(a.AlarmP99),
	}
}

// SelfTestKind is the kind of a SelfTest.
const SelfTestKind = "SelfTest"

// SelfTest is what the generator can do on a machine. Its schema is docs/schema/selftest.v1alpha1.json.
type SelfTest struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`

	Engine               string  `json:"engine"`
	CPUs                 int     `json:"cpus"`
	Connections          int     `json:"connections"`
	LimitPerSecond       float64 `json:"limitPerSecond"`       // at full speed, against a server in the same process
	SendLagRatePerSecond float64 `json:"sendLagRatePerSecond"` // at which the send lag was measured
	SendLag              SendLag `json:"sendLag"`
	ServiceP50Us         float64 `json:"serviceP50Us"`
	TimerLateP50Us       float64 `json:"timerLateP50Us"` // of a sleep of 1 ms
	TimerLateP99Us       float64 `json:"timerLateP99Us"`
}

// Outline is the self-test as people read it.
func (t SelfTest) Outline() Outline {
	var f Fields
	f.add("Send lag", fmt.Sprintf("at %s half of the requests within %s of the plan, 99 in 100 within %s",
		rate(t.SendLagRatePerSecond), micros(t.SendLag.P50Us), micros(t.SendLag.P99Us)))
	f.add("Service", fmt.Sprintf("half of the answers within %s", micros(&t.ServiceP50Us)))
	f.add("Timer", fmt.Sprintf("half of the sleeps of 1ms end within %s of their time, 99 in 100 within %s",
		micros(&t.TimerLateP50Us), micros(&t.TimerLateP99Us)))
	return Outline{
		Word: "SELFTEST", Title: "self-test",
		Headline: fmt.Sprintf("engine %s, %s: up to %s over %s", t.Engine, plural(int64(t.CPUs), "processor"),
			rate(t.LimitPerSecond), plural(int64(t.Connections), "connection")),
		Sections: []Section{{ID: "measured", Title: "How it was measured", Blocks: []Block{f, Paragraph(
			"The limit is that of this generator against a server in the same process, on loopback: a rate that is a small " +
				"share of it is measured without being shaped by it.")}}},
	}
}
