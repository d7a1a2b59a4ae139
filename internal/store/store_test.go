package store

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	idA = "20261122t071502z-test-podinfo-aaaa"
	idB = "20261122t071503z-test-podinfo-bbbb"
	idC = "20261122t071503z-test-podinfo-bccc"
)

func create(t *testing.T, dir, id string) *Run {
	t.Helper()
	r, err := Create(dir, id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func do(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// stored writes a whole run and closes it.
func stored(t *testing.T, dir, id string, status Status) Folder {
	t.Helper()
	r := create(t, dir, id)
	do(t, r.WriteFile("manifest.json", []byte("{}\n")), r.Append([]byte("one")), r.Append([]byte("two")),
		r.WriteFile("verdict.json", []byte(`{"outcome":"pass"}`)), r.Close(status))
	f, err := Open(dir, id)
	do(t, err)
	return f
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	do(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	return got
}

func wantState(t *testing.T, f Folder, want string) Verification {
	t.Helper()
	v, err := f.Verify()
	do(t, err)
	if v.String() != want {
		t.Errorf("Verify() = %q, want %q", v, want)
	}
	return v
}

func TestStoredRunIsReadBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "results") // created where missing
	f := stored(t, dir, idA, Complete)
	if f.ID != idA || f.Status != Complete {
		t.Errorf("Open = %+v, want %s complete", f, idA)
	}
	want := []string{SumsFile, SamplesFile, "manifest.json", StatusFile, "verdict.json"}
	if diff := cmp.Diff(want, names(t, f.Dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	samples, err := f.OpenStream(SamplesFile)
	do(t, err)
	defer samples.Close()
	if b, err := io.ReadAll(samples); err != nil || string(b) != "onetwo" {
		t.Errorf("samples = %q, %v, want onetwo", b, err)
	}
	if b, err := f.ReadFile("verdict.json"); err != nil || string(b) != `{"outcome":"pass"}` {
		t.Errorf("verdict.json = %q, %v", b, err)
	}
	wantState(t, f, "complete")
}

// The sums are for other programs too.
func TestSumsAreReadBySha256sum(t *testing.T) {
	path, err := exec.LookPath("sha256sum")
	if err != nil {
		t.Skip("no sha256sum on this machine")
	}
	f := stored(t, t.TempDir(), idA, Complete)
	cmd := exec.CommandContext(t.Context(), path, "--strict", "-c", SumsFile)
	cmd.Dir = f.Dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("sha256sum -c: %v\n%s", err, out)
	}
}

func TestVerifyNamesTheDamagedFile(t *testing.T) {
	path := func(f Folder, name string) string { return filepath.Join(f.Dir, name) }
	for name, c := range map[string]struct {
		status Status
		damage func(f Folder) error
		want   string
	}{
		"untouched":       {Complete, func(Folder) error { return nil }, "complete"},
		"partial":         {Partial, func(Folder) error { return nil }, "partial"},
		"aborted":         {Aborted, func(Folder) error { return nil }, "partial"},
		"one bit changed": {Complete, func(f Folder) error { return os.WriteFile(path(f, SamplesFile), []byte("onetwp"), 0o644) }, "damaged: frames.sbw was changed"},
		"cut short":       {Complete, func(f Folder) error { return os.Truncate(path(f, SamplesFile), 5) }, "damaged: frames.sbw was changed"},
		"missing":         {Complete, func(f Folder) error { return os.Remove(path(f, "verdict.json")) }, "damaged: verdict.json is missing"},
		"no sums":         {Complete, func(f Folder) error { return os.Remove(path(f, SumsFile)) }, "damaged: SHA256SUMS is missing"},
		"status forged":   {Partial, func(f Folder) error { return os.WriteFile(path(f, StatusFile), []byte("complete\n"), 0o644) }, "damaged: status was changed"},
		"garbled sums":    {Complete, func(f Folder) error { return os.WriteFile(path(f, SumsFile), []byte("x\n"), 0o644) }, "damaged: SHA256SUMS line 1 is not a SHA-256 sum and a name"},
		"sums of elsewhere": {Complete, func(f Folder) error {
			return os.WriteFile(path(f, SumsFile), []byte(strings.Repeat("0", 64)+"  ../../etc/passwd\n"), 0o644)
		}, "damaged: SHA256SUMS line 1 is not a SHA-256 sum and a name"},
		"link for a file": {Complete, func(f Folder) error {
			return errors.Join(os.Rename(path(f, "manifest.json"), path(f, ".m")), os.Symlink(".m", path(f, "manifest.json")))
		}, "damaged: manifest.json cannot be read: "},
	} {
		t.Run(name, func(t *testing.T) {
			f := stored(t, t.TempDir(), idA, c.status)
			do(t, c.damage(f))
			v, err := f.Verify()
			do(t, err)
			if !strings.HasPrefix(v.String(), c.want) || !strings.HasSuffix(c.want, " ") && v.String() != c.want {
				t.Errorf("Verify() = %q, want %q", v, c.want)
			}
		})
	}
	t.Run("extra file", func(t *testing.T) {
		f := stored(t, t.TempDir(), idA, Complete)
		do(t, os.WriteFile(path(f, "notes.txt"), nil, 0o644))
		if v := wantState(t, f, "complete"); !cmp.Equal(v.Extra, []string{"notes.txt"}) {
			t.Errorf("Extra = %q, want notes.txt", v.Extra)
		}
	})
}

func TestCreateOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	f := stored(t, dir, idA, Complete)
	if _, err := Create(dir, idA); !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), "--results-dir") {
		t.Errorf("Create again: %v, want ErrExists naming --results-dir", err)
	}
	wantState(t, f, "complete")
}

