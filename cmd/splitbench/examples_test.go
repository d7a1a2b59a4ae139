package main

import (
	"bytes"
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var inner = regexp.MustCompile(`<\(([^)]*)\)`) // what a shell reads as a file

var word = regexp.MustCompile(`(?:'[^']*'|"[^"]*"|[^\s'"])+`)

// examplesOf are the commands that a command's help shows, as words: lines that end in a backslash go on, comments end,
// and what a shell would do with the output is left out.
func examplesOf(cmd *cobra.Command) (out [][]string) {
	text := strings.ReplaceAll(cmd.Example, "\\\n", " ")
	for line := range strings.Lines(text) {
		if m := inner.FindStringSubmatch(line); m != nil {
			line = m[1]
		}
		words := word.FindAllString(line, -1)
		for i, w := range words {
			if strings.HasPrefix(w, "#") || slices.Contains([]string{">", "|", "&&", "<"}, w) {
				words = words[:i]
				break
			}
			words[i] = strings.NewReplacer("'", "", `"`, "").Replace(w)
		}
		if len(words) > 0 {
			out = append(out, words)
		}
	}
	return out
}

func walk(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, sub := range cmd.Commands() {
		walk(sub, visit)
	}
}

// offline are commands that need no cluster, no server and no file: their examples are run too.
func offline(words []string) bool {
	return slices.Contains([]string{"explain", "version", "completion"}, words[1]) ||
		(words[1] == "plan" || words[1] == "analyze") && slices.Contains(words, "--weights") && !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(w, ".") })
}

// Every example that help shows, and docs/cli and the manual pages with it, is a command line that cobra takes: the
// command is there, its flags are known and have values that can be read, and its arguments are as many as it wants.
// Nothing behind that is carried out, but for those that need nothing else: these end in a verdict or in what they
// print.
func TestExamplesAreCommandLines(t *testing.T) {
	quiet := surroundings{stdin: strings.NewReader(""), stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}, getenv: func(string) string { return "" }}
	shown, ran := 0, 0
	walk(newRoot(&app{surroundings: quiet}), func(cmd *cobra.Command) {
		for _, words := range examplesOf(cmd) {
			if words[0] == "kubectl" && len(words) > 1 && words[1] == "splitbench" {
				words = words[1:]
			}
			line := strings.Join(words, " ")
			if words[0] != "splitbench" {
				t.Errorf("%s: %q is no command of splitbench", cmd.CommandPath(), line)
				continue
			}
			shown++
			root, reached := newRoot(&app{surroundings: quiet}), ""
			walk(root, func(c *cobra.Command) {
				if c.Runnable() {
					c.Run, c.RunE = nil, func(c *cobra.Command, _ []string) error { reached = c.CommandPath(); return nil }
				}
			})
			root.SetArgs(words[1:])
			if err := root.ExecuteContext(t.Context()); err != nil {
				t.Errorf("%s: %s: %v", cmd.CommandPath(), line, err)
			}
			if reached == "" {
				t.Errorf("%s: %s: runs nothing", cmd.CommandPath(), line)
			}
			if !offline(words) {
				continue
			}
			ran++
			var stdout, stderr bytes.Buffer
			code := run(context.Background(), words, surroundings{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, getenv: quiet.getenv})
			if !slices.Contains([]int{0, 1, 3}, code) || stdout.Len() == 0 {
				t.Errorf("%s: exit code %d\n%s%s", line, code, stdout.String(), stderr.String())
			}
		}
	})
	if shown < 40 || ran < 3 {
		t.Errorf("%d examples were found and %d run", shown, ran)
	}
}

// A command line that is wrong is told from one that is right: the test above can fail.
func TestExamplesCanBeWrong(t *testing.T) {
	for _, line := range []string{"splitbench nonsense", "splitbench run ts/x --no-such-flag", "splitbench drill a b", "splitbench latency", "splitbench drill --duration ten"} {
		root := newRoot(&app{surroundings: surroundings{stdin: strings.NewReader(""), stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}, getenv: func(string) string { return "" }}})
		walk(root, func(c *cobra.Command) {
			if c.Runnable() {
				c.Run, c.RunE = nil, func(*cobra.Command, []string) error { return nil }
			}
		})
		root.SetArgs(strings.Fields(line)[1:])
		if err := root.ExecuteContext(t.Context()); err == nil {
			t.Errorf("%s: is taken", line)
		}
	}
}
