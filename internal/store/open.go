package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// maxListed bounds how many matches an error names.
const maxListed = 5

// List returns the runs of dir, newest first. A run whose writer was killed is marked partial on the way. Anything
// else in dir, symbolic links included, is passed over. A dir that does not exist is ErrNotFound.
func List(dir string) ([]Folder, error) {
	found, err := list(dir)
	if err != nil {
		return nil, err
	}
	for i, f := range found {
		found[i] = f.settled()
	}
	return found, nil
}

func list(dir string) ([]Folder, error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("list --results-dir %q: %w: no run was stored there yet", dir, ErrNotFound)
	case err != nil:
		return nil, fmt.Errorf("list --results-dir %q: %w", dir, classify(err))
	}
	var found []Folder
	for _, e := range entries {
		if !e.IsDir() || !idPattern.MatchString(e.Name()) {
			continue
		}
		f, err := readFolder(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // a foreign folder, or one that is this moment being made
		}
		found = append(found, f)
	}
	slices.SortFunc(found, func(a, b Folder) int {
		return cmp.Or(
			strings.Compare(started(b.ID), started(a.ID)), b.written.Compare(a.written), strings.Compare(b.ID, a.ID))
	})
	return found, nil
}

// Each calls do for every item, on all processors, and returns when all are done.
func Each[T any](items []T, do func(int, T)) {
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(items)) {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(items); i = int(next.Add(1)) - 1 {
				do(i, items[i])
			}
		})
	}
	wait.Wait()
}

// started is the time in an id; foreign names sort last.
func started(id string) string {
	if !idTimePattern.MatchString(id) {
		return ""
	}
	return id[:len(idTimeLayout)]
}

// Open finds one run of dir by its id, by a prefix that no other id has, or as latest, latest~1 and so on (runs still
// being written are not counted); or anywhere by the path of its folder, which is a name with a separator in it. A
// run whose writer was killed is marked partial; outside dir that mark is made in the Folder only. The errors are
// ErrNotFound, ErrAmbiguous, ErrForeign and ErrSymlink, each in a sentence that says what to type.
func Open(dir, idOrAlias string) (Folder, error) { return OpenAmong(dir, idOrAlias, nil) }

// OpenAmong is Open among the runs that keep lets through, nil being all: latest is then the latest of those. An id
// that is written out, or the path of a folder, is that run whatever keep says. An empty name is the only run that is
// left.
func OpenAmong(dir, idOrAlias string, keep func(Folder) bool) (Folder, error) {
	name := idOrAlias
	switch {
	case name == "" && keep == nil:
		return Folder{}, fmt.Errorf("open run %q: %w: name one, or latest", name, ErrNotFound)
	case name == "." || name == ".." || strings.ContainsRune(name, '/') || strings.ContainsRune(name, filepath.Separator):
		return openPath(dir, name)
	case name == "latest" || strings.HasPrefix(name, "latest~"):
		return openLatest(dir, name, keep)
	case name == "":
		return openPrefix(dir, name, keep)
	}
	f, err := readFolder(filepath.Join(dir, name))
	switch {
	case err == nil:
		return f.settled(), nil
	case !errors.Is(err, ErrNotFound):
		return Folder{}, err
	}
	return openPrefix(dir, name, keep)
}

func openPath(dir, path string) (Folder, error) {
	f, err := readFolder(filepath.Clean(path))
	if err != nil {
		return Folder{}, err
	}
	if SameDir(dir, filepath.Dir(abs(f.Dir))) {
		return f.settled(), nil
	}
	if f.Status == Running && f.probe() == lockFree {
		f.Status = Partial // not our folder to write in
	}
	return f, nil
}

func abs(path string) string {
	if a, err := filepath.Abs(path); err == nil {
		return a
	}
	return path
}

func openLatest(dir, name string, keep func(Folder) bool) (Folder, error) {
	back := 0
	if rest, ok := strings.CutPrefix(name, "latest~"); ok {
		n, err := strconv.Atoi(rest)
		if err != nil || n < 0 {
			return Folder{}, fmt.Errorf("open run %q: %w: want latest~1, latest~2 and so on", name, ErrNotFound)
		}
		back = n
	}
	all, err := List(dir)
	if err != nil {
		return Folder{}, fmt.Errorf("open run %s: %w", name, err)
	}
	all = slices.DeleteFunc(all, func(f Folder) bool { return f.Status == Running || keep != nil && !keep(f) })
	if back >= len(all) {
		such := ""
		if keep != nil {
			such = " like that"
		}
		return Folder{}, fmt.Errorf("open run %s: %w: --results-dir %q holds %d finished runs%s",
			name, ErrNotFound, dir, len(all), such)
	}
	return all[back], nil
}

func openPrefix(dir, prefix string, keep func(Folder) bool) (Folder, error) {
	all, err := list(dir)
	if err != nil {
		return Folder{}, fmt.Errorf("open run %q: %w", prefix, err)
	}
	var ids []string
	var match Folder
	for _, f := range all {
		if strings.HasPrefix(f.ID, prefix) && (keep == nil || keep(f)) {
			match, ids = f, append(ids, f.ID)
		}
	}
	switch len(ids) {
	case 0:
		return Folder{}, fmt.Errorf("open run %q: %w in --results-dir %q", prefix, ErrNotFound, dir)
	case 1:
		return match.settled(), nil
	}
	shown := strings.Join(ids[:min(len(ids), maxListed)], ", ")
	if len(ids) > maxListed {
		shown += fmt.Sprintf(" and %d more", len(ids)-maxListed)
	}
	return Folder{}, fmt.Errorf("open run %q: %w: %s: type more of the id", prefix, ErrAmbiguous, shown)
}
