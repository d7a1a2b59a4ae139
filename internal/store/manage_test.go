package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
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

// A run of which nobody can tell the status any more is there and damaged: the one before it is not the newest.
func TestARunWithoutStatusIsDamaged(t *testing.T) {
	for name, damage := range map[string]func(status string) error{
		"removed": os.Remove,
		"changed": func(s string) error { return os.WriteFile(s, []byte("fine"), 0o644) },
		"a link": func(s string) error {
			return errors.Join(os.Rename(s, s+"2"), os.Symlink(filepath.Base(s)+"2", s))
		},
		"a folder": func(s string) error { return errors.Join(os.Remove(s), os.Mkdir(s, 0o755)) },
	} {
		dir := t.TempDir()
		stored(t, dir, idA, Complete)
		b := stored(t, dir, idB, Complete)
		do(t, damage(filepath.Join(b.Dir, StatusFile)))
		all, err := List(dir)
		do(t, err)
		latest, err := Open(dir, "latest")
		do(t, err)
		v, err := latest.Verify()
		do(t, err)
		if len(all) != 2 || latest.ID != idB || v.State != Damaged {
			t.Errorf("%s: %d runs, the latest is %s and %s", name, len(all), latest.ID, v)
		}
		if _, err := latest.ReadFile("verdict.json"); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: its verdict is read: %v", name, err)
		}
	}
}

// Marking and pinning write into the run's folder and nowhere else.
func TestNothingIsWrittenThroughLinks(t *testing.T) {
	dir := t.TempDir()
	elsewhere := filepath.Join(t.TempDir(), "mine")
	do(t, os.WriteFile(elsewhere, []byte("mine"), 0o644))
	r := create(t, dir, idA)
	f, err := Open(dir, idA)
	do(t, err, Mark(f, []byte("one")), Mark(f, []byte("two")))
	if b, err := r.Marks(); string(b) != "one\ntwo\n" || err != nil {
		t.Errorf("marks %q, %v", b, err)
	}
	for _, target := range []string{elsewhere, elsewhere + "-new"} {
		marks, pin := filepath.Join(f.Dir, MarksFile), filepath.Join(f.Dir, pinFile)
		do(t, os.RemoveAll(marks), os.Symlink(target, marks), os.RemoveAll(pin), os.Symlink(target, pin))
		if err := Mark(f, []byte("x")); err == nil {
			t.Error("marked through a link")
		}
		if b, err := r.Marks(); err == nil {
			t.Errorf("marks %q were read through a link", b)
		}
		do(t, f.Pin(true), f.Pin(false))
	}
	if b, err := os.ReadFile(elsewhere); string(b) != "mine" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := os.Lstat(elsewhere + "-new"); err == nil {
		t.Error("a file was made through a link")
	}
	do(t, os.RemoveAll(filepath.Join(f.Dir, MarksFile)), r.Close(Complete))
}

func TestTwoPrunesAtOnce(t *testing.T) {
	dir := t.TempDir()
	var folders []Folder
	for i := range 20 {
		folders = append(folders, stored(t, dir, fmt.Sprintf("20261122t0715%02dz-test-podinfo-aaaa", i), Complete))
	}
	var both sync.WaitGroup
	var removed atomic.Int64
	for range 2 {
		both.Go(func() {
			for _, f := range folders {
				switch err := Remove(dir, f); {
				case err == nil:
					removed.Add(1)
				case !errors.Is(err, ErrNotFound):
					t.Error(err)
				}
			}
		})
	}
	both.Wait()
	if left := names(t, dir); removed.Load() != 20 || len(left) > 0 {
		t.Errorf("%d removed, left %q", removed.Load(), left)
	}
}
