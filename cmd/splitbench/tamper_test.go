package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/serve"
	"github.com/splitbench/splitbench/internal/store"
)

// command runs a command line and returns its exit code, its output and its talk.
func command(tb testing.TB, args ...string) (code int, stdout, stderr string) {
	tb.Helper()
	var out, talk bytes.Buffer
	code = run(tb.Context(), append([]string{"splitbench"}, args...), surroundings{
		stdin: strings.NewReader(""), stdout: &out, stderr: &talk, getenv: func(string) string { return "" },
	})
	return code, out.String(), talk.String()
}

// keyPair writes an SSH key pair into dir and returns the names of its files.
func keyPair(t *testing.T, dir, name string) (private, public string) {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(priv, name)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	private, public = filepath.Join(dir, name), filepath.Join(dir, name+".pub")
	keepFile(t, private, pem.EncodeToMemory(block))
	keepFile(t, public, ssh.MarshalAuthorizedKey(key))
	return private, public
}

func keepFile(t *testing.T, file string, b []byte) {
	t.Helper()
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// passed is a run that passed, signed by the key pair that is returned, in a results folder of its own.
func passed(t *testing.T) (dir, id, private, public string) {
	t.Helper()
	home := t.TempDir()
	dir = filepath.Join(home, "results")
	// 40 points are 14 standard deviations of 300 requests: it always passes.
	if code, _, talk := command(t, "demo", "-q", "--seed", "1", "--requests", "300", "--tolerance", "40pt", "--results-dir", dir); code != 0 {
		t.Fatalf("exit code %d: %s", code, talk)
	}
	_, ids, _ := command(t, "results", "list", "-o", "name", "--results-dir", dir)
	private, public = keyPair(t, home, "team")
	id = strings.TrimSpace(ids)
	if code, _, talk := command(t, "results", "sign", id, "--key", private, "--results-dir", dir); code != 0 {
		t.Fatalf("sign: exit code %d: %s", code, talk)
	}
	return dir, id, private, public
}

func copied(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "results")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// flip changes one bit of a file, in a byte such that text stays text.
func flip(t *testing.T, file string, at float64) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[int(at*float64(len(b)-1))] ^= 1
	keepFile(t, file, b)
}

