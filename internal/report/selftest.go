package report

import (
	"fmt"
)

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