func TestCreateRefusesBadIDs(t *testing.T) {
	dir := t.TempDir()
	for _, id := range []string{
		"", ".", "..", "../x", "latest", "a/b", "20261122T071502Z-x", "20261122t071502z-", "20261122t071502z-a_b",
		"20261122t071502z-" + strings.Repeat("a", 47), // 64 characters
	} {
		if r, err := Create(dir, id); !errors.Is(err, ErrBadID) {
			t.Errorf("Create(%q) = %v, %v, want ErrBadID", id, r, err)
		}
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("left behind: %q", got)
	}
}

func TestWriteFileRefusesOtherNames(t *testing.T) {
	r := create(t, t.TempDir(), idA)
	for _, name := range []string{"", ".", "..", "../x", "a/b", `a\b`, ".hidden", "status", "SHA256SUMS", "frames.sbw", "a b", "x\n", strings.Repeat("n", 101)} {
		if err := r.WriteFile(name, nil); !errors.Is(err, ErrOutside) {
			t.Errorf("WriteFile(%q) = %v, want ErrOutside", name, err)
		}
		if f := (Folder{ID: r.ID, Dir: r.Dir}); name != "status" && name != "SHA256SUMS" && name != "frames.sbw" {
			if _, err := f.ReadFile(name); !errors.Is(err, ErrOutside) {
				t.Errorf("ReadFile(%q) = %v, want ErrOutside", name, err)
			}
		}
	}
	do(t, r.Close(Complete))
	for name, err := range map[string]error{"WriteFile": r.WriteFile("x", nil), "Append": r.Append(nil), "Close": r.Close(Complete)} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s after Close = %v, want ErrClosed", name, err)
		}
	}
}

func TestCloseWantsAFinalStatus(t *testing.T) {
	for _, s := range []Status{Running, "", "done"} {
		dir := t.TempDir()
		r := create(t, dir, idA)
		if err := r.Close(s); err == nil {
			t.Errorf("Close(%q) = nil, want an error", s)
		}
		f, err := Open(dir, idA)
		if err != nil || f.Status != Partial {
			t.Errorf("after Close(%q): %v, %v, want partial", s, f.Status, err)
		}
	}
}

