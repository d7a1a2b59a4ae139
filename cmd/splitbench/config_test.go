package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const headOfDefaults = "apiVersion: splitbench.io/v1alpha1\nkind: Defaults\n"

// TestDefaultsComeFromFiles has a file above the working directory, one of the user, a variable and a command line, and wants
// each flag from the nearest of them, and said to be from there.
func TestDefaultsComeFromFiles(t *testing.T) {
	file := demoKubeconfig(t)
	top := t.TempDir()
	below := filepath.Join(top, "a", "b")
	user := filepath.Join(top, "user")
	for _, dir := range []string{below, filepath.Join(user, "splitbench")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	near, far := filepath.Join(top, folderDefaults), filepath.Join(user, userDefaults)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(near, headOfDefaults+"context: west\nremoteContexts: [east]\nresultsDir: kept\ntolerance: 30pt\n")
	write(far, headOfDefaults+"context: nowhere\nnamespace: test\nfrom: deploy/nothing\ncontainer: nginx\n")
	t.Chdir(below)
	env := map[string]string{"XDG_CONFIG_HOME": user, "SPLITBENCH_KUBECONFIG": file, "SPLITBENCH_FROM": "deploy/frontend"}
	stdout, stderr, code := carriedOut(t, env, "config view --tolerance 40pt -o json")
	var view configView
	if err := json.Unmarshal([]byte(stdout), &view); err != nil || code != 0 {
		t.Fatalf("exit code %d: %v\n%s", code, err, stderr)
	}
	var doc map[string]any
	if err := json.Unmarshal([]byte(stdout), &doc); err != nil {
		t.Fatal(err)
	}
	got := map[string][2]string{}
	for _, v := range view.Values {
		got[v.Name] = [2]string{v.Value, v.From}
	}
	for name, want := range map[string][2]string{
		"context": {"west", near + ":3:1"}, "remote-context": {"east", near + ":4:1"}, "results-dir": {filepath.Join(top, "kept"), near + ":5:1"},
		"tolerance": {"40pt", "command line"}, "namespace": {"test", far + ":4:1"}, "container": {"nginx", far + ":6:1"},
		"from": {"deploy/frontend", "SPLITBENCH_FROM"},
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	// A whole run needs nothing but the split, and is where the file says.
	if _, stderr, code := carriedOut(t, env, "run ts/podinfo --requests 300 --rate 1000"); code != 0 {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
	if runs, err := filepath.Glob(filepath.Join(top, "kept", "2*")); err != nil || len(runs) != 1 {
		t.Errorf("%q was kept: %v", runs, err)
	}
	// A suite says more of its splits than a file of defaults does, and is completed by it.
	write("suite.yaml", "apiVersion: splitbench.io/v1alpha1\nkind: Suite\ndefaults: {context: east}\nsplits: [{split: ts/podinfo, requests: 300}]\n")
	if _, stderr, code := carriedOut(t, env, "run -f suite.yaml --dry-run"); code != 4 || !strings.Contains(stderr, "there are: deploy/podinfo") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
	// An error about a value of a file names the place.
	write(near, headOfDefaults+"context: wst\n")
	if _, stderr, code := carriedOut(t, env, "check ts/podinfo"); code != 2 || !strings.Contains(stderr, near+":3:1: --context \"wst\": the kubeconfig has no such context; did you mean west?") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
	// Completion knows the file too.
	write(near, headOfDefaults+"context: west\n")
	if out, _, _ := carriedOut(t, env, "__complete run t"); !strings.Contains(out, "ts/podinfo") {
		t.Errorf("completes %q", out)
	}
}

// TestDefaultsThatAreWrong: one sentence with line and column, exit code 2.
func TestDefaultsThatAreWrong(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, row := range []struct{ text, want string }{
		{"kontext: west\n", `:3:1: unknown field "kontext"; did you mean context?`},
		{"frobnicate: west\n", `:3:1: unknown field "frobnicate"; there are apiVersion, container, context, from, kind, namespace, remoteContexts, resultsDir, tolerance`},
		{"context: [a]\n", `:3:10: context: want a text`},
		{"context: {a: b}\n", `:3:10: context: want a text`},
		{"remoteContexts: east\n", `:3:17: remoteContexts: want a list, such as [a, b]`},
		{"remoteContexts: [east, [a]]\n", `:3:24: want a text`},
		{"context: a\ncontext: b\n", `:4:1: key "context" already defined at line 3`},
		{"context: [a\n", `:4:1: not YAML: did not find expected ',' or ']'`},
		{"context: a: b\n", `:3:11: not YAML: mapping values are not allowed in this context`},
		{"context: \"a\n", `:4:1: not YAML: found unexpected end of stream`},
		{"context: \x01\n", `:1:1: not YAML: control characters are not allowed`},
		{"context: *a\n", `:3:10: not YAML: unknown anchor 'a' referenced`},
		{"---\ncontext: a\n", `:1:1: not YAML: expected single document, found multiple`},
		{"tolerance: lots\n", `:3:1: --tolerance "lots"`},
	} {
		if err := os.WriteFile(folderDefaults, []byte(headOfDefaults+row.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, stderr, code := carriedOut(t, nil, "plan ts/podinfo")
		if code != 2 || !strings.Contains(stderr, folderDefaults+row.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: exit code %d, want %q\n%s", row.text, code, row.want, stderr)
		}
	}
	for _, head := range []string{"", "# nothing\n", "---\n", "~\n", "...\n", "kind: Defaults\n", "apiVersion: splitbench.io/v2\nkind: Defaults\n", "- a\n"} {
		if err := os.WriteFile(folderDefaults, []byte(head), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, stderr, code := carriedOut(t, nil, "version"); code != 2 || !strings.Contains(stderr, folderDefaults+":1:1: ") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: exit code %d\n%s", head, code, stderr)
		}
	}
}

// TestSuiteErrorsHaveAPlace: what is wrong in a suite is said with its line and column.
func TestSuiteErrorsHaveAPlace(t *testing.T) {
	const head = "apiVersion: splitbench.io/v1alpha1\nkind: Suite\n"
	for _, row := range []struct{ text, want string }{
		{"splits:\n- split: ts/a\n  toleranse: 2pt\n", `5:3: unknown field "toleranse"; did you mean tolerance?`},
		{"splits:\n- split: ts/a\n  latency: {a: {p50: [1]}}\n", `5:22: p50: want a text`},
		{"splits: ts/a\n", `3:9: splits: want a list`},
		{"splits:\n- split: ts/a\n  labels: [a]\n", `5:11: labels: want keys with values`},
		{"splits: [\n", `4:1: not YAML: `},
		{"kind: Suite\nsplits: [{split: ts/a}]\n", `3:1: key "kind" already defined at line 2`},
		{"tolerance: 2pt\n", `3:1: unknown field "tolerance"; there are apiVersion, defaults, kind, splits`},
	} {
		if _, err := parseSuite([]byte(head + row.text)); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%q: %v, want %q", row.text, err, row.want)
		}
	}
	// Text is as it is written, whatever else YAML might take it for, and a split says more of itself than what it merges.
	s, err := parseSuite([]byte(head + "defaults: &d {rate: 5, power: 0.90, context: yes, labels: {build: 010}}\n" +
		"splits: [{<<: *d, split: ts/a, requests: 10, context: 5}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if a := s.Splits[0].over(s.Defaults); a.Rate != "5" || a.Power != "0.90" || a.Context != "5" || a.Labels["build"] != "010" ||
		s.Defaults.Context != "yes" {
		t.Errorf("%+v", s)
	}
}

// owned is a file's description that knows its owner.
type owned struct {
	os.FileInfo
	by any
}

func (o owned) Sys() any { return o.by }

// TestDefaultsOfStrangers: in a folder that others may write to, such as /tmp, anybody could choose the cluster that is asked
// and where results go.
func TestDefaultsOfStrangers(t *testing.T) {
	a := &app{surroundings: surroundings{getenv: environment(map[string]string{"SUDO_UID": "4321"})}}
	type stat struct{ Uid uint32 }
	for by, strange := range map[any]bool{
		stat{0}: false, stat{uint32(os.Geteuid())}: false, stat{4321}: false, stat{4322}: true, stat{1<<32 - 2}: true,
		"none": false, struct{ Gid uint32 }{7}: false,
	} {
		if uid, got := a.stranger(owned{by: by}, owned{by: stat{0}}); got != strange {
			t.Errorf("%+v: user %s, a stranger: %v", by, uid, got)
		}
		if _, got := a.stranger(owned{by: by}, owned{by: by}); got {
			t.Errorf("%+v, in a folder of the same: a stranger", by)
		}
	}
	dir := t.TempDir()
	below := filepath.Join(dir, "below")
	if err := os.Mkdir(below, 0o755); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, folderDefaults)
	if err := os.WriteFile(name, []byte(headOfDefaults+"resultsDir: theirs\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Chdir(below)
	if _, stderr, code := carriedOut(t, nil, "config view"); code != 0 {
		t.Errorf("of the user: exit code %d: %s", code, stderr)
	}
	if os.Geteuid() != 0 {
		return // nobody else can give a file away
	}
	if err := os.Chown(name, 4322, -1); err != nil {
		t.Fatal(err)
	}
	_, stderr, code := carriedOut(t, nil, "config view")
	if code != 2 || !strings.Contains(stderr, "defaults "+name+": it belongs to user 4322, not to you") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("of a stranger: exit code %d: %s", code, stderr)
	}
}
