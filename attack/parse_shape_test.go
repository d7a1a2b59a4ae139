package attack

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseShape(t *testing.T) {
	for in, want := range map[string]*Shape{
		"constant":              nil,
		"poisson":               {Kind: ShapePoisson, Seed: 7},
		"closed":                {Kind: ShapeClosed},
		"steps=100x10s,30/mx1m": {Kind: ShapeSteps, Steps: []Step{{Rate{100, time.Second}, 10 * time.Second}, {Rate{30, time.Minute}, time.Minute}}},
		"ramp=10:500:30s":       {Kind: ShapeRamp, From: Rate{10, time.Second}, To: Rate{500, time.Second}, Over: 30 * time.Second},
		"sine=100:50:20s":       {Kind: ShapeSine, From: Rate{100, time.Second}, Amplitude: Rate{50, time.Second}, Over: 20 * time.Second},
	} {
		got, err := ParseShape(in, 7)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%s: %v\n%s", in, err, d)
		}
	}
	for _, bad := range []string{"", "zigzag", "constant=1", "steps=", "steps=100", "steps=0x1s", "steps=1x1", "ramp=1:2", "ramp=0:1:1s", "ramp=1:NaN:1s", "sine=1:1:x", "replay"} {
		if got, err := ParseShape(bad, 0); err == nil {
			t.Errorf("%q is taken for %+v", bad, got)
		}
	}
}

func TestParseReuse(t *testing.T) {
	for in, want := range map[string][2]uint64{"1": {1, 1}, "5:50": {5, 50}} {
		if a, b, err := ParseReuse(in); err != nil || [2]uint64{a, b} != want {
			t.Errorf("%s: %d, %d, %v", in, a, b, err)
		}
	}
	for _, bad := range []string{"", "0", "5:", "5:4", "-1", "1:2:3"} {
		if _, _, err := ParseReuse(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestSelfTest(t *testing.T) {
	for _, engine := range []string{EngineH1, EngineStd} {
		a, err := SelfTest(t.Context(), engine, 4, 200*time.Millisecond)
		if err != nil || a.Limit < 500 || a.LagP99 < a.LagP50 || a.ServiceP50 <= 0 || a.AlarmP50 <= 0 {
			t.Errorf("%s: %+v, %v", engine, a, err)
		}
	}
}
