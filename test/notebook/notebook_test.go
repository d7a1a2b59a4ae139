// Package notebook carries out docs/notebook.md: its Python on the samples of a reference run. See get.sh.
package notebook

import (
	"bytes"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/internal/export"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/store"
)

var update = flag.Bool("update", false, "rewrite what docs/notebook.md says is printed")

const (
	page      = "../../docs/notebook.md"
	reference = "../../results/20261125t230932z-test-podinfo-gt2b" // reference=delayed-gateway
)

// cells are the page's blocks of Python, each with the block of what it prints.
var cells = regexp.MustCompile("(?s)```python\n(.*?)```\n\n```text\n(.*?)```")

func TestNotebook(t *testing.T) {
	python := os.Getenv("SPLITBENCH_TEST_PYTHON")
	if python == "" {
		t.Skip("SPLITBENCH_TEST_PYTHON names no Python with pandas, pyarrow and duckdb: make notebook-test")
	}
	doc, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	tabulate(t, filepath.Join(dir, "run.parquet"), export.NewParquet)
	tabulate(t, filepath.Join(dir, "run.csv"), export.NewCSV)
	found := cells.FindAllSubmatch(doc, -1)
	if n := bytes.Count(doc, []byte("```python")); n == 0 || n != len(found) {
		t.Fatalf("%s: %d blocks of Python, %d with what they print", page, n, len(found))
	}
	const mark = "---- next cell ----"
	var script strings.Builder // one program: a cell uses what those before it have
	for _, cell := range found {
		script.Write(cell[1])
		script.WriteString("\nprint('" + mark + "')\n")
	}
	cmd := exec.CommandContext(t.Context(), python, "-W", "error", "-c", script.String())
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	printed := strings.Split(string(out), mark+"\n")
	for i, cell := range found {
		if diff := cmp.Diff(string(cell[2]), printed[i]); diff != "" && !*update {
			t.Errorf("cell %d of %s, -page +printed:\n%s", i+1, page, diff)
		}
	}
	if *update {
		i := -1
		doc = cells.ReplaceAllFunc(doc, func(block []byte) []byte {
			i++
			code, _, _ := bytes.Cut(block, []byte("```text\n"))
			return slices.Concat(code, []byte("```text\n"+printed[i]+"```"))
		})
		if err := os.WriteFile(page, doc, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// tabulate is what results export does.
func tabulate(t *testing.T, name string, begin func(io.Writer) *export.Table) {
	t.Helper()
	run, err := store.Open(filepath.Dir(reference), reference)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	table := begin(file)
	if cut, err := judge.Tabulate(run, table); err != nil || cut != nil {
		t.Fatal(cut, err)
	}
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
}
