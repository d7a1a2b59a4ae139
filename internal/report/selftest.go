package report

import (
	"fmt"
	"io"
	"time"

	"github.com/splitbench/splitbench/attack"
)

// SelfTestKind is the kind of the document that WriteSelfTestJSON writes.
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

// BuildSelfTest puts a self-test into words of the report.
func BuildSelfTest(a attack.Ability) SelfTest {
	us := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	return SelfTest{
		APIVersion: APIVersion, Kind: SelfTestKind, Engine: a.Engine, CPUs: a.CPUs, Connections: a.Connections,
		LimitPerSecond: a.Limit, SendLagRatePerSecond: a.LagRate, SendLag: SendLag{P50Us: finite(us(a.LagP50)), P99Us: finite(us(a.LagP99))},
		ServiceP50Us: us(a.ServiceP50), TimerLateP50Us: us(a.AlarmP50), TimerLateP99Us: us(a.AlarmP99),
	}
}

// WriteSelfTestJSON writes one document of kind SelfTest.
func WriteSelfTestJSON(w io.Writer, t SelfTest) error { return writeJSON(w, t) }

// WriteSelfTest writes it in words.
func WriteSelfTest(w io.Writer, t SelfTest, o TextOptions) error {
	page := newPage(o)
	page.para("SELFTEST  ", fmt.Sprintf("engine %s, %s: up to %s over %s", t.Engine, plural(int64(t.CPUs), "processor"),
		rate(t.LimitPerSecond), plural(int64(t.Connections), "connection")))
	page.fields([]field{
		{"Send lag", fmt.Sprintf("at %s half of the requests within %s of the plan, 99 in 100 within %s", rate(t.SendLagRatePerSecond), micros(t.SendLag.P50Us), micros(t.SendLag.P99Us))},
		{"Service", fmt.Sprintf("half of the answers within %s", micros(&t.ServiceP50Us))},
		{"Timer", fmt.Sprintf("half of the sleeps of 1ms end within %s of their time, 99 in 100 within %s", micros(&t.TimerLateP50Us), micros(&t.TimerLateP99Us))},
	})
	page.list([]string{"The limit is that of this generator against a server in the same process, on loopback: a rate that is a small share of it is measured without being shaped by it."})
	_, err := w.Write(page.b.Bytes())
	return err
}
