package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/splitbench/splitbench/internal/preflight"
)

// ownCommands are the commands of this program in a text, each as words: up to the end of its line, or to what a shell or a
// sentence puts behind it.
func ownCommands(text string) (out [][]string) {
	for line := range strings.Lines(text) {
		for _, at := range ownCommand.FindAllStringIndex(line, -1) {
			// Not what is part of a sentence: begin a drill when ...: splitbench run says whether they do.
			rest, _, _ := strings.Cut(line[at[0]:], " | ")
			var words []string
			for _, w := range word.FindAllString(strings.TrimRight(rest, "\n"), -1) {
				if slices.Contains([]string{">", "&&", "<", "says", "lists", "if", "CHECK", "mark.", "over"}, w) {
					break
				}
				words = append(words, strings.NewReplacer("'", "", `"`, "").Replace(strings.TrimRight(w, ".;):")))
				if strings.HasSuffix(w, ":") { // the sentence goes on
					break
				}
			}
			out = append(out, words)
		}
	}
	return out
}

// parsed has the program's own parser read a command line, and returns the command that would be carried out.
func parsed(t *testing.T, words []string) (*cobra.Command, error) {
	t.Helper()
	quiet := surroundings{
		stdin: strings.NewReader(""), stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}, getenv: func(string) string { return "" },
	}
	root := newRoot(&app{surroundings: quiet})
	var reached *cobra.Command
	walk(root, func(c *cobra.Command) {
		if c.Runnable() {
			c.Run, c.RunE = nil, func(c *cobra.Command, _ []string) error { reached = c; return nil }
		}
	})
	if words[0] == "kubectl" {
		words = words[1:]
	}
	root.SetArgs(words[1:])
	return reached, func() error {
		err := root.ExecuteContext(t.Context())
		if err == nil && reached == nil {
			reached = root
		}
		return err
	}()
}

// TestHintsAreCommandLines reads every command of this program that a golden file shows to a user, with the program's own
// parser: documents, their outlines, and what they are as text, Markdown, JUnit and hints of the checks.
func TestHintsAreCommandLines(t *testing.T) {
	found := map[string]string{} // by command, where it stands
	for _, folder := range []string{"../../internal", "../../results"} {
		err := filepath.WalkDir(folder, func(name string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || !slices.Contains([]string{".outline", ".json", ".txt", ".golden", ".yaml"}, filepath.Ext(name)) {
				return err
			}
			b, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			for _, text := range textsOf(b) {
				for _, words := range ownCommands(text) {
					found[strings.Join(words, "\x00")] = name
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range preflight.Run(preflight.View{}) {
		for _, words := range ownCommands(c.Hint) {
			found[strings.Join(words, "\x00")] = c.ID
		}
	}
	for line, where := range found {
		words := strings.Split(line, "\x00")
		if strings.ContainsAny(line, "<\\") {
			continue // hostile on purpose: what matters there is that it is one word, which untrusted's tests say
		}
		if _, err := parsed(t, words); err != nil {
			t.Errorf("%s: %q: %v", where, words, err)
		}
	}
	if len(found) < 10 {
		t.Errorf("only %d commands were found", len(found))
	}
}

// textsOf are the texts of a file: of JSON its strings, else its lines.
func textsOf(b []byte) []string {
	var doc any
	if json.Unmarshal(b, &doc) != nil {
		return []string{string(b)}
	}
	var out []string
	var collect func(any)
	collect = func(x any) {
		switch x := x.(type) {
		case string:
			out = append(out, x)
		case []any:
			for _, y := range x {
				collect(y)
			}
		case map[string]any:
			for _, y := range x {
				collect(y)
			}
		}
	}
	collect(doc)
	return out
}

// TestHintsSayWhere goes wrong in many ways as a plugin of kubectl, and wants each command that it is told to paste to begin as the
// user called the program, to be taken, and to name the contexts, the namespace, the client pod and the folder that
// the user named.
func TestHintsSayWhere(t *testing.T) {
	file := demoKubeconfig(t)
	t.Chdir(t.TempDir())
	const where = " --context west --remote-context east -n test --from deploy/frontend"
	env := map[string]string{"SPLITBENCH_KUBECONFIG": file, "SPLITBENCH_RESULTS_DIR": "kept here", "SPLITBENCH_LAW": "objects"}
	program := func(line string) string {
		var stdout, stderr bytes.Buffer
		run(t.Context(), append([]string{"/usr/bin/kubectl-splitbench"}, strings.Fields(line)...), surroundings{
			stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, getenv: func(k string) string { return env[k] },
		})
		return stdout.String() + stderr.String()
	}
	seen := 0
	for _, line := range []string{
		"run ts/podinfo --rate 1000 --requests 300 --tolerance 40pt" + where,
		"run ts/podinfo --rate 1000 --requests 300 --classify podinfo=json:/message=nobody --classify podinfo-east=json:/message=no-one" + where,
		"run ts/podinf" + where,
		"check ts/podinfo" + where,
		"report nothing-like-it",
		"report latest",
		"results show latest", // after a file of it was changed
		"explain nothing",
		"explain SB012",
		"explain SB001",
		"run ts/podinfo --token wrong" + where,
	} {
		if strings.HasPrefix(line, "results show") {
			damage(t, "kept here")
		}
		for _, words := range ownCommands(unwrapped(program(line))) {
			seen++
			at := strings.Join(words, " ")
			cmd, err := parsed(t, words)
			if err != nil {
				t.Errorf("%s: %q: %v", line, words, err)
				continue
			}
			if words[0] != "kubectl" {
				t.Errorf("%s: %q is not how the user calls the program", line, at)
			}
			for flag, want := range map[string]string{
				"context": "west", "remote-context": "[east]", "namespace": "test", "from": "deploy/frontend", "results-dir": "kept here",
			} {
				f := cmd.Flags().Lookup(flag)
				if f == nil || cmd.Name() == "demo" || cmd.Name() == "rbac" && flag == "remote-context" || strings.Contains(at, " "+want+"/") { // a path names its folder
					continue
				}
				if got := f.Value.String(); got != want && strings.Contains(line+env["SPLITBENCH_RESULTS_DIR"], strings.Trim(want, "[]")) {
					t.Errorf("%s: %q: --%s is %q, want %q", line, at, flag, got, want)
				}
			}
		}
	}
	if seen < 5 {
		t.Errorf("only %d commands were shown", seen)
	}
}

var wrapped = regexp.MustCompile(`\n {6,}`)

// unwrapped is a text without the breaks that fields have in columns.
func unwrapped(text string) string { return wrapped.ReplaceAllString(text, " ") }

// damage changes the reports of all runs.
func damage(t *testing.T, dir string) {
	t.Helper()
	runs, err := filepath.Glob(dir + "/2*")
	if err != nil || len(runs) == 0 {
		t.Fatalf("%d runs: %v", len(runs), err)
	}
	for _, run := range runs {
		if err := os.WriteFile(filepath.Join(run, "verdict.json"), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
