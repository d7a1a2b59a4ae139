package podexec

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
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
	return Upload{Data: data, Name: name, Dirs: dirs}
}

// put uploads and runs a program, and returns what it wrote and where it is.
func put(t *testing.T, c *Container, u Upload, argv ...string) (out, path string, err error) {
	t.Helper()
	p, err := c.Upload(u)
	if err != nil {
		t.Fatal(err)
	}
	return p.try(t.Context(), argv...)
}

// try runs the program.
func (p *Program) try(ctx context.Context, argv ...string) (out, path string, err error) {
	var b bytes.Buffer
	err = p.Exec(ctx, argv, nil, &b, nil)
	return b.String(), p.Sent().Path, err
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
		out, path, err := put(t, c, u, "serve", "a 'b", "$(id)")
		if err != nil || out != "ours serve a 'b $(id)\n" {
			t.Fatalf("%q, %v", out, err)
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
		if _, path, err := put(t, c, again); err != nil || filepath.Dir(path) != later {
			t.Errorf("the name is taken: %q, %v", path, err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, u.Data) {
			t.Errorf("the file of that name is now %d bytes, %v", len(got), err)
		}
		if n := s.websockets.Load() + s.spdys.Load(); n != 2 {
			t.Errorf("%d commands for two uploads", n)
		}
	})
}

func TestUploadUsesTheContainersVariables(t *testing.T) {
	tmp, pwd := t.TempDir(), t.TempDir()
	tab, newline, link := filepath.Join(tmp, "a\tb"), filepath.Join(tmp, "a\nb"), filepath.Join(tmp, "link")
	if err := errors.Join(os.Mkdir(tab, 0o700), os.Mkdir(newline, 0o700), os.Symlink(newline, link)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, tmpdir, want string }{
		{"TMPDIR", tmp, tmp},
		{"PWD", "/nonexistent", pwd},
		{"relative TMPDIR", "tmp", pwd},
		{"no TMPDIR", "", pwd},
		{"newline in TMPDIR", "/a\nok\t/b", pwd},
		{"tab in TMPDIR", tab, pwd},
		{"TMPDIR leads to a newline", link, pwd},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t, func(s *apiServer) {
				s.env, s.dir = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + test.tmpdir}, pwd
			})
			_, path, err := s.container(t, Options{}).program(testUpload(t, program(100)), []string{"TMPDIR", "PWD"}).try(t.Context())
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
	_, _, err := s.container(t, Options{}).program(u, []string{"TMPDIR", "/nonexistent/", "PWD"}).try(t.Context())
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
		_, _, err := put(t, s.container(t, Options{Protocol: p}), testUpload(t, program(200_000), dir))
		if err == nil || !regexp.MustCompile(`6\d{4} of 2\d{5} bytes arrived`).MatchString(err.Error()) {
			t.Errorf("%v", err)
		}
		s.running.Wait()
		if left := names(t, dir); len(left) != 0 {
			t.Errorf("left: %q", left)
		}
	})
}

// What stands at the file's name after it was written is somebody else's: it is never run, whether it was put there
// before the right one was hashed or while it was.
func TestUploadThatWasSwapped(t *testing.T) {
	const theirs = "#!/bin/sh\necho theirs\n"
	for name, swap := range map[string]struct{ tool, want, err string }{
		"as it is written": {"cat", "", " bytes arrived"},
		"as it is counted": {"wc", "ours serve a b\n", ""},
		"as it is hashed":  {"sha256sum", "ours serve a b\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir, bin := t.TempDir(), t.TempDir()
			u := testUpload(t, program(1000), dir)
			file := filepath.Join(dir, u.Name)
			path, err := exec.LookPath(swap.tool)
			if err != nil {
				t.Fatal(err)
			}
			script := fmt.Sprintf("#!/bin/sh\n%s \"$@\"\n[ ! -s %[2]s ] || mv %[2]s.other %[2]s 2> /dev/null\ntrue\n", path, file)
			err = errors.Join(os.WriteFile(filepath.Join(bin, swap.tool), []byte(script), 0o700), //nolint:gosec // a program
				os.WriteFile(file+".other", []byte(theirs), 0o700))
			if err != nil {
				t.Fatal(err)
			}
			s := newServer(t, func(s *apiServer) { s.env = []string{"PATH=" + bin + ":" + os.Getenv("PATH")} })
			out, _, err := s.container(t, Options{}).program(u, nil).try(t.Context(), "serve", "a b")
			if out != swap.want || (err == nil) != (swap.err == "") || err != nil && !strings.Contains(err.Error(), swap.err) {
				t.Errorf("%q, %v, want %q, %q", out, err, swap.want, swap.err)
			}
		})
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
	_, _, err := c.program(u, []string{"/dev/shm"}).try(t.Context())
	for _, dir := range []string{shared, below, "/dev/shm"} {
		if want := dir + " (shared: "; !is[*UploadError](err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want %q", err, want)
		}
	}
	u.Dirs = append(u.Dirs, private)
	if _, path, err := put(t, c, u); err != nil || path != filepath.Join(private, u.Name) {
		t.Errorf("%q, %v", path, err)
	}
}

