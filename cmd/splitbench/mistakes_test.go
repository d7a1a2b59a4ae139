package main

import (
	"bytes"
	"cmp"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splitbench/splitbench/internal/demo"
)

const rightFlags = " --context west --remote-context east -n test --from deploy/frontend"

// TestMistakes makes mistakes as people make them. What is said of each takes eight lines of 80 columns at most, what is
// wrong and what to do comes first, and the exit code is the documented one: 2 for a command line or a local file, 4
// where a cluster or the network refused.
func TestMistakes(t *testing.T) {
	world, err := demo.Start(t.Context(), demo.Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { world.Close() })
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	good := write("kubeconfig", string(world.Kubeconfig()))
	var strange []string
	for line := range strings.Lines(string(world.Kubeconfig())) {
		if !strings.Contains(line, "certificate-authority-data") {
			strange = append(strange, line)
		}
	}
	words := strings.NewReplacer("STRANGE", write("strange", strings.Join(strange, "")), "BROKEN", write("broken", "a: [b"),
		"NOFILE", filepath.Join(dir, "none"), "EMPTY", write("empty", ""), "DIR", dir)
	t.Chdir(dir)
	for _, row := range []struct {
		line string
		env  string // NAME=value
		code int
		want string // how what is said begins, as one line
	}{
		// Names of objects.
		{line: "run ts/podinf" + rightFlags, code: 4, want: "INVALID test/podinf: there is no TrafficSplit podinf in namespace test; did you mean ts/podinfo?"},
		{line: "check ts/podinf" + rightFlags, code: 4, want: "INVALID test/podinf: there is no TrafficSplit podinf in namespace test; did you mean ts/podinfo?"},
		{line: "run podinf" + rightFlags, code: 4, want: "INVALID test/podinf: nothing splits Service podinf in namespace test"},
		{line: "plan ts/podinf" + rightFlags, code: 4, want: "read split podinf: there is no TrafficSplit podinf in namespace test; did you mean ts/podinfo?"},
		{line: "convert ts/podinf --context west -n test", code: 4, want: "find split ts/podinf in namespace test: there is no such TrafficSplit; did you mean ts/podinfo?"},
		{line: "watch ts/podinf" + rightFlags, code: 4, want: "INVALID test/podinf: there is no TrafficSplit podinf in namespace test; did you mean ts/podinfo?"},
		{line: "run tsx/podinfo" + rightFlags, code: 2, want: `read split "tsx/podinfo": not a kind of split; did you mean ts/podinfo?`},
		{line: "run trafficsplt/podinfo" + rightFlags, code: 2, want: `read split "trafficsplt/podinfo": not a kind of split; did you mean trafficsplit/podinfo?`},
		{line: "run ts podinfo extra" + rightFlags, code: 2, want: `splitbench run ["ts" "podinfo" "extra"]: the arguments are too many or too few; write splitbench run [SPLIT]`},
		{line: "run podinfo podinfo-east" + rightFlags, code: 2, want: `splitbench run ["podinfo" "podinfo-east"]: the arguments are too many`},
		{line: "run ts/podinfo --context west -n tset --from deploy/frontend", code: 4, want: "INVALID could not be measured: find namespace -n tset: there is no such namespace in context west What to do: - did you mean test?"},
		{line: "run ts/podinfo --context west -n Test_1 --from deploy/frontend", code: 2, want: `read --namespace "Test_1": not a namespace's name`},
		{line: "run ts/podinfo --context west -n test --from deploy/frontned", code: 4, want: "INVALID could not be measured: find source pod --from deploy/frontned in namespace test: there is no such deployment What to do: - did you mean deploy/frontend?"},
		{line: "run ts/podinfo --context west -n test --from frontend", code: 4, want: "INVALID could not be measured: find source pod --from frontend in namespace test: there is no such pod What to do: - did you mean deploy/frontend?"},
		{line: "run ts/podinfo --context west -n test --from depoly/frontend", code: 2, want: `read --from "depoly/frontend": no source of this kind; did you mean deploy/frontend?`},
		{line: "run ts/podinfo --context west -n test -l app=frontned", code: 4, want: "INVALID could not be measured: find source pod -l app=frontned in namespace test: there is no such pod What to do: - there are:"},
		{line: "run ts/podinfo -c ngnix" + rightFlags, code: 4, want: `INVALID could not be measured: choose container of pod`},
		{line: "latency svc/podinfo-est --against svc/podinfo" + rightFlags, code: 4, want: "INVALID could not be measured: find target svc/podinfo-est: there is no Service podinfo-est in namespace test"},
		{line: "latency podinfo-east --against podinfo" + rightFlags, code: 2, want: `target "podinfo-east": want svc/NAME or svc/NAME:PORT`},
		{line: "run ts/podinfo --through svc/frontent" + rightFlags, code: 4, want: "INVALID could not be measured: find Service --through svc/frontent in namespace test: there is no such Service"},
		// Contexts and kubeconfigs.
		{line: "run ts/podinfo --context wst -n test --from deploy/frontend", code: 2, want: `--context "wst": the kubeconfig has no such context; did you mean west?`},
		{line: "run ts/podinfo --context west --remote-context eas -n test --from deploy/frontend", code: 2, want: `--remote-context "eas": the kubeconfig has no context "eas"; did you mean east?`},
		{line: "run ts/podinfo --kubeconfig NOFILE -n test --from deploy/frontend", code: 2, want: `--kubeconfig "DIR/none": there is no such file`},
		{line: "run ts/podinfo --kubeconfig EMPTY -n test --from deploy/frontend", code: 2, want: `--kubeconfig: there is no context in DIR/empty`},
		{line: "run ts/podinfo --kubeconfig BROKEN -n test --from deploy/frontend", code: 2, want: `read kubeconfig: `},
		{line: "run ts/podinfo -n test --from deploy/frontend", env: "SPLITBENCH_KUBECONFIG=NOFILE", code: 2, want: `SPLITBENCH_KUBECONFIG: --kubeconfig "DIR/none": there is no such file`},
		// API servers.
		{line: "run ts/podinfo --kubeconfig STRANGE" + rightFlags, code: 4, want: "INVALID could not be measured: connect --context west: "},
		{line: "check ts/podinfo --kubeconfig STRANGE" + rightFlags, code: 4, want: "connect --context west: "},
		{line: "run ts/podinfo --tls-server-name other" + rightFlags, code: 4, want: "INVALID could not be measured: connect --context west: "},
		{line: "run ts/podinfo --server https://127.0.0.1:1" + rightFlags, code: 4, want: "INVALID could not be measured: connect --context west: "},
		{line: "run ts/podinfo --token wrong" + rightFlags, code: 4, want: "INVALID could not be measured: connect --context west: the server has asked for the client to provide credentials What to do: - log in"},
		// Commands and arguments.
		{line: "runn ts/podinfo", code: 2, want: `splitbench "runn": no such command; did you mean run?`},
		{line: "frobnicate", code: 2, want: `splitbench "frobnicate": no such command; see splitbench --help`},
		{line: "compare a b", code: 2, want: `splitbench "compare": no such command; did you mean splitbench results compare?`},
		{line: "frobnicate --help", code: 2, want: `splitbench "frobnicate": no such command; see splitbench --help`},
		{line: "results lst --help", code: 2, want: `splitbench results "lst": no such command; did you mean list?`},
		{line: "results lst", code: 2, want: `splitbench results "lst": no such command; did you mean list?`},
		{line: "completion bsh", code: 2, want: `splitbench completion "bsh": want bash, zsh, fish, powershell or kubectl`},
		{line: "rbac rn ts/podinfo", code: 2, want: `rbac "rn": no such command; did you mean run?`},
		{line: "mark latest", code: 2, want: `splitbench mark ["latest"]: the arguments are too many or too few; write splitbench mark RUN TEXT`},
		{line: "attack", code: 2, want: `splitbench attack: an argument is missing; write splitbench attack URL`},
		{line: "explain SB12", code: 2, want: `explain "SB12": there is no such check; did you mean SB012?`},
		{line: "explain nothing", code: 2, want: `explain "nothing": there is no such check; splitbench explain lists them`},
		{line: "run ts/podinfo --ignore-check SB8" + rightFlags, code: 2, want: "--ignore-check SB8: there is no such check; did you mean SB008?"},
		{line: "report latst", code: 2, want: `open run "latst": no such run in --results-dir "results"; did you mean latest?`},
		{line: "report", code: 2, want: "name a run: latest, an id or its beginning, or -l KEY=VALUE"},
		{line: "analyze nothing", code: 2, want: `open run "nothing": no such run in --results-dir "results"; to see them: splitbench results list --results-dir results`},
		{line: "report /etc/hostname", code: 2, want: "report /etc/hostname: not a report"},
		// Flags.
		{line: "check ts/podinfo --contxt west", code: 2, want: "--contxt: check has no such flag; did you mean --context?"},
		{line: "check ts/podinfo --frobnicate", code: 2, want: "--frobnicate: check has no such flag; see splitbench check --help"},
		{line: "check ts/podinfo -x", code: 2, want: "-x: check has no such flag; see splitbench check --help"},
		{line: "report --tolerance 5pt", code: 2, want: "--tolerance: has no meaning for report; see splitbench report --help"},
		{line: "run ts/podinfo --context west -n test", code: 2, want: "--from: name the pod that requests come from, such as deploy/frontend"},
		{line: "latency svc/podinfo-east" + rightFlags, code: 2, want: "--against: name what to compare with, such as svc/podinfo"},
		{line: "drill ts/podinfo" + rightFlags, code: 2, want: "--duration: say how long to send, such as 10m"},
		{line: "results prune", code: 2, want: "--keep, --older-than: give one or both"},
		// Units and values.
		{line: "run ts/podinfo --rate 50rps" + rightFlags, code: 2, want: `--rate "50rps": want a decimal number, such as 50, 0.5 or 30/m`},
		{line: "run ts/podinfo --duration 10" + rightFlags, code: 2, want: `--duration "10": want a time with its unit, such as 500ms, 10s or 5m`},
		{line: "run ts/podinfo --tolerance 5" + rightFlags, code: 2, want: `--tolerance "5": "5" has no unit, write it like 2pt or 20%`},
		{line: "run ts/podinfo --alpha 5%" + rightFlags, code: 2, want: `--alpha "5%": want a decimal number, such as 0.01`},
		{line: "run ts/podinfo --alpha 2" + rightFlags, code: 2, want: "--alpha: 2 is out of range, want above 0 and below 0.5"},
		{line: "run ts/podinfo --requests 10k" + rightFlags, code: 2, want: `--requests "10k": want a number above 0, or auto`},
		{line: "run ts/podinfo --connections many" + rightFlags, code: 2, want: `--connections "many": want a whole number`},
		{line: "run ts/podinfo --gate chisqare" + rightFlags, code: 2, want: `--gate "chisqare": want tolerance or chisquare`},
		{line: "run ts/podinfo -o jsn" + rightFlags, code: 2, want: `-o "jsn": `},
		{line: "check ts/podinfo -o wide" + rightFlags, code: 2, want: `-o "wide": want text, short, json,`},
		{line: "run ts/podinfo -o jsonpath={.verdict" + rightFlags, code: 2, want: `-o "jsonpath={.verdict": error parsing jsonpath {.verdict, unclosed action`},
		{line: "run ts/podinfo --expect 50-50" + rightFlags, code: 2, want: `--expect "50-50": want weights such as 90/10`},
		{line: "run ts/podinfo --header foo" + rightFlags, code: 2, want: `--header: want 'Name: value'`},
		{line: "run ts/podinfo --classify foo" + rightFlags, code: 2, want: `--classify "foo": want BACKEND=json:`},
		{line: "run ts/podinfo --method POST" + rightFlags, code: 2, want: `--method "POST": only GET, HEAD and OPTIONS are sent; allow it with --allow-unsafe`},
		{line: "run ts/podinfo --url podinfo:9898" + rightFlags, code: 2, want: `--url "podinfo:9898": want http://HOST:PORT/PATH`},
		{line: "run ts/podinfo --url http://example.com/" + rightFlags, code: 2, want: `--url "http://example.com/": host "example.com" is not the split's root Service "podinfo"`},
		{line: "watch ts/podinfo --every 1" + rightFlags, code: 2, want: `--every "1": want a time with its unit`},
		{line: "results export latest --to xml", code: 2, want: `--to "xml": want parquet, samples-csv, ndjson, vegeta, csv, json, benchfmt or prom`},
		{line: "analyze --weights a=50", code: 2, want: "--weights, --counts: give both, or name a run"},
		{line: "analyze --weights a=50,b=50 --counts a=1,c=2", code: 2, want: `--counts: counts "a=1,c=2": backend "c" has no weight; the weights name "a", "b"`},
		{line: "version --color red", code: 2, want: `--color "red": want auto, always or never`},
		// Flags that collide, and ceilings.
		{line: "run ts/podinfo --rate 5000" + rightFlags, code: 2, want: "--rate 5000/s: above the ceiling of 1000/s; allow it with --max-rate"},
		{line: "run ts/podinfo --rate 5 --requests 10 --duration 10s" + rightFlags, code: 2, want: "--requests, --rate and --duration: two of them fix the third; leave one out"},
		{line: "run ts/podinfo --body a --body-file EMPTY" + rightFlags, code: 2, want: "--body and --body-file: leave one out"},
		{line: "run --all-splits -f EMPTY" + rightFlags, code: 2, want: "--filename and --all-splits: give one of them"},
		// Files and folders.
		{line: "run ts/podinfo --results-dir /proc/none" + rightFlags, code: 2, want: `create --results-dir "/proc/none": `},
		{line: "run ts/podinfo --junit DIR/none/x.xml" + rightFlags, code: 2, want: `--junit "DIR/none/x.xml": there is no folder "DIR/none"`},
		{line: "attack http://127.0.0.1:1/ --out DIR/none/x", code: 2, want: `--out "DIR/none/x": there is no folder "DIR/none"`},
		{line: "convert -f NOFILE", code: 2, want: "-f: open DIR/none: no such file or directory"},
		{line: "run -f NOFILE", code: 2, want: "--filename: open DIR/none: no such file or directory"},
		// Variables.
		{line: "run ts/podinfo" + rightFlags, env: "SPLITBENCH_RATE=fast", code: 2, want: `SPLITBENCH_RATE: --rate "fast": want a decimal number`},
		{line: "run ts/podinfo" + rightFlags, env: "SPLITBENCH_RATE=5000", code: 2, want: "SPLITBENCH_RATE: --rate 5000/s: above the ceiling of 1000/s"},
		{line: "run ts/podinfo -n test --from deploy/frontend", env: "SPLITBENCH_CONTEXT=wst", code: 2, want: `SPLITBENCH_CONTEXT: --context "wst": the kubeconfig has no such context; did you mean west?`},
		{line: "run ts/podinfo --context west -n test", env: "SPLITBENCH_FROM=depoly/frontend", code: 2, want: `SPLITBENCH_FROM: read --from "depoly/frontend"`},
		{line: "version", env: "SPLITBENCH_COLOR=red", code: 2, want: `SPLITBENCH_COLOR: --color "red": want auto, always or never`},
		// The generator alone.
		{line: "attack localhost:9898", code: 2, want: `attack "localhost:9898": want a URL with its scheme; did you mean http://localhost:9898?`},
		{line: "attack http://127.0.0.1:1/ --search 100", code: 2, want: `--search "100": want FROM:TO, two rates per second`},
	} {
		t.Run(row.line+row.env, func(t *testing.T) {
			name, value, _ := strings.Cut(words.Replace(row.env), "=")
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), append([]string{"splitbench"}, strings.Fields(words.Replace(row.line))...), surroundings{
				stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, getenv: func(k string) string {
					return map[string]string{"SPLITBENCH_KUBECONFIG": good, name: value}[k]
				},
			})
			said, lines := messageOf(stdout.String() + stderr.String())
			if want := words.Replace(row.want); code != row.code || !strings.HasPrefix(said, want) {
				t.Errorf("exit code %d, want %d; want %q\n%s%s", code, row.code, want, stdout.String(), stderr.String())
			}
			if lines > 8 {
				t.Errorf("%d lines\n%s%s", lines, stdout.String(), stderr.String())
			}
		})
	}
}

// messageOf is what was said as one line, but for the steps on the way, and how many lines of 80 columns it takes.
func messageOf(out string) (said string, lines int) {
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\n")
		if line == "splitbench: reading the split, its Services and the source pod" ||
			line == "splitbench: checking that the split can be measured" || line == "splitbench: reading the targets and the source pod" {
			continue
		}
		lines += max(1, (len(line)+79)/80)
		said += " " + strings.TrimPrefix(line, "splitbench: ")
	}
	return strings.Join(strings.Fields(cmp.Or(said, " ")), " "), lines
}
