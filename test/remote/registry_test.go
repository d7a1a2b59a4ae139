// Package remote tests the program against servers that keep runs for others: a registry and buckets. They are a module of
// their own, so that the program's modules stay few.
package remote

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/distribution/distribution/v3/configuration"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	"github.com/sirupsen/logrus"
	"golang.org/x/crypto/bcrypt"
)

const (
	reference = "20261125t230932z-test-podinfo-gt2b"
	results   = "../../results"
)

// program is splitbench, built once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "splitbench-remote-")
	if err != nil {
		return "", err
	}
	exe := filepath.Join(dir, "splitbench")
	out, err := exec.Command("go", "build", "-C", "../..", "-o", exe, "./cmd/splitbench").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, out)
	}
	return exe, err
})

func TestMain(m *testing.M) {
	if dir := os.Getenv(serverDir); dir != "" {
		fmt.Fprintln(os.Stderr, serveS3(dir))
		os.Exit(1)
	}
	logrus.SetOutput(io.Discard) // the registry's
	code := m.Run()
	if exe, err := program(); err == nil {
		_ = os.RemoveAll(filepath.Dir(exe))
	}
	os.Exit(code)
}

// user is somebody with a home of his own.
type user struct {
	t    *testing.T
	home string
	env  []string
}

func newUser(t *testing.T, env ...string) *user {
	t.Helper()
	home := t.TempDir()
	keep := []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "DOCKER_CONFIG=" + home}
	return &user{t: t, home: home, env: append(keep, env...)}
}

