package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

// manyRuns fills a folder with n runs whose files are those of the reference run, but for the samples. Runs of before
// there were summaries have none.
func manyRuns(tb testing.TB, n int, summaries bool) string {
	tb.Helper()
	dir := tb.TempDir()
	reference, err := store.Open("../../results", "20261122t115449z-test-podinfo-zlcd")
	if err != nil {
		tb.Fatal(err)
	}
	s, err := record.Summary(reference)
	if err != nil {
		tb.Fatal(err)
	}
	for i := range n {
		id := fmt.Sprintf("20261122t%02d%02d%02dz-test-podinfo-zlcd", i/3600, i/60%60, i%60)
		folder := filepath.Join(dir, id)
		if err := os.Mkdir(folder, 0o755); err != nil {
			tb.Fatal(err)
		}
		s.ID, s.Labels = id, map[string]string{"n": fmt.Sprint(i)}
		files := map[string][]byte{}
		for _, name := range []string{record.ManifestFile, record.VerdictFile, store.StatusFile} {
			if files[name], err = os.ReadFile(filepath.Join(reference.Dir, name)); err != nil {
				tb.Fatal(err)
			}
		}
		if summaries {
			if files[record.SummaryFile], err = report.WriteSummary(s); err != nil {
				tb.Fatal(err)
			}
		}
		files[store.SumsFile] = nil
		for _, name := range slices.Sorted(maps.Keys(files)) {
			if name != store.SumsFile {
				files[store.SumsFile] = fmt.Appendf(files[store.SumsFile], "%x  %s\n", sha256.Sum256(files[name]), name)
			}
		}
		for name, b := range files {
			if err := os.WriteFile(filepath.Join(folder, name), b, 0o644); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return dir
}

func list(tb testing.TB, out io.Writer, args ...string) {
	tb.Helper()
	code := run(tb.Context(), append([]string{"splitbench", "results", "list"}, args...), surroundings{
		stdin: strings.NewReader(""), stdout: out, stderr: io.Discard, getenv: func(string) string { return "" },
	})
	if code != 0 {
		tb.Fatalf("exit code %d", code)
	}
}

// BenchmarkList1000Runs must stay below 500 ms: each folder is held whole against its sums.
func BenchmarkList1000Runs(b *testing.B) {
	dir := manyRuns(b, 1000, true)
	for b.Loop() {
		list(b, io.Discard, "--results-dir", dir, "-o", "wide")
	}
}

// Runs of before there were summaries are listed by their reports, and look the same.
func TestListWithoutSummaries(t *testing.T) {
	var with, without strings.Builder
	list(t, &with, "--results-dir", manyRuns(t, 1, true), "-o", "json")
	list(t, &without, "--results-dir", manyRuns(t, 1, false), "-o", "json")
	got := strings.NewReplacer(`"n": "0"`, `"reference": "walkthrough"`).Replace(with.String())
	if got != without.String() {
		t.Errorf("with summaries\n%s\nwithout\n%s", got, without.String())
	}
}
