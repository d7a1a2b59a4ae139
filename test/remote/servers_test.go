package remote

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
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
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/fsouza/fake-gcs-server/fakestorage"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob"
	_ "gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/gcsblob"
	_ "gocloud.dev/blob/s3blob"
	"gocloud.dev/gcp"
)

// An S3 server is a process of its own, which this program becomes: its backend takes the working directory.
const (
	serverDir  = "SPLITBENCH_TEST_S3"
	socketName = "s3.sock"
)

// Who may use the bucket, and who may not. Azure's keys are base64.
const (
	owner, ownerSecret       = "team", "secretsecret"
	stranger, strangerSecret = "stranger", "secretsecret"
)

// bucket is an empty bucket of a real server, or a folder.
type bucket struct {
	url string   // for --results-dir, with a folder "splits"
	env []string // the owner's
	*front
	refused map[string]refusal
	open    func(context.Context) (*blob.Bucket, error)
}

// refusal is a name of a bucket, credentials that do not do for it, and what must be said.
type refusal struct {
	url string
	env []string
	say string
}

// each tries the buckets that there are.
func each(t *testing.T, test func(*testing.T, *bucket)) {
	for kind, start := range map[string]func(*testing.T) *bucket{
		"s3": startS3, "gs": startGoogle, "azblob": startAzure, "file": startFolder,
	} {
		t.Run(kind, func(t *testing.T) { test(t, start(t)) })
	}
}

// folder is the bucket's URL with another folder in place of splits.
func (b *bucket) folder(name string) string { return strings.Replace(b.url, "splits", name, 1) }

// put plants an object; its key begins with the folder.
func (b *bucket) put(t *testing.T, key, text string) {
	t.Helper()
	all, err := b.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(all.WriteAll(t.Context(), key, []byte(text), nil), all.Close()); err != nil {
		t.Fatal(err)
	}
}

// keys are what lies below a prefix, without it, and when it was written.
func (b *bucket) keys(t *testing.T, prefix string) map[string]time.Time {
	t.Helper()
	all, err := b.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	keys := map[string]time.Time{}
	for o := all.List(&blob.ListOptions{Prefix: prefix}); ; {
		next, err := o.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return keys
		}
		if err != nil {
			t.Fatal(err)
		}
		keys[strings.TrimPrefix(next.Key, prefix)] = next.ModTime
	}
}

// front stands before a server. It counts what is written, stops at one of the requests where it is told to, and lets
// two claims of a run go on at the same moment.
type front struct {
	*httptest.Server
	mu    sync.Mutex
	puts  int
	left  int    // requests until kill is called; 0: never
	after bool   // when the server has done what the last one asks for, but has not answered
	kill  func() // returns when no more requests will come
	meet  chan struct{}
	met   atomic.Int32 // pairs
	deaf  bool         // to the condition that there is no such object yet, as older services are
}