func TestOpenByIDPrefixAliasAndPath(t *testing.T) {
	dir := t.TempDir()
	for _, id := range []string{idB, idA, idC} {
		stored(t, dir, id, Complete)
	}
	// Two runs of one second: the one that was closed last is the newer one.
	later := time.Now().Add(time.Minute)
	do(t, os.Chtimes(filepath.Join(dir, idB, StatusFile), later, later))
	do(t, os.Mkdir(filepath.Join(dir, "foreign"), 0o755), os.WriteFile(filepath.Join(dir, "README.md"), nil, 0o644))
	do(t, os.Symlink(idA, filepath.Join(dir, "20270101t000000z-link")))
	elsewhere := stored(t, t.TempDir(), idA, Partial)

	for name, c := range map[string]struct {
		want string
		err  error
	}{
		idA:                                {want: idA},
		"20261122t071502z":                 {want: idA},
		"20261122t071503z-test-podinfo-bb": {want: idB},
		"latest":                           {want: idB},
		"latest~0":                         {want: idB},
		"latest~1":                         {want: idC},
		"latest~2":                         {want: idA},
		"latest~3":                         {err: ErrNotFound},
		"latest~-1":                        {err: ErrNotFound},
		"latest~x":                         {err: ErrNotFound},
		"20261122t071503z":                 {err: ErrAmbiguous},
		"2026":                             {err: ErrAmbiguous},
		"":                                 {err: ErrNotFound},
		"nothing":                          {err: ErrNotFound},
		"foreign":                          {err: ErrForeign},
		"README.md":                        {err: ErrForeign},
		"20270101t000000z-link":            {err: ErrSymlink},
		"..":                               {err: ErrForeign},
		dir + "/" + idC:                    {want: idC},
		dir + "/" + idC + "/":              {want: idC},
		dir + "/x/../" + idC:               {want: idC},
		elsewhere.Dir:                      {want: idA},
		dir + "/none":                      {err: ErrNotFound},
		dir + "/20270101t000000z-link":     {err: ErrSymlink},
	} {
		f, err := Open(dir, name)
		if !errors.Is(err, c.err) || f.ID != c.want {
			t.Errorf("Open(%q) = %q, %v, want %q, %v", name, f.ID, err, c.want, c.err)
		}
		if err != nil && (strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "open run")) {
			t.Errorf("Open(%q): %q is not one sentence about the run", name, err)
		}
	}
	all, err := List(dir)
	do(t, err)
	var got []string
	for _, f := range all {
		got = append(got, f.ID)
	}
	if diff := cmp.Diff([]string{idB, idC, idA}, got); diff != "" {
		t.Errorf("List, newest first (-want +got):\n%s", diff)
	}
}

func TestMissingResultsDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	if _, err := List(dir); !errors.Is(err, ErrNotFound) {
		t.Errorf("List = %v, want ErrNotFound", err)
	}
	for _, name := range []string{"latest", idA} {
		if _, err := Open(dir, name); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "--results-dir") {
			t.Errorf("Open(%q) = %v, want ErrNotFound naming --results-dir", name, err)
		}
	}
}

// A file that no run writes so large is not read into memory: folders come from anywhere.
func TestReadFileIsBounded(t *testing.T) {
	f := stored(t, t.TempDir(), idA, Complete)
	large := filepath.Join(f.Dir, "large.json")
	do(t, os.WriteFile(large, nil, 0o600))
	if err := os.Truncate(large, 1<<40); err != nil {
		t.Skipf("this file system has no file so large: %v", err)
	}
	if b, err := f.ReadFile("large.json"); err == nil || !strings.Contains(err.Error(), "large.json") {
		t.Errorf("read %d bytes, %v", len(b), err)
	}
}

