package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

// An S3 server is a process of its own, which this program becomes: its backend takes the working directory.
const serverDir = "SPLITBENCH_TEST_S3"

// Who may use the bucket, and who may not.
const (
	owner, ownerSecret       = "team", "secretsecret"
	stranger, strangerSecret = "stranger", "secretsecret"
)

func serveS3(dir string) error {
	iam, err := auth.NewInternal(auth.Account{Access: owner, Secret: ownerSecret, Role: auth.RoleAdmin}, filepath.Join(dir, "iam"))
	if err != nil {
		return err
	}
	if err := iam.CreateAccount(auth.Account{Access: stranger, Secret: strangerSecret, Role: auth.RoleUser}); err != nil {
		return err
	}
	attributes, err := meta.NewSideCar(filepath.Join(dir, "meta"))
	if err != nil {
		return err
	}
	files, err := posix.New(filepath.Join(dir, "buckets"), attributes, posix.PosixOpts{SideCarDir: filepath.Join(dir, "meta")})
	if err != nil {
		return err
	}
	return embedgw.RunVersityGW(context.Background(), files, &embedgw.Config{
		RootUserAccess: owner, RootUserSecret: ownerSecret, IAMService: iam, Ports: []string{filepath.Join(dir, "s3.sock")},
		MaxConnections: 1000, MaxRequests: 1000, MultipartMaxParts: 10000, Quiet: true, KeepAlive: true,
	})
}

// bucket is a bucket of a real S3 server. Its front counts requests, and stops before one of them where it is told to.
type bucket struct {
	url   string // for --results-dir
	dir   string // what the server keeps of it
	mu    sync.Mutex
	puts  int
	left  int    // requests until kill is called; 0: never
	after bool   // when the server has done what the last one asks for, but has not answered
	kill  func() // returns when no more requests will come
}

// startS3 starts versitygw's S3 server with an empty bucket.
func startS3(t *testing.T) *bucket {
	t.Helper()
	dir, err := os.MkdirTemp("", "s3-") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	b := &bucket{dir: filepath.Join(dir, "buckets", "runs")}
	for _, d := range []string{"iam", "meta", "buckets/runs"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	server := exec.Command(os.Args[0])
	server.Env = append(os.Environ(), serverDir+"="+dir)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(server.Process.Kill(), server.Wait()) })
	socket := filepath.Join(dir, "s3.sock")
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "s3"}); r.Out.Host = r.In.Host },
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			for { // until the server listens, or the test ends
				conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
				if err == nil || ctx.Err() != nil || t.Context().Err() != nil {
					return conn, err
				}
			}
		}},
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		if r.Method == http.MethodPut {
			b.puts++
		}
		if b.left--; b.left == 0 {
			if b.after {
				proxy.ServeHTTP(httptest.NewRecorder(), r)
			}
			b.kill()
			b.mu.Unlock()
			panic(http.ErrAbortHandler)
		}
		b.mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	b.url = "s3://runs/splits?region=us-east-1&use_path_style=true&endpoint=" + url.QueryEscape(front.URL)
	return b
}

// newTeam is a user with the credentials of the bucket's owner, on a machine of his own.
func newTeam(t *testing.T, b *bucket) *user {
	t.Helper()
	return newUser(t, "AWS_ACCESS_KEY_ID="+owner, "AWS_SECRET_ACCESS_KEY="+ownerSecret, "SPLITBENCH_RESULTS_DIR="+b.url)
}

func lines(s string) int { return strings.Count(s, "\n") }

// A run that was measured on one machine is listed, compared, verified and shown on another.
func TestRunsInABucket(t *testing.T) {
	b := startS3(t)
	here := newTeam(t, b)
	demo, _, _ := here.command("demo", "--requests", "300", "--rate", "1000")
	_ = demo.Run() // whatever its outcome: it is stored
	here.run("results", "import", filepath.Join(results, reference))
	there := newTeam(t, b)
	list := strings.Fields(there.run("results", "list", "-o", "name"))
	if len(list) != 2 || list[1] != reference {
		t.Fatalf("listed there: %q", list)
	}
	there.run("results", "verify")
	there.run("results", "show", "latest")
	there.run("results", "compare", reference, "latest", "--fail-on", "invalid")
	there.run("results", "pin", reference)
	there.served(t, list[0])
	if pruned := here.run("results", "prune", "--keep", "0"); strings.TrimSpace(pruned) != list[0] {
		t.Errorf("pruned %q, want the one that nobody pinned elsewhere", pruned)
	}
	if left := there.run("results", "list", "-o", "name"); strings.TrimSpace(left) != reference {
		t.Errorf("left are %q", left)
	}
	if _, err := os.Stat(filepath.Join(b.dir, "splits", list[0])); !os.IsNotExist(err) {
		t.Errorf("the pruned run left something: %v", err)
	}
}

