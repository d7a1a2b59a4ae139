package report

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
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
		gotFile := filepath.Join(t.ArtifactDir(), filepath.Base(path)+".got")
		if err := os.WriteFile(gotFile, got, 0o644); err != nil {
			t.Error(err)
		}
		t.Errorf("%s (-want +got):\n%s\nall of it is in %s; run with -update if it is right", path, diff, gotFile)
	}
}
