package cluster

import (
	"strings"
	"testing"
)

// Each mistake gets one clear sentence that names the flag or object, what was seen and what to do; no stack trace,
// nothing half-written.
func TestMistakesGetOneClearSentence(t *testing.T) {
	l := need(t)
	tests := []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"unknown split", l.runArgs("-n", namespace)[:0], 0, nil}, // replaced below: the split is the first argument
		{"unknown namespace", l.runArgs("-n", "nowhere"), 4, []string{"nowhere"}},
		{"unknown context", l.runArgs("--context", "mars"), 2, []string{`--context "mars"`, "east", "west"}},
		{"unknown remote context", l.runArgs("--remote-context", "mars"), 2, []string{`--remote-context "mars"`, "east", "west"}},
		{"unknown pod", l.runArgs("--from", "pod/nobody"), 4, []string{"nobody"}},
		{"unknown deployment", l.runArgs("--from", "deploy/nobody"), 4, []string{"nobody", "frontend"}},
		{"unknown container", l.runArgs("-c", "nobody"), 4, []string{"nobody", "nginx"}},
		{"the proxy's container", l.runArgs("-c", "linkerd-proxy"), 4, []string{"linkerd-proxy"}},
		{"several pods", l.runArgs("--from", "", "-l", "app=podinfo"), 2, []string{"app=podinfo", "podinfo-"}},
		{"no pods", l.runArgs("--from", "", "-l", "app=nobody"), 4, []string{"app=nobody"}},
		{"url of another host", l.runArgs("--url", "http://example.com:9898/"), 2, []string{"--url", "example.com", "--through"}},
		{"url of another port", l.runArgs("--url", "http://podinfo:1234/"), 4, []string{"1234"}},
		{"rate above the ceiling", l.runArgs("--rate", "1001"), 2, []string{"--rate", "--max-rate"}},
		{"requests above the ceiling", l.runArgs("--requests", "100001"), 2, []string{"--requests", "--max-requests"}},
		{"malformed rule", l.runArgs("--classify", "podinfo"), 2, []string{"--classify", "BACKEND=json:"}},
		{"rule for nobody", l.runArgs("--classify", "mars=regexp:x"), 2, []string{"--classify", "mars", "podinfo-east"}},
		{"two sources", l.runArgs("-l", "app=frontend"), 2, []string{"--from", "-l"}},
		{"no permission", l.runArgs("--as", "system:serviceaccount:test:default"), 4, []string{"forbidden"}},
		{"unreachable API server", l.runArgs("--server", "https://127.0.0.1:1"), 4, []string{"127.0.0.1:1"}},
		{"results that cannot be written", l.runArgs("--results-dir", "/proc/nowhere"), 2, []string{"--results-dir", "/proc/nowhere"}},
	}
	tests[0].args = append([]string{"run", "ts/nobody"}, l.runArgs()[2:]...)
	tests[0].code, tests[0].want = 4, []string{"nobody", "ts/podinfo"}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := l.do(t, t.TempDir(), tt.args...)
			text := e.stderr + strings.Join(e.report.Verdict.Reasons, "\n") + strings.Join(e.report.Verdict.Remedies, "\n")
			for _, c := range e.report.Checks {
				if c.Failure() {
					text += "\n" + c.Seen + "\n" + c.Hint
				}
			}
			if e.code != tt.code {
				t.Errorf("exit %d, want %d\n%s", e.code, tt.code, text)
			}
			for _, w := range tt.want {
				if !strings.Contains(text, w) {
					t.Errorf("%q is not named:\n%s", w, text)
				}
			}
			if strings.Contains(text, "goroutine ") || strings.Contains(text, "panic") {
				t.Errorf("a stack trace:\n%s", text)
			}
			if e.report.Load != nil {
				t.Errorf("requests were sent: %+v", e.report.Load)
			}
		})
	}
}
