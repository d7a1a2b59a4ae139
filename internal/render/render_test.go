package render

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/internal/report"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares with testdata/name; a failing run leaves what it got beside it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		gotFile := filepath.Join(t.ArtifactDir(), name+".got")
		if err := os.WriteFile(gotFile, got, 0o644); err != nil {
			t.Error(err)
		}
		t.Errorf("%s (-want +got):\n%s\nall of it is in %s; run with -update if it is right", path, diff, gotFile)
	}
}

// documents are the JSON files of package report's golden documents, by name.
func documents(t testing.TB, folder string) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "report", "testdata", folder, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal("there are no documents", err)
	}
	out := map[string][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(f), ".json")] = b
	}
	return out
}

// reports are one report for each thing that can happen.
func reports(t testing.TB) map[string]report.Report {
	t.Helper()
	out := map[string]report.Report{}
	for name, doc := range documents(t, "") {
		r, err := report.ReadJSON(bytes.NewReader(doc))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = r
	}
	return out
}

// comparisons are comparisons of runs with every outcome.
func comparisons(t testing.TB) map[string]report.RunComparison {
	t.Helper()
	out := map[string]report.RunComparison{}
	for name, doc := range documents(t, "comparison") {
		var c report.RunComparison
		if err := json.Unmarshal(doc, &c); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = c
	}
	return out
}

// outlines are those of all reports and comparisons.
func outlines(t testing.TB) map[string]report.Outline {
	t.Helper()
	out := map[string]report.Outline{}
	for name, r := range reports(t) {
		out[name] = r.Outline()
	}
	for name, c := range comparisons(t) {
		out[name] = c.Outline()
	}
	return out
}

// hostile is what an attacker who names things and answers requests could send.
const hostile = "<script>alert(1)</script>\x1b[2J\x1b]0;pwned\x07 |`**_~~ @octocat #1 ![x](http://evil.test/x.png) www.evil.test\r\n## PASS\u202etxt\u200b\x9b31m\x00"