func TestReadFileFollowsNoLink(t *testing.T) {
	f := stored(t, t.TempDir(), idA, Complete)
	secret := filepath.Join(t.TempDir(), "secret")
	do(t, os.WriteFile(secret, []byte("s"), 0o600), os.Symlink(secret, filepath.Join(f.Dir, "report.md")))
	if b, err := f.ReadFile("report.md"); !errors.Is(err, ErrSymlink) {
		t.Errorf("ReadFile of a link = %q, %v, want ErrSymlink", b, err)
	}
	if _, err := f.ReadFile("none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ReadFile of a missing file = %v, want fs.ErrNotExist", err)
	}
}

func TestOpenWhileRunningLeavesTheWriterAlone(t *testing.T) {
	dir := t.TempDir()
	stored(t, dir, idA, Complete)
	r := create(t, dir, idB)
	do(t, r.Append([]byte("x")))
	f, err := Open(dir, idB)
	do(t, err)
	if f.Status != Running {
		t.Errorf("status = %s, want running", f.Status)
	}
	wantState(t, f, "partial: it is still being written")
	if f, err := Open(dir, "latest"); err != nil || f.ID != idA {
		t.Errorf("latest = %s, %v, want the finished run %s", f.ID, err, idA)
	}
	do(t, r.Append([]byte("y")), r.Close(Complete))
	wantState(t, f, "complete")
}

// Two writers, and readers that list all the time, never see or make anything half.
func TestTwoWritersAndAReader(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stored(t, dir, idA, Complete)
	done := make(chan struct{})
	var writers, readers sync.WaitGroup
	for w := range 2 {
		writers.Go(func() {
			random := bytes.NewReader(bytes.Repeat([]byte{byte(w), 1, 2, 3, 5, 8, 13}, 30))
			for range 20 {
				id, err := NewID(time.Unix(1795331702, 0), "test", "podinfo", random)
				if err != nil {
					t.Error(err)
					return
				}
				r, err := Create(dir, id)
				if errors.Is(err, ErrExists) {
					continue // 20 random bits may meet
				}
				if err != nil {
					t.Error(err)
					return
				}
				if err := errors.Join(r.Append([]byte(id)), r.WriteFile("manifest.json", []byte(id)), r.Close(Complete)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	readers.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			all, err := List(dir)
			if err != nil {
				t.Error(err)
			}
			for _, f := range all {
				if f.Status != Running && f.Status != Complete {
					t.Errorf("%s is %s", f.ID, f.Status)
				}
			}
		}
	})
	writers.Wait()
	close(done)
	readers.Wait()
	all, err := List(dir)
	do(t, err)
	if len(all) < 10 {
		t.Errorf("%d runs, want at least 10", len(all))
	}
	for _, f := range all {
		wantState(t, f, "complete")
	}
}

// The random bytes of two writers may be the same: one of them is refused, neither is hurt.
func TestSameIDAtOnce(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for range 8 {
		wg.Go(func() {
			r, err := Create(dir, idA)
			if errors.Is(err, ErrExists) {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			made++
			mu.Unlock()
			if err := r.Close(Complete); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made != 1 {
		t.Errorf("%d writers made the run, want 1", made)
	}
}

func TestSampleFileIsNeverReplaced(t *testing.T) {
	dir := t.TempDir()
	r := create(t, dir, idA)
	do(t, os.WriteFile(filepath.Join(r.Dir, SamplesFile), []byte("foreign"), 0o644))
	first := r.Append([]byte("x"))
	if !errors.Is(first, fs.ErrExist) {
		t.Errorf("Append over a foreign file = %v, want fs.ErrExist", first)
	}
	if again := r.Append([]byte("x")); !errors.Is(again, first) {
		t.Errorf("second Append = %v, want the first error", again)
	}
	do(t, r.Close(Partial))
	// What we did not write is not summed.
	f, err := Open(dir, idA)
	do(t, err)
	if v := wantState(t, f, "partial"); !cmp.Equal(v.Extra, []string{SamplesFile}) {
		t.Errorf("Extra = %q", v.Extra)
	}
}
