package preflight

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/checks.md")

// plantedOnClusters are the ids that test/cluster plants on two real clusters: what its tables say.
func plantedOnClusters(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../test/cluster/plant*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no planted faults found: %v", err)
	}
	var ids []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`id: "(SB\d{3})"`).FindAllStringSubmatch(string(b), -1) {
			ids = append(ids, m[1])
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// recordedFaults counts the rows that turn each check not green.
func recordedFaults() map[string]int {
	n := map[string]int{}
	for _, f := range faults() {
		if f.want != OK {
			n[f.id]++
		}
	}
	for _, f := range viewFaults() {
		if f.want != OK {
			n[f.id]++
		}
	}
	return n
}

const docsHead = `# Checks

` + "`splitbench check`" + ` asks all of these, every time; none stops another. Ids up to SB030 are the failure modes of a Linkerd split by
rank, those above are the preconditions of any run. A finding that follows from another says so (` + "`causedBy`" + `), and the root cause comes
first. What could not be seen is **unknown** and never green; with ` + "`--probe`" + ` the source pod is asked for what only it can see.
` + "`splitbench run`" + ` asks them first and refuses, with outcome invalid, when a fatal one failed, unless ` + "`--ignore-check ID`" + ` says otherwise;
the report then says that. ` + "`splitbench explain ID`" + ` prints the same words as this page, which a test makes from them.

` + "```console" + `
$ splitbench explain SB012
$ splitbench check ts/podinfo --context west --remote-context east -n test --from deploy/frontend
$ splitbench check ts/podinfo --context west --remote-context east -n test --from deploy/frontend --probe -o short
$ splitbench check -A --context west --remote-context east -o json
` + "```" + `

"On clusters" says that a test plants the fault on two real Kubernetes clusters and finds it named as the root cause; "recorded" is
the number of recorded situations that a test turns it red, yellow or unknown with.

`

// TestDocsSayWhatTheChecksAre keeps docs/checks.md and the checks the same; -update rewrites it.
func TestDocsSayWhatTheChecksAre(t *testing.T) {
	var b strings.Builder
	b.WriteString(docsHead)
	planted, recorded := plantedOnClusters(t), recordedFaults()
	b.WriteString("| id | holds when green | severity | on clusters | recorded |\n|---|---|---|---|--:|\n")
	checks := Checks()
	slices.SortFunc(checks, func(a, b Check) int { return strings.Compare(a.ID, b.ID) })
	for _, c := range checks {
		on := "no"
		if slices.Contains(planted, c.ID) {
			on = "yes"
		}
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s | %d |\n", c.ID, strings.ToLower(c.ID), c.Name, c.Severity, on, recorded[c.ID])
	}
	for _, c := range checks {
		fmt.Fprintf(&b, "\n## %s\n\n**%s** (%s, %s)\n\n- Looks at: %s.\n- Cause: %s\n- Remedy: %s\n", c.ID, c.Name, c.Category, c.Severity,
			c.Looks, c.Cause, sentence(c.Remedy))
		if len(c.After) > 0 {
			fmt.Fprintf(&b, "- May follow from: %s.\n", strings.Join(c.After, ", "))
		}
	}
	const file = "../../docs/checks.md"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != b.String() {
		t.Errorf("%s is not what the checks say (%v); go test ./internal/preflight -update rewrites it", file, err)
	}
	for _, id := range planted {
		if _, ok := Explain(id); !ok {
			t.Errorf("a test plants %s, which is no check", id)
		}
	}
}

func sentence(s string) string {
	if strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}
