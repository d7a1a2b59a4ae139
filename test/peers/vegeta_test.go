// Package peers holds what needs other people's programs, in a module of its own so that their dependencies stay out.
package peers

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestVegetaReadsOurExports hands the samples of the committed reference run to vegeta's own program.
func TestVegetaReadsOurExports(t *testing.T) {
	run := referenceRun(t)
	dir := t.TempDir()
	for format, name := range map[string]string{"vegeta": "run.bin", "csv": "run.csv", "json": "run.json"} {
		file := filepath.Join(dir, name)
		command(t, "../..", "go", "run", "./cmd/splitbench", "results", "export", abs(t, run), "--to", format, "--out", file)
		report := command(t, ".", "go", "tool", "vegeta", "report", file)
		if !strings.Contains(report, "Requests      [total, rate, throughput]         10000,") || !strings.Contains(report, "200:10000") {
			t.Errorf("vegeta report of %s:\n%s", name, report)
		}
		again := filepath.Join(dir, "again.csv")
		command(t, ".", "go", "tool", "vegeta", "encode", "--to", "csv", "--output", again, file)
		b, err := os.ReadFile(again)
		if err != nil || strings.Count(string(b), "\n") != 10_000 {
			t.Errorf("vegeta encode of %s: %d lines, %v", name, strings.Count(string(b), "\n"), err)
		}
		plot := command(t, ".", "go", "tool", "vegeta", "plot", file)
		if !strings.Contains(plot, "<html") {
			t.Errorf("vegeta plot of %s: no page", name)
		}
	}
}

// referenceRun is the committed run. Runs of whoever works here lie in the same folder, without its label.
func referenceRun(t *testing.T) string {
	t.Helper()
	manifests, err := filepath.Glob("../../results/2*/manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range manifests {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var m struct{ Labels map[string]string }
		if json.Unmarshal(b, &m) == nil && m.Labels["reference"] != "" {
			return filepath.Dir(file)
		}
	}
	t.Fatal("no run in results/ has the label reference")
	return ""
}

func abs(t testing.TB, path string) string {
	t.Helper()
	p, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func command(t *testing.T, dir string, argv ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}