func newFront(t *testing.T, server func() http.Handler) *front {
	t.Helper()
	f := &front{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		write := r.Method == http.MethodPut || r.Method == http.MethodPost
		f.mu.Lock()
		if write {
			f.puts++
		}
		if f.left--; f.left == 0 {
			if f.after {
				server().ServeHTTP(httptest.NewRecorder(), r)
			}
			f.kill()
			f.mu.Unlock()
			panic(http.ErrAbortHandler)
		}
		f.mu.Unlock()
		if f.deaf {
			q := r.URL.Query()
			q.Del("ifGenerationMatch")
			r.URL.RawQuery = q.Encode()
		}
		if f.meet != nil && write {
			body := bufio.NewReader(r.Body)
			r.Body = io.NopCloser(body)
			head, _ := body.Peek(512) // Google's client says there what it writes
			if strings.HasSuffix(r.URL.Path, ".claim") || bytes.Contains(head, []byte(`/.claim"`)) {
				select {
				case f.meet <- struct{}{}:
					f.met.Add(1)
				case <-f.meet:
				case <-r.Context().Done():
				}
			}
		}
		server().ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// killed runs a command and reports whether it was killed at a moment, of which there are two for each request:
// before it and after it. files are the requests to write.
func (f *front) killed(t *testing.T, cmd *exec.Cmd, moment int) (killed bool, files int) {
	t.Helper()
	f.mu.Lock()
	f.left, f.after, f.puts = 1+moment/2, moment%2 == 1, 0
	f.kill = func() { killed = true; _ = cmd.Process.Kill() }
	f.mu.Unlock()
	err := cmd.Run()
	f.mu.Lock()
	defer f.mu.Unlock()
	files, f.left, f.puts = f.puts, 0, 0
	if err != nil && !killed {
		t.Fatalf("%v\n%s", err, cmd.Stderr)
	}
	return killed, files
}

// startS3 starts versitygw's S3 server, which is used in earnest.
func startS3(t *testing.T) *bucket {
	t.Helper()
	dir, err := os.MkdirTemp("", "s3-") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
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
	socket := filepath.Join(dir, socketName)
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
	f := newFront(t, func() http.Handler { return proxy })
	name := "s3://runs/splits?region=us-east-1&use_path_style=true&endpoint=" + url.QueryEscape(f.URL)
	keys := func(id, secret string) []string {
		return []string{"AWS_ACCESS_KEY_ID=" + id, "AWS_SECRET_ACCESS_KEY=" + secret}
	}
	none := strings.Replace(name, "//runs", "//none", 1)
	return &bucket{
		url: name, env: keys(owner, ownerSecret), front: f,
		refused: map[string]refusal{
			"a stranger":       {name, keys(stranger, strangerSecret), "the bucket does not let you"},
			"a wrong secret":   {name, keys(owner, "wrong"), "the bucket does not let you"},
			"no such bucket":   {none, keys(owner, ownerSecret), "there is no such bucket"},
			"keys in the name": {"s3://key:secret@runs", nil, "it has credentials in it"},
		},
		open: func(ctx context.Context) (*blob.Bucket, error) {
			t.Setenv("AWS_ACCESS_KEY_ID", owner)
			t.Setenv("AWS_SECRET_ACCESS_KEY", ownerSecret)
			const quiet = "&response_checksum_validation=when_required"
			return blob.OpenBucket(ctx, strings.Replace(name, "/splits", "", 1)+quiet)
		},
	}
}

func serveS3(dir string) error {
	root := auth.Account{Access: owner, Secret: ownerSecret, Role: auth.RoleAdmin}
	iam, err := auth.NewInternal(root, filepath.Join(dir, "iam"))
	if err != nil {
		return err
	}
	if err := iam.CreateAccount(auth.Account{Access: stranger, Secret: strangerSecret, Role: auth.RoleUser}); err != nil {
		return err
	}
	aside := filepath.Join(dir, "meta")
	attributes, err := meta.NewSideCar(aside)
	if err != nil {
		return err
	}
	files, err := posix.New(filepath.Join(dir, "buckets"), attributes, posix.PosixOpts{SideCarDir: aside})
	if err != nil {
		return err
	}
	return embedgw.RunVersityGW(context.Background(), files, &embedgw.Config{
		RootUserAccess: owner, RootUserSecret: ownerSecret, IAMService: iam, Ports: []string{filepath.Join(dir, socketName)},
		MaxConnections: 1000, MaxRequests: 1000, MultipartMaxParts: 10000, Quiet: true, KeepAlive: true,
	})
}

// startGoogle starts fake-gcs-server, which keeps objects in memory and puts what must not be there yet under one lock,
// as Google does. It asks nobody who he is, and makes a bucket that it lacks.
func startGoogle(t *testing.T) *bucket {
	t.Helper()
	var fake *fakestorage.Server
	f := newFront(t, func() http.Handler { return fake.HTTPHandler() })
	address := f.Listener.Addr().String()
	var err error
	fake, err = fakestorage.NewServerWithOptions(fakestorage.Options{NoListener: true, PublicHost: address})
	if err != nil {
		t.Fatal(err)
	}
	fake.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "runs"})
	return &bucket{
		url: "gs://runs/splits", env: []string{"STORAGE_EMULATOR_HOST=" + address}, front: f,
		refused: map[string]refusal{
			"no credentials": {"gs://runs", []string{"GOOGLE_APPLICATION_CREDENTIALS=/nowhere"}, "the bucket does not let you"},
		},
		open: func(ctx context.Context) (*blob.Bucket, error) {
			t.Setenv("STORAGE_EMULATOR_HOST", address)
			return gcsblob.OpenBucket(ctx, gcp.NewAnonymousHTTPClient(gcp.DefaultTransport()), "runs", nil)
		},
	}
}

// startAzure starts Azurite, Microsoft's own emulator, with its objects in memory.
func startAzure(t *testing.T) *bucket {
	t.Helper()
	program := os.Getenv("SPLITBENCH_TEST_AZURITE")
	if program == "" {
		t.Skip("SPLITBENCH_TEST_AZURITE is not set: no Azurite to test with; make azure-test fetches it, for node")
	}
	key := base64.StdEncoding.EncodeToString([]byte(ownerSecret))
	keys := func(key string) []string {
		return []string{"AZURE_STORAGE_ACCOUNT=" + owner, "AZURE_STORAGE_KEY=" + key}
	}
	server := exec.Command("node", program, "--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence",
		"--skipApiVersionCheck", "--disableTelemetry", "--silent")
	server.Dir, server.Env = t.TempDir(), append(os.Environ(), "AZURITE_ACCOUNTS="+owner+":"+key)
	said, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(server.Process.Kill(), server.Wait()) })
	var address *url.URL
	for lines := bufio.NewScanner(said); address == nil && lines.Scan(); {
		if _, at, ok := strings.Cut(lines.Text(), "listens on "); ok {
			if address, err = url.Parse(at); err != nil {
				t.Fatal(err)
			}
		}
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(address); r.Out.Host = r.In.Host }}
	f := newFront(t, func() http.Handler { return proxy })
	name := fmt.Sprintf("azblob://runs/splits?storage_account=%s&localemu=true&protocol=http&domain=%s",
		owner, f.Listener.Addr())
	b := &bucket{
		url: name, env: keys(key), front: f,
		refused: map[string]refusal{
			"a wrong key":    {name, keys("d3Jvbmc="), "the bucket does not let you"},
			"no such bucket": {strings.Replace(name, "//runs", "//none", 1), keys(key), "there is no such bucket"},
		},
		open: func(ctx context.Context) (*blob.Bucket, error) {
			t.Setenv("AZURE_STORAGE_ACCOUNT", owner)
			t.Setenv("AZURE_STORAGE_KEY", key)
			return blob.OpenBucket(ctx, strings.Replace(name, "/splits", "", 1))
		},
	}
	all, err := b.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	var client *container.Client
	if all.As(&client); client == nil {
		t.Fatal("no client")
	}
	if _, err := client.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return b
}

// startFolder makes a folder that machines share.
func startFolder(t *testing.T) *bucket {
	t.Helper()
	dir, file := t.TempDir(), os.Args[0]
	return &bucket{url: "file://" + dir + "/splits", refused: map[string]refusal{
		"not a folder": {"file://" + file, nil, "is not a directory"},
	}, open: func(ctx context.Context) (*blob.Bucket, error) {
		return blob.OpenBucket(ctx, "file://"+dir+"?no_tmp_dir=1&metadata=skip")
	}}
}
