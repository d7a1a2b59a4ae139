package main

import (
	"strings"
	"testing"
)

// TestOutputIsPlain: stdout is data alone, whatever the command; its tables have no space before or behind a line; colours and
// what is more than ASCII come only where the environment asks for them or allows them.
func TestOutputIsPlain(t *testing.T) {
	t.Chdir(t.TempDir())
	base := map[string]string{"SPLITBENCH_KUBECONFIG": demoKubeconfig(t), "LC_ALL": "C"}
	const cluster = " --context west --remote-context east -n test --from deploy/frontend"
	for _, line := range []string{
		"run ts/podinfo --requests 300 --rate 1000 --tolerance 40pt" + cluster,
		"results list", "results list -o wide", "results verify", "report latest", "check ts/podinfo" + cluster, "check ts/podinfo -o short" + cluster,
		"plan ts/podinfo" + cluster, "explain", "explain SB012", "config view", "version", "run --help", "help",
		"analyze --weights a=50,b=50 --counts a=5212,b=4788", "analyze --weights a=99,b=1 --counts a=5,b=6",
	} {
		env := map[string]string{}
		for k, v := range base {
			env[k] = v
		}
		stdout, stderr, _ := carriedOut(t, env, line)
		if stdout == "" || strings.Contains(stdout, "splitbench: ") {
			t.Errorf("%s: stdout is not data alone\n%s%s", line, stdout, stderr)
		}
		for l := range strings.Lines(stdout) {
			l = strings.TrimSuffix(l, "\n")
			if strings.TrimRight(l, " ") != l || strings.HasPrefix(line, "results") && strings.HasPrefix(l, " ") {
				t.Errorf("%s: %q has a space where none is wanted", line, l)
			}
		}
		if i := strings.IndexFunc(stdout+stderr, func(r rune) bool { return r > '~' }); i >= 0 {
			t.Errorf("%s: %.40q is more than ASCII", line, (stdout + stderr)[i:])
		}
		if strings.Contains(stdout, "\x1b[") {
			t.Errorf("%s: colours without a terminal", line)
		}
	}
	const judged = "analyze --weights a=50,b=50 --counts a=5000,b=5000"
	for _, row := range []struct {
		name, value string
		colored     bool
	}{{"CLICOLOR_FORCE", "1", true}, {"CLICOLOR_FORCE", "0", false}, {"NO_COLOR", "1", false}, {"COLUMNS", "20", false}} {
		stdout, _, _ := carriedOut(t, map[string]string{row.name: row.value}, judged)
		if strings.Contains(stdout, "\x1b[") != row.colored {
			t.Errorf("%s=%s: coloured is not %v", row.name, row.value, row.colored)
		}
	}
	if stdout, _, _ := carriedOut(t, map[string]string{"NO_COLOR": "1", "CLICOLOR_FORCE": "1"}, judged); strings.Contains(stdout, "\x1b[") {
		t.Error("NO_COLOR is not heeded")
	}
}