// Whichever file of a run is changed, nobody who reads it shows an outcome: each says DAMAGED, and commands exit 4.
func TestTamperingIsSeenByEveryReader(t *testing.T) {
	dir, id, _, _ := passed(t)
	files := []string{
		record.VerdictFile, record.ManifestFile, record.SummaryFile, record.HTMLFile, record.MarkdownFile, record.TextFile,
		store.SamplesFile, store.SumsFile, store.SignatureFile, "split.before.yaml",
	}
	type change struct {
		name string
		make func(folder string)
	}
	var changes []change
	for _, file := range files {
		changes = append(changes, change{file + " changed", func(folder string) { flip(t, filepath.Join(folder, file), 0.5) }})
		if file != store.SignatureFile { // without one it is a run that nobody signed
			changes = append(changes, change{file + " removed", func(folder string) {
				if err := os.Remove(filepath.Join(folder, file)); err != nil {
					t.Fatal(err)
				}
			}})
		}
	}
	changes = append(changes, change{"status forged", func(folder string) { keepFile(t, filepath.Join(folder, store.StatusFile), []byte("partial\n")) }},
		change{"verdict forged, and its sum with it", func(folder string) {
			forge(t, folder, record.VerdictFile)
		}})
	for _, c := range changes {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			home := copied(t, dir)
			folder := filepath.Join(home, id)
			c.make(folder)
			elsewhere := filepath.Join(dir, id)
			for _, args := range [][]string{
				{"report", folder},
				{"report", folder, "-o", "markdown"},
				{"report", folder, "-o", "json"},
				{"report", folder, "-o", "html"},
				{"report", folder, "-o", "jsonpath={.verdict.outcome}"},
				{"report", folder, "-o", "junit"},
				{"report", "latest", "--results-dir", home, "--fail-on", "never"},
				{"report", filepath.Join(folder, record.HTMLFile)},
				{"results", "show", folder},
				{"results", "list", "--results-dir", home},
				{"results", "list", "--results-dir", home, "-o", "json"},
				{"results", "verify", folder},
				{"results", "compare", folder, elsewhere},
				{"results", "compare", elsewhere, folder},
				{"results", "export", folder, "--to", "csv"},
				{"results", "export", folder, "--to", "prom"},
				{"results", "import", folder, "--results-dir", t.TempDir()},
				{"analyze", folder},
				{"analyze", filepath.Join(folder, record.HTMLFile)},
			} {
				if !exists(args[1]) && strings.HasSuffix(args[1], ".html") {
					continue // it was removed
				}
				code, out, talk := command(t, args...)
				if code != 4 || !strings.Contains(strings.ToUpper(out+talk), "DAMAGED") || hasOutcome(out) {
					t.Errorf("%s: exit code %d\n%s%s", strings.Join(args, " "), code, out, talk)
				}
			}
			site := serve.Handler(serve.Options{
				Dir: home, Summarize: record.Summary, Report: storedReport, Flagger: true,
				Compare: func(base, latest store.Folder) (report.RunComparison, error) {
					return judge.Compare(base, []store.Folder{latest}, judge.CompareOptions{})
				},
			})
			for _, path := range []string{"/", "/runs/" + id + "/", "/?outcome=pass"} {
				w := httptest.NewRecorder()
				r := httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil)
				site.ServeHTTP(w, r)
				main := regexp.MustCompile(`(?s)<select.*?</select>`).ReplaceAllString(w.Body.String(), "")
				if path != "/?outcome=pass" && !strings.Contains(strings.ToUpper(main), "DAMAGED") || strings.Contains(main, `class="badge pass"`) {
					t.Errorf("%s: %d %s", path, w.Code, main)
				}
			}
			w := httptest.NewRecorder()
			ask := httptest.NewRequest(http.MethodPost, "http://localhost/v1/flagger",
				strings.NewReader(`{"name":"podinfo","namespace":"test","metadata":{"maxAge":"1h"}}`))
			ask.Header.Set("Content-Type", "application/json")
			site.ServeHTTP(w, ask)
			if w.Code < 400 || strings.Contains(w.Body.String(), "pass:") {
				t.Errorf("gate: %d %s", w.Code, w.Body)
			}
		})
	}
}

// hasOutcome reports whether what a command printed shows one.
func hasOutcome(out string) bool {
	return regexp.MustCompile(`(?i)"outcome": "[a-z]|\bpass(ed)?\b`).MatchString(out)
}

// forge rewrites a file of a run so that it reads well, and its line in the sums.
func forge(t *testing.T, folder, name string) {
	t.Helper()
	file := filepath.Join(folder, name)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(folder, store.SumsFile))
	if err != nil {
		t.Fatal(err)
	}
	forged := bytes.Replace(b, []byte(`"pass"`), []byte(`"fail"`), 1)
	keepFile(t, file, forged)
	keepFile(t, filepath.Join(folder, store.SumsFile), bytes.Replace(sums, []byte(report.Digest(b)), []byte(report.Digest(forged)), 1))
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// A page that was sent alone carries the digests of what it says.
func TestAPageAloneShowsThatItWasChanged(t *testing.T) {
	dir, id, _, _ := passed(t)
	page, err := os.ReadFile(filepath.Join(dir, id, record.HTMLFile))
	if err != nil {
		t.Fatal(err)
	}
	verdict, err := os.ReadFile(filepath.Join(dir, id, record.VerdictFile))
	if err != nil {
		t.Fatal(err)
	}
	if shown := strings.ReplaceAll(string(page), "<wbr>", ""); !strings.Contains(shown, "SHA-256 of verdict.json, this report as JSON: "+report.Digest(verdict)) {
		t.Error("the page does not show the sum of verdict.json")
	}
	alone := filepath.Join(t.TempDir(), "page.html")
	keepFile(t, alone, page)
	if code, out, talk := command(t, "report", alone); code != 0 || !strings.HasPrefix(out, "PASS") {
		t.Errorf("exit code %d\n%s%s", code, out, talk)
	}
	keepFile(t, alone, bytes.Replace(page, []byte(`"outcome":"pass"`), []byte(`"outcome":"fail"`), 1))
	for _, command1 := range []string{"report", "analyze"} {
		if code, out, talk := command(t, command1, alone); code != 4 || out != "" || !strings.Contains(talk, "DAMAGED") {
			t.Errorf("%s of a changed page: exit code %d\n%s%s", command1, code, out, talk)
		}
	}
	// Pages of earlier versions carry none.
	old := regexp.MustCompile(` data-sha256="[0-9a-f]+"`).ReplaceAll(page, nil)
	keepFile(t, alone, old)
	if code, _, talk := command(t, "report", alone); code != 0 {
		t.Errorf("a page of an earlier version: exit code %d: %s", code, talk)
	}
}

