package podexec

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// selfhashing is a program of any architecture. The padding makes it larger than a frame and than containerd's 192 KiB.
func selfhashing(size int) []byte {
	b := []byte("#!/bin/sh\nsha256sum \"$0\"\nexit\n")
	return append(b, bytes.Repeat([]byte("# padding\n"), (size-len(b))/10)...)
}

func testUpload(t *testing.T, data []byte, dirs ...string) Upload {
	t.Helper()
	name, err := UploadName(data, strings.NewReader("01234567"))
	if err != nil {
		t.Fatal(err)
	}
	return Upload{Data: data, Name: name, Dirs: dirs, HashArgs: []string{"--selfhash"}}
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
		u := testUpload(t, selfhashing(1<<20), "/nonexistent", filepath.Join(file, "below"), "/proc/self/fd", good, later)
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
		again.Data = selfhashing(100)
		if _, err := c.Upload(t.Context(), again); !errors.Is(err, fs.ErrExist) {
			t.Errorf("the name is taken: %v", err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, u.Data) {
			t.Errorf("the file of that name is now %d bytes, %v", len(got), err)
		}
		if n := s.websockets.Load() + s.spdys.Load(); n != 5 {
			t.Errorf("%d commands, want 5: probe, write, hash; probe, write", n)
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
			path, err := s.container(t, Options{}).upload(t.Context(), testUpload(t, selfhashing(100)), []string{"TMPDIR", "PWD"})
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
	u := testUpload(t, selfhashing(100), "/nonexistent", "/proc/self/fdinfo", "/etc/passwd")
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
	if diff := cmp.Diff([]string{"/nonexistent", "/proc/self/fdinfo", "/etc/passwd", "/proc"}, dirs); diff != "" {
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
		_, err := s.container(t, Options{Protocol: p}).Upload(t.Context(), testUpload(t, selfhashing(200_000), dir))
		if err == nil || !strings.Contains(err.Error(), "70000 of ") || !strings.Contains(err.Error(), "3 times") {
			t.Errorf("%v", err)
		}
		if left := names(t, dir); len(left) != 0 {
			t.Errorf("left: %q", left)
		}
	})
}

func TestUploadWithAnotherHash(t *testing.T) {
	for name, script := range map[string]string{
		"another hash": "#!/bin/sh\necho 0123456789abcdef\n",
		"no hash":      "#!/bin/sh\n",
		"endless":      "#!/bin/sh\nexec head -c 10000000 /dev/zero\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c := newServer(t, nil).container(t, Options{})
			_, err := c.Upload(t.Context(), testUpload(t, []byte(script), dir))
			if err == nil || !strings.Contains(err.Error(), "hash") {
				t.Errorf("%v", err)
			}
			if left := names(t, dir); len(left) != 0 {
				t.Errorf("left: %q", left)
			}
		})
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
		_, err := s.container(t, Options{Protocol: p}).Upload(t.Context(), testUpload(t, selfhashing(100)))
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
	_, err := s.container(t, Options{}).Upload(ctx, testUpload(t, selfhashing(1000), dir))
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
	_, err := s.container(t, Options{}).Upload(t.Context(), testUpload(t, selfhashing(100)))
	if !is[*ForbiddenError](err) {
		t.Errorf("%v", err)
	}
}

func TestUploadChecksItsArguments(t *testing.T) {
	c := newServer(t, nil).container(t, Options{})
	good := testUpload(t, selfhashing(100))
	for name, change := range map[string]func(*Upload){
		"no data":            func(u *Upload) { u.Data = nil },
		"no name":            func(u *Upload) { u.Name = "" },
		"name with a slash":  func(u *Upload) { u.Name = "../x" },
		"name with newline":  func(u *Upload) { u.Name = "a\nb" },
		"parent":             func(u *Upload) { u.Name = ".." },
		"no way to check":    func(u *Upload) { u.HashArgs = nil },
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
		good, bad, err := parseProbe(test.out)
		if good != test.good || (err != nil) != test.err || !cmp.Equal(bad, test.bad) {
			t.Errorf("%.40q: %q, %v, %v", test.out, good, bad, err)
		}
	}
}

func FuzzParseProbe(f *testing.F) {
	f.Add("bad\t/a\tnot a directory\nok\t/b c\nend\n")
	f.Add("ok\t../x\nend")
	f.Fuzz(func(t *testing.T, out string) {
		good, _, err := parseProbe(out)
		if good != "" && (err != nil || !usableDir(good)) {
			t.Errorf("%q, %v", good, err)
		}
	})
}