func (u *user) command(args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	u.t.Helper()
	exe, err := program()
	if err != nil {
		u.t.Fatal(err)
	}
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	cmd = exec.CommandContext(u.t.Context(), exe, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = u.env, stdout, stderr
	return cmd, stdout, stderr
}

// run carries out a command that must succeed.
func (u *user) run(args ...string) string {
	u.t.Helper()
	cmd, stdout, stderr := u.command(args...)
	if err := cmd.Run(); err != nil {
		u.t.Fatalf("splitbench %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	return stdout.String()
}

// fails carries out a command that must be refused.
func (u *user) fails(args ...string) string {
	u.t.Helper()
	cmd, _, stderr := u.command(args...)
	if err := cmd.Run(); err == nil {
		u.t.Errorf("splitbench %s: succeeded", strings.Join(args, " "))
	}
	return stderr.String()
}

// registry is distribution's, with a user "team" of password "secret". It counts uploads, and refuses them while broken is not 0.
type registry struct {
	app     http.Handler
	address string
	mu      sync.Mutex
	puts    int
	broken  int // fails this many uploads from now, after as many have passed as after says
	after   int
}

func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodPut && strings.Contains(req.URL.Path, "/blobs/uploads/") {
		r.mu.Lock()
		r.puts++
		fail := r.broken > 0 && r.puts > r.after
		r.mu.Unlock()
		if fail {
			panic(http.ErrAbortHandler) // the connection breaks in the midst of an upload
		}
	}
	r.app.ServeHTTP(w, req)
}

func startRegistry(t *testing.T) *registry {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	users := filepath.Join(t.TempDir(), "htpasswd")
	if err := os.WriteFile(users, append([]byte("team:"), hash...), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := configuration.Parse(strings.NewReader(fmt.Sprintf(`version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {inmemory: {}}
auth: {htpasswd: {realm: tests, path: %s}}
`, users)))
	if err != nil {
		t.Fatal(err)
	}
	r := &registry{app: handlers.NewApp(t.Context(), config)}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.address = strings.TrimPrefix(server.URL, "http://")
	return r
}

// login is what docker login leaves behind.
func (u *user) login(r *registry) {
	u.t.Helper()
	for _, e := range u.env {
		if dir, ok := strings.CutPrefix(e, "DOCKER_CONFIG="); ok {
			config := fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, r.address, base64.StdEncoding.EncodeToString([]byte("team:secret")))
			if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
				u.t.Fatal(err)
			}
		}
	}
}

func (r *registry) ask(t *testing.T, method, path, kind string, body []byte) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.address+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("team", "secret")
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func sameFiles(t *testing.T, a, b string) {
	t.Helper()
	if out, err := exec.Command("diff", "-r", a, b).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// A run travels through a real registry and is the same at the other end; whoever may not is told what to do.
func TestRunsTravelThroughARegistry(t *testing.T) {
	r := startRegistry(t)
	name := r.address + "/team/podinfo:v1-split"
	u := newUser(t)
	if said := u.fails("results", "push", reference, name, "--results-dir", results); !strings.Contains(said, "docker login "+r.address) {
		t.Errorf("without credentials: %s", said)
	}
	u.login(r)
	if said := u.fails("results", "pull", name); !strings.Contains(said, "no such artefact") {
		t.Errorf("before it was pushed: %s", said)
	}
	digest := strings.TrimSpace(u.run("results", "push", reference, name, "--results-dir", results))
	if !strings.HasPrefix(digest, r.address+"/team/podinfo@sha256:") {
		t.Errorf("pushed as %q", digest)
	}
	sent := r.puts
	if again := strings.TrimSpace(u.run("results", "push", reference, name, "--results-dir", results)); again != digest || r.puts != sent {
		t.Errorf("pushed again as %s with %d uploads, first %s with %d", again, r.puts-sent, digest, sent)
	}
	for _, from := range []string{name, digest} {
		there := t.TempDir()
		if id := strings.TrimSpace(u.run("results", "pull", from, "--results-dir", there)); id != reference {
			t.Errorf("pulled %q", id)
		}
		u.run("results", "verify", "--results-dir", there)
		sameFiles(t, filepath.Join(results, reference), filepath.Join(there, reference))
		if said := u.fails("results", "pull", from, "--results-dir", there); !strings.Contains(said, "already exists") {
			t.Errorf("pulled again: %s", said)
		}
	}
	_, manifest := r.ask(t, "GET", "/v2/team/podinfo/manifests/v1-split", "", nil)
	for _, want := range []string{`"artifactType":"application/vnd.splitbench.run.v1"`, `"io.splitbench.run.outcome":"pass"`, `"org.opencontainers.image.title":"report.html"`} {
		if !strings.Contains(manifest, want) {
			t.Errorf("the manifest lacks %s:\n%s", want, manifest)
		}
	}
}

// A push that breaks in the midst leaves no artefact, and the next one sends only what is missing.
func TestInterruptedPush(t *testing.T) {
	r := startRegistry(t)
	u := newUser(t)
	u.login(r)
	name := r.address + "/team/podinfo:v1-split"
	r.broken, r.after = 1, 4
	u.fails("results", "push", reference, name, "--results-dir", results)
	if status, said := r.ask(t, "GET", "/v2/team/podinfo/tags/list", "", nil); strings.Contains(said, "v1-split") {
		t.Errorf("half a run has a tag: %d %s", status, said)
	}
	r.broken, r.puts = 0, 0
	u.run("results", "push", reference, name, "--results-dir", results)
	all := startRegistry(t)
	u2 := newUser(t)
	u2.login(all)
	u2.run("results", "push", reference, all.address+"/team/podinfo:v1", "--results-dir", results)
	if all.puts < 10 || r.puts != all.puts-4 {
		t.Errorf("%d files were sent the second time, want %d less 4", r.puts, all.puts)
	}
	there := t.TempDir()
	u.run("results", "pull", name, "--results-dir", there)
	sameFiles(t, filepath.Join(results, reference), filepath.Join(there, reference))
}

// A run is found by the release that it belongs to.
func TestRunOfARelease(t *testing.T) {
	r := startRegistry(t)
	u := newUser(t)
	u.login(r)
	u.run("results", "push", reference, r.address+"/team/podinfo:first", "--results-dir", results) // brings the empty config
	const image = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.example",` +
		`"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},` +
		`"layers":[{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}]}`
	if status, said := r.ask(t, "PUT", "/v2/team/podinfo/manifests/v1", "application/vnd.oci.image.manifest.v1+json", []byte(image)); status != 201 {
		t.Fatalf("put an image: %d %s", status, said)
	}
	name := r.address + "/team/podinfo:v1-split"
	u.run("results", "push", reference, name, "--results-dir", results, "--subject", "v1")
	_, manifest := r.ask(t, "GET", "/v2/team/podinfo/manifests/v1-split", "", nil)
	if !strings.Contains(manifest, `"subject":{`) {
		t.Errorf("it has no subject:\n%s", manifest)
	}
	if said := u.fails("results", "push", reference, name, "--results-dir", results, "--subject", "v9"); !strings.Contains(said, `subject "v9"`) {
		t.Errorf("a release that is not there: %s", said)
	}
	if said := u.fails("results", "pull", r.address+"/team/podinfo:v1"); !strings.Contains(said, "is not a run of splitbench") {
		t.Errorf("an image is pulled: %s", said)
	}
}

var documented = regexp.MustCompile(`(?m)^\$ splitbench (results (?:push|pull) .*)$`)

// What docs/change-review.md says can be typed, can be.
func TestDocumentedCommands(t *testing.T) {
	r := startRegistry(t)
	u := newUser(t)
	u.login(r)
	page, err := os.ReadFile("../../docs/change-review.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := documented.FindAllStringSubmatch(string(page), -1)
	if len(lines) < 2 {
		t.Fatalf("%d commands", len(lines))
	}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	for _, line := range lines {
		line := strings.NewReplacer("localhost:5000", r.address, "elsewhere", elsewhere).Replace(line[1])
		cmd, _, stderr := u.command(strings.Fields(line)...)
		cmd.Env = append(cmd.Env, "SPLITBENCH_RESULTS_DIR="+results)
		if err := cmd.Run(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, stderr)
		}
	}
}
