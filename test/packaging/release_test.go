package packaging

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/goreleaser/goreleaser/v2/pkg/config"
	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
	"github.com/rhysd/actionlint"
)

// needsMinutes leaves a test to make release-test.
func needsMinutes(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes a minute, and is run by make release-test")
	}
}

// Two clones in folders of other names, built one after the other as a release is, give the same agents and the same program.
// What is not yet committed is not in a clone.
func TestBuildsAreReproducible(t *testing.T) {
	needsMinutes(t)
	built := func(name string) map[string]string {
		dir := filepath.Join(t.TempDir(), name)
		command(t, root, "git", "clone", "--quiet", "--no-hardlinks", ".", dir)
		environment := append(os.Environ(), "GOFLAGS=-buildvcs=true", "GOTOOLCHAIN=local")
		for _, argv := range [][]string{
			{"go", "run", "internal/agentbin/pack.go"},
			append([]string{"go", "build", "-o", "kubectl-splitbench"}, append(releaseFlags(t), "./cmd/splitbench")...),
		} {
			cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
			cmd.Dir, cmd.Env = dir, append(environment, "CGO_ENABLED=0")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s in %s: %v\n%s", strings.Join(argv, " "), dir, err, out)
			}
		}
		sums := map[string]string{}
		for _, f := range []string{
			"kubectl-splitbench", "internal/agentbin/bin/splitbench-agent-linux-amd64.zst", "internal/agentbin/bin/splitbench-agent-linux-arm64.zst",
		} {
			b, err := os.ReadFile(filepath.Join(dir, f))
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(b)
			sums[f] = hex.EncodeToString(sum[:])
		}
		info, err := buildinfo.ReadFile(filepath.Join(dir, "kubectl-splitbench"))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range info.Settings {
			if strings.HasPrefix(s.Key, "vcs.") {
				sums[s.Key] = s.Value
			}
		}
		return sums
	}
	first, second := built("a"), built("another folder")
	if first["vcs.revision"] == "" || first["vcs.modified"] != "false" {
		t.Errorf("the program does not say from which commit it is: %v", first)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("two builds of one commit differ (-first +second):\n%s", diff)
	}
	t.Logf("%v", first)
}

