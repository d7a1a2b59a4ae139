package podexec

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// program is one of any architecture, which says what it was told. The padding makes it larger than a frame and than
// containerd's 192 KiB.
func program(size int) []byte {
	b := []byte("#!/bin/sh\necho ours \"$@\"\nexit\n")
	return append(b, bytes.Repeat([]byte("# padding\n"), (size-len(b))/10)...)
}

func testUpload(t *testing.T, data []byte, dirs ...string) Upload {
	t.Helper()
	name, err := UploadName(data, strings.NewReader("01234567"))
	if err != nil {
		t.Fatal(err)
	}
	return Upload{Data: data, Name: name, Dirs: dirs, TryArgs: []string{"--version"}}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestUploadName(t *testing.T) {
	// printf hello | sha256sum -> 2cf24dba5fb0a30e...; 3031323334353637 is "01234567".
	got, err := UploadName([]byte("hello"), strings.NewReader("01234567"))
	if want := ".splitbench-2cf24dba5fb0-3031323334353637"; got != want || err != nil {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if _, err := UploadName([]byte("hello"), strings.NewReader("short")); err == nil {
		t.Error("a name without randomness")
	}
}

func TestUploadTakesTheFirstGoodDirectory(t *testing.T) {
	bothProtocols(t, func(t *testing.T, p Protocol) {
		root := t.TempDir()
		file := filepath.Join(root, "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		good, later := filepath.Join(root, `good 'dir" $(id);`), filepath.Join(root, "later")
		for _, dir := range []string{good, later} {
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		s := newServer(t, nil)
		c := s.container(t, Options{Protocol: p})
		u := testUpload(t, program(1<<20), "/nonexistent", filepath.Join(file, "below"), "/proc/self/fd", good, later)
		path, err := c.Upload(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}
		if path != filepath.Join(good, u.Name) {
			t.Errorf("path %q", path)
		}
		if !regexp.MustCompile(`^\.splitbench-[0-9a-f]{12}-[0-9a-f]{16}$`).MatchString(filepath.Base(path)) {
			t.Errorf("name %q", filepath.Base(path))
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, u.Data) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o700 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		if diff := cmp.Diff([]string{u.Name}, names(t, good)); diff != "" {
			t.Errorf("the good directory (-want +got):\n%s", diff)
		}
		if left := names(t, later); len(left) != 0 {
			t.Errorf("in a directory that was not needed: %q", left)
		}
		again := u
		again.Data = program(100)
		if _, err := c.Upload(t.Context(), again); !errors.Is(err, fs.ErrExist) {
			t.Errorf("the name is taken: %v", err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, u.Data) {
			t.Errorf("the file of that name is now %d bytes, %v", len(got), err)
		}
		if n := s.websockets.Load() + s.spdys.Load(); n != 5 {
			t.Errorf("%d commands, want 5: probe, write, try; probe, write", n)
		}
	})
}

func TestUploadUsesTheContainersVariables(t *testing.T) {
	tmp, pwd := t.TempDir(), t.TempDir()
	for _, test := range []struct{ name, tmpdir, want string }{
		{"TMPDIR", tmp, tmp},
		{"PWD", "/nonexistent", pwd},
		{"relative TMPDIR", "tmp", pwd},
		{"no TMPDIR", "", pwd},
		{"newline in TMPDIR", "/a\nok\t/b", pwd},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t, func(s *apiServer) {
				s.env, s.dir = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + test.tmpdir}, pwd
			})
			path, err := s.container(t, Options{}).upload(t.Context(), testUpload(t, program(100)), []string{"TMPDIR", "PWD"})
			if err != nil || filepath.Dir(path) != test.want {
				t.Fatalf("%q, %v", path, err)
			}
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestUploadWithoutAGoodDirectorySaysWhatWasTried(t *testing.T) {
	s := newServer(t, func(s *apiServer) { s.dir = "/proc"; s.env = []string{"PATH=" + os.Getenv("PATH")} })
	u := testUpload(t, program(100), "/nonexistent", "/proc/tty", "/etc/passwd")
	_, err := s.container(t, Options{}).upload(t.Context(), u, []string{"TMPDIR", "/nonexistent/", "PWD"})
	var failed *UploadError
	if !errors.As(err, &failed) {
		t.Fatal(err)
	}
	var dirs []string
	for _, a := range failed.Tried {
		dirs = append(dirs, a.Dir)
		if a.Reason == "" {
			t.Errorf("%s: no reason", a.Dir)
		}
	}
	if diff := cmp.Diff([]string{"/nonexistent", "/proc/tty", "/etc/passwd", "/proc"}, dirs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !strings.Contains(err.Error(), "/nonexistent (not a directory)") || !strings.Contains(err.Error(), "emptyDir") {
		t.Errorf("text %q", err)
	}
}

func TestUploadOfATruncatedStream(t *testing.T) {
	bothProtocols(t, func(t *testing.T, p Protocol) {
		dir := t.TempDir()
		s := newServer(t, func(s *apiServer) { s.cutStdin = 70_000 })
		_, err := s.container(t, Options{Protocol: p}).Upload(t.Context(), testUpload(t, program(200_000), dir))
		if err == nil || !strings.Contains(err.Error(), "70000 of ") || !strings.Contains(err.Error(), "3 times") {
			t.Errorf("%v", err)
		}
		if left := names(t, dir); len(left) != 0 {
			t.Errorf("left: %q", left)
		}
	})
}

// What stands at the file's name after it was written is somebody else's: it is never run, also where it was put there
// while the right one was hashed.
func TestUploadThatWasSwapped(t *testing.T) {
	const theirs = "#!/bin/sh\ntouch \"$(dirname \"$1\")/theirs\"\necho theirs\n"
	swap := func(file string) {
		other := file + ".other"
		if err := errors.Join(os.WriteFile(other, []byte(theirs), 0o700), os.Rename(other, file)); err != nil {
			t.Error(err)
		}
	}
	dir := t.TempDir()
	u := testUpload(t, program(1000), dir)
	file := filepath.Join(dir, u.Name)
	var asked atomic.Int32
	s := newServer(t, func(s *apiServer) {
		s.refuse = func(http.ResponseWriter, *http.Request) bool {
			if asked.Add(1) == 3 { // written; now it would be tried
				swap(file)
			}
			return false
		}
	})
	c := s.container(t, Options{})
	path, err := c.Upload(t.Context(), u)
	if err != nil || path != file {
		t.Fatalf("sent again: %q, %v", path, err)
	}
	if out, err := c.output(t.Context(), u.Argv(path, "serve", "a b"), nil); out != "ours serve a b\n" || err != nil {
		t.Errorf("%q, %v", out, err)
	}

	// The container's sha256sum gives whoever watches all the time there is.
	bin := t.TempDir()
	slow := "#!/bin/sh\n/usr/bin/sha256sum\nmv \"" + file + ".other\" \"" + file + "\" 2> /dev/null\ntrue\n"
	err = errors.Join(os.WriteFile(filepath.Join(bin, "sha256sum"), []byte(slow), 0o700), //nolint:gosec // a program
		os.WriteFile(file+".other", []byte(theirs), 0o700))
	if err != nil {
		t.Fatal(err)
	}
	s.env = []string{"PATH=" + bin + ":" + os.Getenv("PATH")}
	if out, err := c.output(t.Context(), u.Argv(path, "serve"), nil); out != "ours serve\n" || err != nil {
		t.Errorf("swapped between hash and start: %q, %v", out, err)
	}
	out, err := c.output(t.Context(), u.Argv(path, "serve"), nil)
	if out != "" || !is[*ExitError](err) || !strings.Contains(err.Error(), " there, ") {
		t.Errorf("another file: %q, %v", out, err)
	}
	if diff := cmp.Diff([]string{u.Name}, names(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A directory that others can write to is passed over with the reason, by whatever link it is named, and one of the
// container's own below it is taken.
func TestUploadPassesOverSharedDirectories(t *testing.T) {
	root := t.TempDir()
	shared, link := filepath.Join(root, "shared"), filepath.Join(root, "link")
	below, private := filepath.Join(shared, "below"), filepath.Join(shared, "private")
	if err := errors.Join(os.MkdirAll(below, 0o700), os.Mkdir(private, 0o700), os.Symlink(below, link)); err != nil {
		t.Fatal(err)
	}
	c := newServer(t, nil).container(t, Options{})
	u := testUpload(t, program(100), shared, link)
	u.Shared = []string{shared + "/"}
	_, err := c.upload(t.Context(), u, []string{"/dev/shm"})
	for _, dir := range []string{shared, below, "/dev/shm"} {
		if want := dir + " (shared: "; !is[*UploadError](err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want %q", err, want)
		}
	}
	u.Dirs = append(u.Dirs, private)
	if path, err := c.Upload(t.Context(), u); err != nil || path != filepath.Join(private, u.Name) {
		t.Errorf("%q, %v", path, err)
	}
}

func TestUploadWithoutAHash(t *testing.T) {
	bin, dir := t.TempDir(), t.TempDir()
	for _, name := range []string{"sh", "cat", "chmod", "rm", "wc"} {
		path, err := exec.LookPath(name)
		if err := errors.Join(err, os.Symlink(path, filepath.Join(bin, name))); err != nil {
			t.Fatal(err)
		}
	}
	s := newServer(t, func(s *apiServer) { s.env = []string{"PATH=" + bin} })
	_, err := s.container(t, Options{}).upload(t.Context(), testUpload(t, program(100), dir), nil)
	if !is[*UploadError](err) || !strings.Contains(err.Error(), "no sha256sum in the container") {
		t.Error(err)
	}
	if left := names(t, dir); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}

func TestUploadForAnotherArchitecture(t *testing.T) {
	elf := make([]byte, 128)
	copy(elf, "\x7fELF\x02\x01\x01")
	elf[16], elf[18], elf[20] = 2, 183, 1 // executable, aarch64
	if runtime.GOARCH == "arm64" {
		elf[18] = 62 // x86-64
	}
	bothProtocols(t, func(t *testing.T, p Protocol) {
		dir := t.TempDir()
		c := newServer(t, nil).container(t, Options{Protocol: p})
		_, err := c.Upload(t.Context(), testUpload(t, elf, dir))
		var start *StartError
		if !errors.As(err, &start) || start.Reason != WrongArch || !strings.Contains(err.Error(), "another architecture") {
			t.Errorf("%v", err)
		}
		if left := names(t, dir); len(left) != 0 {
			t.Errorf("left: %q", left)
		}
	})
}

func TestUploadWithoutAShell(t *testing.T) {
	bothProtocols(t, func(t *testing.T, p Protocol) {
		s := newServer(t, func(s *apiServer) { s.noShell = true })
		_, err := s.container(t, Options{Protocol: p}).Upload(t.Context(), testUpload(t, program(100)))
		if !is[*NoShellError](err) || !is[*StartError](err) || !strings.Contains(err.Error(), "choose a container") {
			t.Errorf("%v", err)
		}
	})
}

func TestUploadCancelledOnTheWayLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	var asked atomic.Int32
	s := newServer(t, func(s *apiServer) {
		s.refuse = func(http.ResponseWriter, *http.Request) bool {
			if asked.Add(1) == 3 { // written; now it would be run
				cancel()
			}
			return false
		}
	})
	_, err := s.container(t, Options{}).Upload(ctx, testUpload(t, program(1000), dir))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if left := names(t, dir); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}

func TestUploadRefused(t *testing.T) {
	s := newServer(t, func(s *apiServer) {
		s.refuse = func(w http.ResponseWriter, _ *http.Request) bool { status(w, 403, "no"); return true }
	})
	_, err := s.container(t, Options{}).Upload(t.Context(), testUpload(t, program(100)))
	if !is[*ForbiddenError](err) {
		t.Errorf("%v", err)
	}
}

func TestUploadChecksItsArguments(t *testing.T) {
	c := newServer(t, nil).container(t, Options{})
	good := testUpload(t, program(100))
	for name, change := range map[string]func(*Upload){
		"no data":            func(u *Upload) { u.Data = nil },
		"no name":            func(u *Upload) { u.Name = "" },
		"name with a slash":  func(u *Upload) { u.Name = "../x" },
		"name with newline":  func(u *Upload) { u.Name = "a\nb" },
		"parent":             func(u *Upload) { u.Name = ".." },
		"no way to try":      func(u *Upload) { u.TryArgs = nil },
		"relative directory": func(u *Upload) { u.Dirs = []string{"tmp"} },
		"word of the script": func(u *Upload) { u.Dirs = []string{"PWD"} },
		"too many":           func(u *Upload) { u.Dirs = make([]string, 65) },
	} {
		u := good
		change(&u)
		if _, err := c.Upload(t.Context(), u); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A file travels as gzip has it where the container can unpack it, and as it is where what came of that is no good.
func TestPackedUpload(t *testing.T) {
	data := program(1 << 20)
	var good bytes.Buffer
	w := gzip.NewWriter(&good)
	w.Write(data)
	w.Close()
	for name, c := range map[string]struct {
		packed []byte
		path   string // of the container's commands; "": this machine's
		by     string // what unpacks it
	}{
		"unpacked":        {good.Bytes(), "", "gzip"},
		"no gzip at all":  {[]byte("neither gzip nor the file"), "", ""},
		"cut":             {good.Bytes()[:good.Len()/2], "", ""},
		"of another file": {append(good.Bytes()[:good.Len():good.Len()], good.Bytes()...), "", ""},
		"nothing unpacks": {good.Bytes(), "no gzip, no zcat, no busybox", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if c.path != "" {
				bin := t.TempDir()
				for _, tool := range []string{"sh", "cat", "chmod", "rm", "wc", "dd", "sha256sum"} {
					path, err := exec.LookPath(tool)
					if err != nil {
						t.Skip(err)
					}
					if err := os.Symlink(path, filepath.Join(bin, tool)); err != nil {
						t.Fatal(err)
					}
				}
				t.Setenv("PATH", bin)
			}
			dir := t.TempDir()
			var sent Sent
			u := testUpload(t, data, dir)
			u.Packed, u.Sent = c.packed, &sent
			path, err := newServer(t, nil).container(t, Options{}).Upload(t.Context(), u)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			want := len(data)
			if c.by != "" {
				want = len(c.packed)
			}
			if sent.By != c.by || sent.Bytes != want || sent.Took <= 0 {
				t.Errorf("sent %+v, want %d bytes unpacked by %q", sent, want, c.by)
			}
		})
	}
}

func TestParseProbe(t *testing.T) {
	long := strings.Repeat("d", 5000)
	for _, test := range []struct {
		out, good string
		bad       []Attempt
		err       bool
	}{
		{out: "ok\t/tmp\nend\n", good: "/tmp"},
		{out: "bad\t/a\tnot a directory\nok\t/b c\nend\n", good: "/b c", bad: []Attempt{{"/a", "not a directory"}}},
		{out: "end\n"},
		{out: "ok\t/tmp\n", err: true},
		{out: "", err: true},
		{out: "motd of a chatty shell\nok\t/tmp\nend\n", good: "/tmp"},
		{out: "ok\ttmp\nok\t/\x1b\nok\t/" + long + "\nend\n"},
		{out: "ok\t/a\nok\t/b\nend\n", good: "/a"},
	} {
		good, bad, _, err := parseProbe(test.out)
		if good != test.good || (err != nil) != test.err || !cmp.Equal(bad, test.bad) {
			t.Errorf("%.40q: %q, %v, %v", test.out, good, bad, err)
		}
	}
}

func FuzzParseProbe(f *testing.F) {
	f.Add("bad\t/a\tnot a directory\nok\t/b c\nend\n")
	f.Add("ok\t../x\nend")
	f.Fuzz(func(t *testing.T, out string) {
		good, _, _, err := parseProbe(out)
		if good != "" && (err != nil || !usableDir(good)) {
			t.Errorf("%q, %v", good, err)
		}
	})
}
