package attack

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func validPlan() Plan {
	return Plan{URL: "http://podinfo:9898/", Rate: Rate{100, time.Second}, Requests: 10}.WithDefaults()
}

func TestPlanValidate(t *testing.T) {
	if err := validPlan().Validate(); err != nil {
		t.Fatalf("the valid plan: %v", err)
	}
	tests := []struct {
		change func(*Plan)
		want   string
	}{
		{func(p *Plan) { p.URL = "podinfo:9898" }, "scheme"},
		{func(p *Plan) { p.URL = "ftp://podinfo" }, "scheme"},
		{func(p *Plan) { p.URL = "http://" }, "no host"},
		{func(p *Plan) { p.URL = "http://a b/" }, "url"},
		{func(p *Plan) { p.URL = "http://me:secret@podinfo/" }, "passwords are not sent"},
		{func(p *Plan) { p.Method = "DELETE" }, "only GET, HEAD and OPTIONS are sent"},
		{func(p *Plan) { p.Header = map[string]string{"X": "a\r\nY: b"} }, "header"},
		{func(p *Plan) { p.Requests = 0 }, "requests 0"},
		{func(p *Plan) { p.Requests = DefaultMaxRequests + 1 }, "ceiling of 100000"},
		{func(p *Plan) { p.WarmUp = DefaultMaxRequests + 1 }, "warm-up"},
		{func(p *Plan) { p.Rate = Rate{} }, "rate 0"},
		{func(p *Plan) { p.Rate = Rate{1001, time.Second} }, "ceiling of 1000/s"},
		{func(p *Plan) { p.Connections = -1 }, "connections -1"},
		{func(p *Plan) { p.Connections = 20_000 }, "connections 20000"},
		{func(p *Plan) { p.Timeout = time.Hour }, "timeout"},
		{func(p *Plan) { p.Engine = "wrk" }, `engine "wrk"`},
		{func(p *Plan) { p.Engine, p.URL = EngineH1, "https://podinfo/" }, "use engine std"},
		{func(p *Plan) { p.ConnectTo = map[string]string{"podinfo": "127.0.0.1:80"} }, "connect-to"},
		{func(p *Plan) { p.ConnectTo = map[string]string{"podinfo:80": "127.0.0.1"} }, "connect-to"},
		{func(p *Plan) { p.ConnectTo = map[string]string{"Podinfo:80": "127.0.0.1:80"} }, "lower case"},
		{func(p *Plan) { p.MaxRate = math.NaN() }, "ceiling"},
		{func(p *Plan) { p.Shape = &Shape{Kind: "zigzag"} }, `schedule "zigzag"`},
		{func(p *Plan) { p.Shape = &Shape{Kind: ShapeSteps} }, "0 steps"},
		{func(p *Plan) { p.Shape = &Shape{Kind: ShapeSteps, Steps: []Step{{perSecond(1), 0}, {perSecond(1), 0}}} }, "step 1"},
		{func(p *Plan) { p.Shape = &Shape{Kind: ShapeSteps, Steps: []Step{{perSecond(2000), time.Second}}} }, "rate 2000/s: above"},
		{func(p *Plan) { p.Shape = &Shape{Kind: ShapeRamp, From: perSecond(1)} }, "two rates"},
		{func(p *Plan) { p.Shape = &Shape{Kind: ShapeRamp, From: perSecond(1), To: perSecond(2000), Over: 1} }, "rate 2000/s: above"},
		{func(p *Plan) { p.Shape = &Shape{Kind: ShapeRamp, From: perSecond(1), To: perSecond(2)} }, "over 0s"},
		{func(p *Plan) { p.Shape = &Shape{Kind: ShapeSine, From: perSecond(5), Amplitude: perSecond(5), Over: 1} }, "below it"},
		{func(p *Plan) { p.Shape = &Shape{Kind: ShapeSine, From: perSecond(5), Amplitude: perSecond(1)} }, "period 0s"},
		{func(p *Plan) {
			p.Shape = &Shape{Kind: ShapeSine, From: perSecond(5), Amplitude: perSecond(1), Over: 1, Phase: math.NaN()}
		}, "phase"},
		{func(p *Plan) { p.Shape, p.Rate = &Shape{Kind: ShapePoisson}, Rate{} }, "rate 0"},
		{func(p *Plan) { p.Shape = &Shape{Kind: "replay"} }, `schedule "replay": want constant`},
		{func(p *Plan) { p.Reuse = &Reuse{MinRequests: 2, MaxRequests: 1} }, "reuse: 2 to 1"},
		{func(p *Plan) { p.Reuse = &Reuse{MaxAge: -1} }, "reuse: age"},
		{func(p *Plan) { p.Reuse, p.Engine = &Reuse{MaxRequests: 1}, EngineVegeta }, "use engine h1"},
		{func(p *Plan) { p.Limits, p.Engine = &Limits{Bytes: 1 << 20}, EngineVegeta }, "does not count bytes"},
		{func(p *Plan) { p.Rules = []Rule{{Kind: "?"}} }, "classifier rule 1"},
	}
	for _, tt := range tests {
		p := validPlan()
		tt.change(&p)
		err := p.Validate()
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("want an error with %q, got %v", tt.want, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows a password: %v", err)
		}
	}
}

func TestPlanChoosesAnEngine(t *testing.T) {
	for url, want := range map[string]string{"http://podinfo": EngineH1, "https://podinfo": EngineStd, "HTTPS://podinfo": EngineStd} {
		p := validPlan()
		p.URL = url
		if err := p.Validate(); err != nil || p.EngineName() != want {
			t.Errorf("%s: engine %s, %v; want %s", url, p.EngineName(), err, want)
		}
	}
}

func TestPlanTravelsAsJSON(t *testing.T) {
	p := validPlan()
	p.Rules = []Rule{{Backend: 1, Kind: RuleJSON, Key: "/hostname", Values: []string{"a"}}}
	p.Header = map[string]string{"User-Agent": "splitbench"}
	p.Shape = &Shape{Kind: ShapeSteps, Steps: []Step{{perSecond(10), time.Second}, {perSecond(20), 0}}}
	p.Reuse = &Reuse{MinRequests: 1, MaxRequests: 5, MaxAge: time.Second, Seed: 7}
	p.ConnectTo, p.Engine = map[string]string{"podinfo:9898": "127.0.0.1:1"}, EngineH1
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var got Plan
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(p, got); d != "" {
		t.Error(d)
	}
	if p.Duration() != time.Second {
		t.Errorf("10 requests at 10/s take %s", p.Duration())
	}
}
