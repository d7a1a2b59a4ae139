package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPinnedRunsStay(t *testing.T) {
	dir := t.TempDir()
	f := stored(t, dir, idA, Complete)
	do(t, f.Pin(true), f.Pin(true))
	if v := wantState(t, f, "complete"); !f.Pinned() || len(v.Extra) > 0 {
		t.Errorf("pinned %v, %+v", f.Pinned(), v)
	}
	if err := Remove(dir, f); !errors.Is(err, ErrPinned) {
		t.Errorf("remove: %v, want ErrPinned", err)
	}
	do(t, f.Pin(false), f.Pin(false), Remove(dir, f))
	if got := names(t, dir); len(got) > 0 {
		t.Errorf("left behind: %q", got)
	}
}

func TestRemoveRefuses(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	f := stored(t, elsewhere, idA, Complete)
	if err := Remove(dir, f); !errors.Is(err, ErrOutside) {
		t.Errorf("a run outside: %v, want ErrOutside", err)
	}
	r := create(t, dir, idB)
	if err := Remove(dir, Folder{ID: idB, Dir: r.Dir}); !errors.Is(err, ErrRunning) {
		t.Errorf("a run being written: %v, want ErrRunning", err)
	}
	do(t, r.Close(Complete))
	foreign := filepath.Join(dir, "notes")
	do(t, os.Mkdir(foreign, 0o755))
	if err := Remove(dir, Folder{ID: "notes", Dir: foreign}); !errors.Is(err, ErrForeign) {
		t.Errorf("a foreign folder: %v, want ErrForeign", err)
	}
	link := filepath.Join(dir, "20200101t000000z-x-x-aaaa")
	do(t, os.Symlink(f.Dir, link))
	if err := Remove(dir, Folder{ID: filepath.Base(link), Dir: link}); !errors.Is(err, ErrSymlink) {
		t.Errorf("a link: %v, want ErrSymlink", err)
	}
	wantState(t, f, "complete")
}

// A removal that was killed left a folder of another name: nobody lists it, and the next removal takes it along.
func TestKilledRemovalIsFinishedByTheNext(t *testing.T) {
	dir := t.TempDir()
	a, b := stored(t, dir, idA, Complete), stored(t, dir, idB, Complete)
	do(t, os.Rename(a.Dir, filepath.Join(dir, removedPrefix+a.ID)))
	if all, err := List(dir); err != nil || len(all) != 1 {
		t.Fatalf("list: %v, %v", all, err)
	}
	do(t, Remove(dir, b))
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestImport(t *testing.T) {
	from, dir := t.TempDir(), filepath.Join(t.TempDir(), "new")
	f := stored(t, from, idA, Complete)
	do(t, os.WriteFile(filepath.Join(f.Dir, "my notes"), []byte("x"), 0o644), f.Pin(true))
	got, err := Import(dir, f.Dir)
	if err != nil {
		t.Fatal(err)
	}
	wantState(t, got, "complete")
	if diff := cmp.Diff([]string{idA}, names(t, dir)); diff != "" || got.Pinned() || got.has("my notes") {
		t.Errorf("imported %s, pinned %v", diff, got.Pinned())
	}
	if _, err := Import(dir, f.Dir); !errors.Is(err, ErrExists) {
		t.Errorf("again: %v, want ErrExists", err)
	}
	do(t, os.WriteFile(filepath.Join(f.Dir, SamplesFile), []byte("other"), 0o644))
	if _, err := Import(t.TempDir(), f.Dir); err == nil {
		t.Error("a damaged run was imported")
	}
	partial := stored(t, from, idB, Partial)
	if got, err = Import(dir, partial.Dir); err != nil || got.Status != Partial {
		t.Errorf("a partial run: %v, %v", got, err)
	}
	odd := filepath.Join(from, "notes")
	do(t, os.Rename(partial.Dir, odd))
	if _, err := Import(dir, odd); !errors.Is(err, ErrBadID) {
		t.Errorf("a folder without an id: %v, want ErrBadID", err)
	}
	for _, path := range []string{filepath.Join(from, "nowhere"), from} {
		if _, err := Import(dir, path); !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