func TestUploadWithoutAHash(t *testing.T) {
	bin, dir := t.TempDir(), t.TempDir()
	for _, name := range []string{"sh", "cat", "chmod", "rm", "wc", "head"} {
		path, err := exec.LookPath(name)
		if err := errors.Join(err, os.Symlink(path, filepath.Join(bin, name))); err != nil {
			t.Fatal(err)
		}
	}
	s := newServer(t, func(s *apiServer) { s.env = []string{"PATH=" + bin} })
	_, _, err := s.container(t, Options{}).program(testUpload(t, program(100), dir), nil).try(t.Context())
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
		_, _, err := put(t, c, testUpload(t, elf, dir))
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
		_, _, err := put(t, s.container(t, Options{Protocol: p}), testUpload(t, program(100)))
		if !is[*NoShellError](err) || !is[*StartError](err) || !strings.Contains(err.Error(), "choose a container") {
			t.Errorf("%v", err)
		}
	})
}

// whenSaid calls do when a command has said the word.
type whenSaid struct {
	io.Writer
	word string
	do   func()
}

func (w whenSaid) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(w.word)) {
		w.do()
	}
	return w.Writer.Write(p)
}

func TestUploadCancelledOnTheWayLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	s := newServer(t, func(s *apiServer) {
		s.twist = func(stdout io.Writer) io.Writer { return whenSaid{stdout, "dir\t", cancel} }
	})
	_, _, err := s.container(t, Options{}).program(testUpload(t, program(8<<20), dir), nil).try(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	s.running.Wait()
	if left := names(t, dir); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}

func TestUploadRefused(t *testing.T) {
	s := newServer(t, func(s *apiServer) {
		s.refuse = func(w http.ResponseWriter, _ *http.Request) bool { status(w, 403, "no"); return true }
	})
	_, _, err := put(t, s.container(t, Options{}), testUpload(t, program(100)))
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
		"relative directory": func(u *Upload) { u.Dirs = []string{"tmp"} },
		"word of the script": func(u *Upload) { u.Dirs = []string{"PWD"} },
		"too many":           func(u *Upload) { u.Dirs = make([]string, 65) },
	} {
		u := good
		change(&u)
		if _, err := c.Upload(u); err == nil {
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
				for _, tool := range []string{"sh", "cat", "chmod", "rm", "wc", "dd", "head", "sha256sum"} {
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
			u := testUpload(t, data, dir)
			u.Packed = c.packed
			p, err := newServer(t, nil).container(t, Options{}).Upload(u)
			if err != nil {
				t.Fatal(err)
			}
			out, path, err := p.try(t.Context())
			if err != nil || out != "ours\n" {
				t.Fatalf("%q, %v", out, err)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			want := len(data)
			if c.by != "" {
				want = len(c.packed)
			}
			if sent := p.Sent(); sent.By != c.by || sent.Bytes != want || sent.Took <= 0 {
				t.Errorf("sent %+v, want %d bytes unpacked by %q", sent, want, c.by)
			}
		})
	}
}

// A container says what it likes: a program runs only after it was sent, and nobody is waited for who waits for nothing.
func TestDialogueWithStrangers(t *testing.T) {
	long := strings.Repeat("d", 5000)
	for _, test := range []struct {
		said, answered string // to what was said first
		runs, err      bool
	}{
		{said: "dir\t\t/tmp\n", answered: "cat 4\ndata"},
		{said: "motd of a chatty shell\nrun\ndir\tgzip\t/b c\n", answered: "gzip 2\ngz"},
		{said: "dir\trm -rf /\t/tmp\n", answered: "cat 4\ndata"},
		{said: "dir\t\t/tmp\nrun\nHELLO", runs: true, err: true}, // it was not read
		{said: "dir\t\ttmp\n", answered: "next\n"},
		{said: "dir\t\t/a\tb\n", answered: "next\n"},
		{said: "dir\t\t/\x1b\n", answered: "next\n"},
		{said: "dir\t\t/" + long + "\n", answered: "next\n"},
		{said: "dir\t\t/dev/shm\n", answered: "next\n"},
		{said: "no\tnothing\twas sent\nend\n", answered: "next\n"},
		{said: strings.Repeat("x", 70<<10), err: true},
	} {
		d := stranger()
		_, err := d.Write([]byte(test.said))
		if d.runs != test.runs || (err != nil) != test.err {
			t.Errorf("%.40q: runs %v, %v", test.said, d.runs, err)
		}
		var got []byte
		if len(d.answers) > 0 {
			got, _ = io.ReadAll((<-d.answers).Reader) // of memory
		}
		if string(got) != test.answered && !test.err {
			t.Errorf("%.40q: answered %q, want %q", test.said, got, test.answered)
		}
	}
}

// stranger is a dialogue with nobody yet.
func stranger() *dialogue {
	p := (&Container{}).program(Upload{Data: []byte("data"), Packed: []byte("gz"), Name: "name"}, nil)
	return &dialogue{
		p: p, stdin: strings.NewReader("stdin"), stdout: io.Discard, answers: make(chan answer, 1), closed: make(chan struct{}),
	}
}

func FuzzDialogue(f *testing.F) {
	f.Add("bad\t/a\tnot a directory\ndir\tgzip\t/b c\nno\tit is full\nrun\nHELLO", uint8(7))
	f.Add("dir\t../x\t\nend", uint8(1))
	f.Fuzz(func(t *testing.T, said string, step uint8) {
		d := stranger()
		for b := []byte(said); len(b) > 0; {
			n := min(len(b), 1+int(step))
			if _, err := d.Write(b[:n]); err != nil {
				return
			}
			b = b[n:]
			for len(d.answers) > 0 {
				if a := <-d.answers; !a.last {
					io.Copy(io.Discard, a)
				}
			}
		}
		if d.runs && (d.sends == 0 || !usableDir(d.dir)) || d.sends > uploadTries+1+len(said) {
			t.Errorf("%+v", d)
		}
	})
}
