// Package browser opens pages of splitbench in a headless Chromium, in a module of its own so that what drives the browser
// stays out of the program's dependencies.
package browser

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splitbench/splitbench/internal/report"
)

// reports are the golden reports of internal/report, by name.
func reports(t *testing.T) map[string]report.Report {
	t.Helper()
	files, err := filepath.Glob("../../internal/report/testdata/*.json")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d golden reports, %v", len(files), err)
	}
	out := map[string]report.Report{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := report.ReadJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out[strings.TrimSuffix(filepath.Base(file), ".json")] = r
	}
	return out
}

// page writes the page of a report and returns its path.
func page(t *testing.T, dir, name string, r report.Report) string {
	t.Helper()
	path := filepath.Join(dir, name+".html")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := report.WriteHTML(f, r); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDump(t *testing.T) {
	for name, r := range reports(t) {
		page(t, "/tmp/f-pages", name, r)
	}
}
