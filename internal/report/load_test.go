package report

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/attack"
)

// loadInputs are attacks of several ends.
func loadInputs() map[string]LoadInput {
	plan := attack.Plan{
		URL: "http://podinfo:9898/", Rate: attack.Rate{Hits: 1000, Per: time.Second}, Requests: 20_000, Protocol: attack.ProtocolH2C, Streams: 4,
		Connections: 8, Shape: nil, ConnectTo: map[string]string{"podinfo:9898": "127.0.0.1:1"},
	}.WithDefaults()
	run := LoadRun{ID: "20261125t120000z-local-attack-abcd", Started: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC), Tool: "v0", EndReason: "done", Complete: true}
	results := func(n int, lag time.Duration, class attack.ErrorClass) *attack.Summary {
		var s attack.Summary
		for i := range n {
			at := time.Duration(i) * time.Millisecond
			r := attack.Result{Seq: uint64(i), Planned: at, Sent: at + lag, FirstByte: at + lag + time.Millisecond, Done: at + lag + 2*time.Millisecond, Conn: int32(i % 8), Status: 200, Backend: int16(i%3) - 1}
			if i%10 == 9 {
				r.Err, r.Status, r.Backend = class, 0, attack.Unattributed
			}
			s.Add(r)
		}
		return &s
	}
	cut := run
	cut.EndReason, cut.EndText, cut.Complete = "errors", "25 of 40 requests within 2s failed", false
	best := 750.0
	return map[string]LoadInput{
		"done": {
			Plan: plan, Summary: results(20_000, 20*time.Microsecond, attack.ErrReset), WarmUp: 20, CPU: time.Second, OwnLimit: 50_000,
			Backends: []string{"west", "\x1b[31meast"}, Run: run, Specimens: []attack.Specimen{{Seq: 1, Status: 200, Body: "<b>\x1b[2J"}},
			Dials: attack.Dials{Opened: 8, Addresses: map[string]int64{"127.0.0.1:1": 8}, Connect: attack.Spread{N: 8, P50: time.Millisecond, P99: time.Millisecond, Max: 2 * time.Millisecond}},
		},
		"late":    {Plan: plan, Summary: results(1000, 20*time.Millisecond, attack.ErrDropped), Run: run, Throttled: time.Second},
		"few":     {Plan: plan, Summary: results(3, 0, attack.OK), Run: run},
		"nothing": {Plan: plan, Summary: &attack.Summary{}, Run: cut},
		"search": {Plan: plan, Summary: results(1000, 0, attack.OK), Run: run, Search: &LoadSearch{
			BestPerSecond: &best, Why: "at 800/s, 3 % of the requests failed",
			Trials: []LoadTrial{{RatePerSecond: 750, OK: true, P99Ms: 3}, {RatePerSecond: 800, Why: "3 % of the requests failed", P99Ms: 8, ErrorShare: 0.03}},
		}},
	}
}

func TestLoadReportsFitTheSchema(t *testing.T) {
	schema := compile(t, loadSchema)
	for name, in := range loadInputs() {
		var b bytes.Buffer
		if err := WriteJSON(&b, BuildLoad(in)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := schema.Validate(decode(t, b.Bytes())); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	var b bytes.Buffer
	if err := WriteJSON(&b, BuildSelfTest(attack.Ability{Engine: "h1", CPUs: 2, Limit: 50_000, LagRate: 1000, LagP50: 20 * time.Microsecond})); err != nil {
		t.Fatal(err)
	}
	if err := compile(t, selfSchema).Validate(decode(t, b.Bytes())); err != nil {
		t.Error(err)
	}
}

func TestLoadReportsInWords(t *testing.T) {
	for name, want := range map[string][]string{
		"done": {
			"20,000 requests in 20s, 1000/s of 1000/s", "service", "2.0ms", "200: 18,000", "reset: 2,000", "8 connections dialled to 127.0.0.1:1: 8",
			"half of the requests within 20us of the plan", "50us of CPU for each", "at 2 % of its own limit", "(unattributed): ",
		},
		"late":    {"The generator was late", "20ms", "1000 of 1000", "kept from running for 1s", "dropped: 100"},
		"few":     {"need at least"},
		"nothing": {"ended early: 25 of 40 requests within 2s failed", "Nothing was timed"},
		"search":  {"The highest rate that kept the limits is 750/s: at 800/s, 3 % of the requests failed", "800/s: 3 % of the requests failed"},
	} {
		t.Run(name, func(t *testing.T) {
			text := said(BuildLoad(loadInputs()[name]).Outline())
			for _, w := range want {
				if !strings.Contains(text, w) {
					t.Errorf("no %q in:\n%s", w, text)
				}
			}
		})
	}
}

// Latencies of a generator that was late are its own, and nowhere offered as facts.
func TestLateGeneratorsShowNoLatencies(t *testing.T) {
	r := BuildLoad(loadInputs()["late"])
	if r.Load.OnTime || r.Generator.OnTime || len(r.Generator.Why) != 3 || r.Load.ServiceTime != (Quantiles{}) || r.Load.ResponseTime != (Quantiles{}) {
		t.Errorf("%+v %+v", r.Generator, r.Load)
	}
}

func TestSpecimensThatAreGzipped(t *testing.T) {
	for body, want := range map[string]bool{"\x1f\x8b\x08\x00": true, "\x1f\ufffd\x08\x00": true, "\x1f8": false, "": false} {
		got := specimenLines([]Specimen{{Seq: 1, Status: 200, Body: body}})[0]
		if strings.Contains(got, "by a header") != want {
			t.Errorf("%q: %s", body, got)
		}
	}
}