// served asks `serve` for a page of a run.
func (u *user) served(t *testing.T, run string) {
	t.Helper()
	cmd, _, stderr := u.command("serve", "--listen", "127.0.0.1:0")
	cmd.Stdout = nil
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(cmd.Process.Kill(), cmd.Wait()) }()
	var address string
	if _, err := fmt.Fscanln(out, &address); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	res, err := http.Get(address + "runs.json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var body strings.Builder
	if err := res.Write(&body); err != nil || !strings.Contains(body.String(), run) {
		t.Errorf("%v: the page lacks %s:\n%s", err, run, body.String())
	}
}

// An upload that is killed at any of its requests leaves nothing that is listed, or a whole run, and the next command
// goes on where it was.
func TestKilledUploads(t *testing.T) {
	b := startS3(t)
	moments, resumed := 0, 0
	for moment := 2; ; moment++ { // before and after each request
		folder := fmt.Sprintf("moment-%d", moment)
		at := strings.Replace(b.url, "splits", folder, 1)
		writer, reader := newTeam(t, b), newTeam(t, b)
		cmd, _, stderr := writer.command("results", "import", filepath.Join(results, reference), "--results-dir", at)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		b.mu.Lock()
		b.left, b.after, b.puts, b.kill = moment/2, moment%2 == 1, 0, func() { _ = cmd.Process.Kill(); moments++ }
		b.mu.Unlock()
		err := cmd.Wait()
		b.mu.Lock()
		b.left = 0
		first := b.puts
		b.puts = 0
		b.mu.Unlock()
		if err == nil {
			break // it ended before this moment
		}
		half := reader.run("results", "list", "-o", "name", "--results-dir", at)
		if half != "" && half != reference+"\n" {
			t.Fatalf("moment %d: listed %q", moment, half)
		}
		if moment/2 == 1 { // before there was a run
			writer.run("results", "import", filepath.Join(results, reference), "--results-dir", at)
		} else {
			writer.run("results", "list", "--results-dir", at)
		}
		again := b.puts
		if again < first {
			resumed++
		}
		if got := reader.run("results", "list", "-o", "name", "--results-dir", at); got != reference+"\n" {
			t.Fatalf("moment %d: after it was resumed: %q\n%s", moment, got, stderr)
		}
	}
	t.Logf("killed at %d moments; fewer files were sent again at %d of them", moments, resumed)
	if moments < 20 || resumed == 0 {
		t.Errorf("killed at %d moments, resumed at %d", moments, resumed)
	}
}

// Who may not use a bucket is told so in one sentence, before anything is measured, and leaves nothing behind.
func TestRefusedBuckets(t *testing.T) {
	b := startS3(t)
	for what, c := range map[string]struct{ key, secret, url, say string }{
		"a stranger":       {stranger, strangerSecret, b.url, "the bucket does not let you"},
		"a wrong secret":   {owner, "wrong", b.url, "the bucket does not let you"},
		"no such bucket":   {owner, ownerSecret, strings.Replace(b.url, "//runs", "//none", 1), "there is no such bucket"},
		"keys in the name": {owner, ownerSecret, "s3://key:secret@runs", "it has credentials in it"},
	} {
		u := newUser(t, "AWS_ACCESS_KEY_ID="+c.key, "AWS_SECRET_ACCESS_KEY="+c.secret, "SPLITBENCH_RESULTS_DIR="+c.url)
		for _, args := range [][]string{{"results", "list"}, {"results", "import", filepath.Join(results, reference)}} {
			if said := u.fails(args...); !strings.Contains(said, c.say) || lines(said) != 1 {
				t.Errorf("%s: %s: %q, want one line with %q", what, args, said, c.say)
			}
		}
	}
	if entries, err := os.ReadDir(b.dir); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// What is foreign in a bucket is passed over; what says it is a run and is none is named, and the others are listed.
func TestForeignObjects(t *testing.T) {
	b := startS3(t)
	u := newTeam(t, b)
	u.run("results", "import", filepath.Join(results, reference))
	for name, text := range map[string]string{
		"splits/README": "hello", "splits/20260101t000000z-evil/SHA256SUMS": "hello", "splits/photos/SHA256SUMS": "x",
	} {
		path := filepath.Join(b.dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	cmd, stdout, stderr := newTeam(t, b).command("results", "list", "-o", "name")
	err := cmd.Run()
	if stdout.String() != reference+"\n" || cmd.ProcessState.ExitCode() != 4 || lines(stderr.String()) != 1 ||
		!strings.Contains(stderr.String(), "20260101t000000z-evil") {
		t.Errorf("%v: %q, %q", err, stdout, stderr)
	}
}