func release(t *testing.T) config.Project {
	t.Helper()
	p, err := config.Load(filepath.Join(root, ".goreleaser.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// releaseFlags are the flags that goreleaser builds with.
func releaseFlags(t *testing.T) []string {
	t.Helper()
	b := release(t).Builds[0]
	return append(append([]string{}, b.Flags...), "-ldflags", strings.Join(b.Ldflags, " "))
}

// pack builds a package as goreleaser does: by its own library, from its configuration.
func pack(t *testing.T, format, binary, licenses string) string {
	t.Helper()
	p := release(t).NFPMs[0]
	mtime := time.Unix(1_800_000_000, 0).UTC()
	info := &nfpm.Info{
		Name: p.PackageName, Arch: "amd64", Platform: "linux", Version: "v0.1.0", Section: p.Section, Maintainer: p.Maintainer,
		Description: p.Description, Homepage: p.Homepage, License: p.License, MTime: mtime,
	}
	info.Suggests = p.Suggests
	contents := files.Contents{{Source: binary, Destination: "/usr/bin/kubectl-splitbench", FileInfo: &files.ContentFileInfo{Mode: 0o755, MTime: mtime}}}
	for _, c := range p.Contents {
		source := c.Source
		switch {
		case source == "bin/licenses":
			source = licenses
		case c.Type != "symlink":
			source = filepath.Join(root, source)
		}
		contents = append(contents, &files.Content{
			Source: source, Destination: c.Destination, Type: c.Type, FileInfo: &files.ContentFileInfo{Mode: c.FileInfo.Mode, MTime: mtime},
		})
	}
	info.Contents = contents
	packager, err := nfpm.Get(format)
	if err != nil {
		t.Fatal(err)
	}
	if err := nfpm.PrepareForPackager(info, format); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := packager.Package(nfpm.WithDefaults(info), &b); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "splitbench."+format)
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// The deb is installed into a root of its own by dpkg, runs by both of its names, carries the licenses of every module that is
// linked, and leaves nothing when it is removed.
func TestDebIsInstalledAndRemoved(t *testing.T) {
	needsMinutes(t)
	dpkg, err := exec.LookPath("dpkg")
	if err != nil {
		t.Skip("no dpkg on this machine: the deb was not installed")
	}
	if os.Geteuid() != 0 {
		t.Skip("dpkg gives files to root, which this user is not: the deb was not installed")
	}
	binary, licenses := program(t), filepath.Join(t.TempDir(), "licenses")
	command(t, root, "sh", "tools/licenses.sh", licenses)
	deb := pack(t, "deb", binary, licenses)
	system := t.TempDir()
	for _, d := range []string{"var/lib/dpkg/updates", "var/lib/dpkg/info"} {
		if err := os.MkdirAll(filepath.Join(system, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(system, "var/lib/dpkg/status"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) {
		command(t, ".", append([]string{dpkg, "--root=" + system, "--force-not-root", "--log=/dev/null"}, args...)...)
	}
	run("--install", deb)
	at := func(name string) string { return filepath.Join(system, name) }
	if text := command(t, ".", at("usr/bin/kubectl-splitbench"), "version"); !strings.HasPrefix(text, "splitbench ") {
		t.Errorf("the installed program says %q", text)
	}
	if link, err := os.Readlink(at("usr/bin/splitbench")); err != nil || link != "/usr/bin/kubectl-splitbench" {
		t.Errorf("splitbench is a link to %q, %v", link, err)
	}
	for _, f := range []string{"usr/share/man/man1/splitbench.1", "usr/share/doc/splitbench/copyright"} {
		if s, err := os.Stat(at(f)); err != nil || s.Size() == 0 || s.Mode().Perm() != 0o644 {
			t.Errorf("%s: %v, %v", f, s, err)
		}
	}
	linked, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range linked.Deps {
		if found, err := os.ReadDir(at("usr/share/doc/splitbench/licenses/" + m.Path + "@" + m.Version)); err != nil || len(found) == 0 {
			t.Errorf("no license of %s: %v", m.Path, err)
		}
	}
	run("--purge", "splitbench")
	for _, f := range []string{"usr/bin/kubectl-splitbench", "usr/bin/splitbench", "usr/share/doc/splitbench", "usr/share/man/man1/splitbench.1"} {
		if _, err := os.Lstat(at(f)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", f, err)
		}
	}
}

// Both formats are packed to the same bytes a second time.
func TestPackagesAreReproducible(t *testing.T) {
	licenses := t.TempDir()
	if err := os.WriteFile(filepath.Join(licenses, "LICENSE"), []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(root, "LICENSE") // its bytes do not matter here
	for _, format := range []string{"deb", "rpm"} {
		if !bytes.Equal(read(t, pack(t, format, binary, licenses)), read(t, pack(t, format, binary, licenses))) {
			t.Errorf("%s: two of one program differ", format)
		}
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var pinned = regexp.MustCompile(`uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)

// Each action is named by the digest of a commit, nothing is granted but what a job says, and actionlint finds nothing.
func TestWorkflows(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(root, ".github/workflows/*.yml"))
	if err != nil || len(paths) != 3 {
		t.Fatalf("%d workflows, %v", len(paths), err)
	}
	linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text := string(read(t, path))
		for line := range strings.Lines(text) {
			if strings.Contains(line, "uses:") && !pinned.MatchString(strings.TrimRight(line, "\n")) {
				t.Errorf("%s: not pinned by a digest with its version beside it: %s", path, strings.TrimSpace(line))
			}
		}
		if !strings.Contains(text, "\npermissions: {}\n") {
			t.Errorf("%s: does not take every permission away first", path)
		}
		if strings.Count(text, "actions/checkout@") != strings.Count(text, "persist-credentials: false") {
			t.Errorf("%s: a checkout keeps its credentials", path)
		}
		found, err := linter.LintFile(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range found {
			t.Error(e)
		}
	}
}
