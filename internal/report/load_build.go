package report

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/untrusted"
)

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
			r.Specimens = append(r.Specimens, Specimen{Seq: x.Seq, Status: x.Status, Body: x.Body})
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
