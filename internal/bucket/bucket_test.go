package bucket

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/splitbench/splitbench/internal/store"
)

const (
	results = "../../results"
	first   = "20261122t115449z-test-podinfo-zlcd"
	second  = "20261125t230932z-test-podinfo-gt2b"
)

// machine opens the bucket as another machine would.
func machine(t *testing.T, name string) *Bucket {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	b, err := Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func share(t *testing.T) (name, root string) {
	t.Helper()
	root = filepath.Join(t.TempDir(), "runs")
	return "file://" + filepath.ToSlash(root), root
}

func (b *Bucket) add(t *testing.T, id string) store.Folder {
	t.Helper()
	f, err := store.Import(b.Dir, filepath.Join(results, id))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func mustSend(t *testing.T, b *Bucket, want int) {
	t.Helper()
	if ids, err := b.Send(t.Context()); err != nil || len(ids) != want {
		t.Errorf("sent %v, %v, want %d", ids, err, want)
	}
}

// mustHave brings all, and holds what is then here to be whole and these runs, oldest first.
func mustHave(t *testing.T, b *Bucket, want ...string) {
	t.Helper()
	if err := b.Bring(t.Context(), nil); err != nil {
		t.Error(err)
	}
	folders, err := store.List(b.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range folders {
		if err := f.Whole(); err != nil {
			t.Error(err)
		}
		got = append([]string{f.ID}, got...)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("here are %q, want %q", got, want)
	}
}

func TestRunsTravelThroughABucket(t *testing.T) {
	name, root := share(t)
	here, there := machine(t, name), machine(t, name)
	if err := here.Writable(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := here.add(t, first)
	here.add(t, second)
	mustSend(t, here, 2)
	mustSend(t, here, 0)
	mustHave(t, there, first, second)

	// A pin and a signature follow, both ways.
	if err := f.Pin(true); err != nil {
		t.Fatal(err)
	}
	mustSend(t, here, 0)
	mustHave(t, there, first, second)
	theirs, err := store.Open(there.Dir, first)
	if err != nil || !theirs.Pinned() {
		t.Fatalf("it is not pinned there: %v", err)
	}
	if err := theirs.Pin(false); err != nil {
		t.Fatal(err)
	}
	mustSend(t, there, 0)
	mustHave(t, here, first, second)
	if f.Pinned() {
		t.Error("it is still pinned here")
	}

	// What is removed is gone everywhere, and nothing of it is left.
	if err := there.Remove(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	mustHave(t, here, second)
	mustSend(t, here, 0)
	if _, err := os.Lstat(filepath.Join(root, first)); !os.IsNotExist(err) {
		t.Errorf("left behind: %v", err)
	}
}

// Only what may be meant comes, so that one run of a thousand costs one.
func TestWhatIsMeant(t *testing.T) {
	ids := []string{"20260101t000000z-a", "20260102t000000z-b", "20260103t000000z-c"}
	for names, want := range map[string]string{
		"": "abc", "latest": "c", "latest~1": "bc", "latest~9": "abc", "20260102": "b", "2026": "abc", "report.html": "",
		"latest 20260101t000000z-a": "ac",
	} {
		got := ""
		for _, id := range meant(ids, strings.Fields(names)) {
			got += id[len(id)-1:]
		}
		if got != want {
			t.Errorf("%q: %q, want %q", names, got, want)
		}
	}
}

// Two writers of one id never mix: the first has it, and the other keeps his run.
func TestTwoWriters(t *testing.T) {
	name, _ := share(t)
	const id = "20260101t000000z-test-podinfo-aaaa"
	var writers [2]*Bucket
	for i := range writers {
		writers[i] = machine(t, name)
		run, err := store.Create(writers[i].Dir, id)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"a", "b", "c", "d"} {
			if err := run.WriteFile(file, []byte{byte(i)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := run.Close(store.Complete); err != nil {
			t.Fatal(err)
		}
	}
	var errs [2]error
	var both sync.WaitGroup
	for i, w := range writers {
		both.Go(func() { _, errs[i] = w.Send(t.Context()) })
	}
	both.Wait()
	if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs[:]...), ErrTaken) {
		t.Errorf("%v", errs)
	}
	mustHave(t, machine(t, name), id)
}

// Whatever lies in a bucket, a run is brought as its writer wrote it or not at all, and nothing is written elsewhere.
func TestHostileBuckets(t *testing.T) {
	write := func(t *testing.T, path, text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	sums := func(text string) func(*testing.T, string) {
		return func(t *testing.T, run string) { write(t, filepath.Join(run, store.SumsFile), text) }
	}
	const zero = "0000000000000000000000000000000000000000000000000000000000000000  "
	for what, c := range map[string]struct {
		plant func(t *testing.T, run string)
		say   string // "": the run comes, and what was planted does not
	}{
		"a changed file":     {func(t *testing.T, run string) { write(t, filepath.Join(run, "manifest.json"), "{}") }, "manifest.json was changed"},
		"a file is gone":     {func(t *testing.T, run string) { _ = os.Remove(filepath.Join(run, "status")) }, `it has no file "status"`},
		"no sums":            {sums("hello\n"), "line 1 is not a SHA-256 sum and a name"},
		"empty sums":         {sums(""), "line 1 is not"},
		"sums that climb":    {sums(zero + "../../x\n"), "line 1 is not"},
		"sums of hidden":     {sums(zero + ".lock\n"), "line 1 is not"},
		"sums of 4,097":      {sums(manySums()), "names more than 4096 files"},
		"a megabyte of sums": {sums(strings.Repeat(" ", maxSums+1)), "no run's has more than"},
		"a link":             {link, "manifest.json is missing"},
		"a pipe":             {pipe, "manifest.json is missing"},
		"a foreign file":     {func(t *testing.T, run string) { write(t, filepath.Join(run, "evil.html"), "x") }, ""},
		"a hidden file":      {func(t *testing.T, run string) { write(t, filepath.Join(run, ".lock"), "x") }, ""},
		"a folder in it":     {func(t *testing.T, run string) { write(t, filepath.Join(run, "a", "status"), "x") }, ""},
		"a foreign folder":   {func(t *testing.T, run string) { write(t, filepath.Join(run, "..", "photos", "SHA256SUMS"), "x") }, ""},
		"a foreign file too": {func(t *testing.T, run string) { write(t, filepath.Join(run, "..", "README"), "x") }, ""},
	} {
		t.Run(what, func(t *testing.T) {
			name, root := share(t)
			writer := machine(t, name)
			writer.add(t, first)
			writer.add(t, second)
			mustSend(t, writer, 2)
			c.plant(t, filepath.Join(root, first))
			reader := machine(t, name)
			if c.say == "" {
				mustHave(t, reader, first, second)
				if v, err := (store.Folder{ID: first, Dir: filepath.Join(reader.Dir, first)}).Verify(); err != nil || len(v.Extra) > 0 {
					t.Errorf("brought with it: %v, %v", v.Extra, err)
				}
				return
			}
			err := reader.Bring(t.Context(), nil)
			if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), c.say) {
				t.Errorf("%v, want %q", err, c.say)
			}
			entries, err := os.ReadDir(reader.Dir)
			if err != nil || len(entries) != 1 || entries[0].Name() != second {
				t.Errorf("here are %v, %v, want the other run alone", entries, err)
			}
		})
	}
}

func manySums() string {
	var b strings.Builder
	for i := range store.MaxFiles + 1 {
		fmt.Fprintf(&b, "%064d  file-%d\n", 0, i)
	}
	return b.String()
}

func link(t *testing.T, run string) {
	t.Helper()
	page := filepath.Join(run, "manifest.json")
	if err := errors.Join(os.Rename(page, filepath.Join(run, "..", "page")), os.Symlink("../page", page)); err != nil {
		t.Fatal(err)
	}
}

func pipe(t *testing.T, run string) {
	t.Helper()
	page := filepath.Join(run, "manifest.json")
	if err := errors.Join(os.Remove(page), exec.CommandContext(t.Context(), "mkfifo", page).Run()); err != nil {
		t.Fatal(err)
	}
}

func TestNames(t *testing.T) {
	for name, say := range map[string]string{
		"http://example.com/runs":            `"http://" is no bucket: want s3://`,
		"s3://":                              "it names no bucket",
		"s3://key:secret@runs":               "it has credentials in it",
		"s3://runs?role=arn":                 `setting "role": want accelerate, anonymous`,
		"gs://runs?private_key_path=k":       "credentials come from the environment",
		"file://./runs":                      "three slashes",
		"file:///":                           "three slashes",
		"file:///srv?secret_key_path=k":      "credentials come from the environment",
		"s3://%zz":                           "it is no URL",
		"s3://runs/a?region=eu-west-1":       "",
		"azblob://runs?storage_account=team": "",
	} {
		_, err := Folder(name)
		if (err == nil) != (say == "") || err != nil && !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v, want %q", name, err, say)
		}
		if err != nil && strings.Contains(err.Error(), "secret@") {
			t.Errorf("%s: it shows credentials: %v", name, err)
		}
	}
}

// A bucket that cannot be written says so before there is a run.
func TestNotWritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	if b, err := Open(t.Context(), "file://"+file+"/runs"); err == nil || !strings.HasPrefix(err.Error(), "open --results-dir file://"+file+"/runs: ") {
		t.Errorf("%v, %v", b, err)
	}
}

// Who has no credentials for Google is told so, and who wants none is not asked; the result's stdout stays empty.
func TestNoGoogleCredentials(t *testing.T) {
	out, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	defer func(was *os.File) { _, os.Stdout = out.Close(), was }(os.Stdout)
	os.Stdout = out
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("STORAGE_EMULATOR_HOST", "")
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere")
	if b, err := Open(t.Context(), "gs://runs/a"); !errors.Is(err, ErrRefused) {
		t.Errorf("%v, %v", b, err)
	}
	if b, err := Open(t.Context(), "gs://runs/a?anonymous=true"); err != nil || b.Close() != nil {
		t.Error(err)
	}
	if said, err := os.ReadFile(out.Name()); err != nil || len(said) > 0 {
		t.Errorf("on stdout: %q, %v", said, err)
	}
}

// What was killed on its way goes after a day, and nothing else.
func TestSweep(t *testing.T) {
	name, root := share(t)
	b := machine(t, name)
	b.add(t, first)
	mustSend(t, b, 1)
	const half = "20260101t000000z-half"
	for path, age := range map[string]time.Duration{
		".splitbench.1.tmp": 2 * abandoned, ".splitbench.2.tmp": 0, ".splitbench": 2 * abandoned, "mine.tmp": 2 * abandoned,
		half + "-old/status": 2 * abandoned, half + "-new/status": 0, first + "/status": 2 * abandoned,
	} {
		path, at := filepath.Join(root, path), time.Now().Add(-age)
		_ = os.MkdirAll(filepath.Dir(path), 0o755)
		file, err := os.OpenFile(path, os.O_CREATE, 0o644)
		if err := errors.Join(err, file.Close(), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(root)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	want := []string{".splitbench", ".splitbench.2.tmp", half + "-new", first, "mine.tmp"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("left are %q, %v, want %q", got, err, want)
	}
	mustHave(t, machine(t, name), first)
}