// A signature says whose a run, or a page, is; ssh-keygen reads ours and we read its own.
func TestSignatures(t *testing.T) {
	dir, id, private, public := passed(t)
	home := filepath.Dir(dir)
	_, other := keyPair(t, home, "other")
	verify := func(wantCode int, want string, args ...string) {
		t.Helper()
		code, out, talk := command(t, append([]string{"results", "verify", "--results-dir", dir}, args...)...)
		if code != wantCode || !strings.Contains(out+talk, want) {
			t.Errorf("verify %q: exit code %d, want %d and %q\n%s%s", args, code, wantCode, want, out, talk)
		}
	}
	verify(0, "complete, signed by SHA256:", id, "--key", public)
	verify(0, "complete, signed by SHA256:", id)
	verify(0, `"signedBy": "SHA256:`, id, "-o", "json")
	verify(4, "unsigned: it was signed by SHA256:", id, "--key", other)
	verify(4, `"state": "unsigned"`, id, "-o", "json", "--key", other)
	verify(2, "it holds no SSH public key", id, "--key", private)
	verify(2, "no such file", id, "--key", filepath.Join(home, "none"))
	signers := filepath.Join(home, "allowed_signers")
	pub, _ := os.ReadFile(public)
	keepFile(t, signers, append([]byte("# the team\nteam@example.test "), pub...))
	verify(0, "complete, signed by", id, "--key", signers)

	// It goes along when the run is copied.
	to := filepath.Join(home, "imported")
	if code, _, talk := command(t, "results", "import", filepath.Join(dir, id), "--results-dir", to); code != 0 {
		t.Fatal(talk)
	}
	verify(0, "complete, signed by", filepath.Join(to, id), "--key", public)

	// A page alone.
	page := filepath.Join(home, "page.html")
	b, _ := os.ReadFile(filepath.Join(dir, id, record.HTMLFile))
	keepFile(t, page, b)
	verify(4, "unsigned: it has no signature", page, "--key", public)
	verify(2, "is a file: say with --key", page)
	if code, _, talk := command(t, "results", "sign", page, "--key", private); code != 0 {
		t.Fatal(talk)
	}
	verify(0, "as it was signed, signed by", page, "--key", public)
	flip(t, page, 0.5)
	verify(4, "damaged: ", page, "--key", public)

	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("no ssh-keygen on this machine")
	}
	sums := filepath.Join(dir, id, store.SumsFile)
	keygen := func(stdin string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "ssh-keygen", args...)
		in, err := os.Open(stdin)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		cmd.Stdin = io.Reader(in)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("ssh-keygen %q: %v\n%s", args, err, out)
		}
	}
	keygen(sums, "-Y", "verify", "-f", signers, "-I", "team@example.test", "-n", "splitbench", "-s", sums+".sig")
	if err := os.Remove(sums + ".sig"); err != nil {
		t.Fatal(err)
	}
	verify(4, "unsigned: it has no signature", id, "--key", public)
	keygen(os.DevNull, "-Y", "sign", "-f", private, "-n", "splitbench", sums)
	verify(0, "complete, signed by", id, "--key", public)
	if err := os.Remove(sums + ".sig"); err != nil {
		t.Fatal(err)
	}
	keygen(os.DevNull, "-Y", "sign", "-f", private, "-n", "git", sums) // made for another purpose
	verify(4, "damaged: SHA256SUMS.sig is no signature", id, "--key", public)
}
