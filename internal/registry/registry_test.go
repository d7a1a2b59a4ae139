package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/splitbench/splitbench/internal/store"
)

// artefact is what a registry of strangers holds under one tag: a manifest, and blobs by digest.
type artefact struct {
	manifest ocispec.Manifest
	blobs    map[digest.Digest][]byte
	raw      []byte // in place of the manifest
	kind     string // media type in place of the manifest's
}

// stored is a run as Push makes it of the reference run.
func stored(t *testing.T) *artefact {
	t.Helper()
	dir := "../../results"
	f, err := store.Open(dir, "20261122t115449z-test-podinfo-zlcd")
	if err != nil {
		t.Fatal(err)
	}
	names, err := f.Parts()
	if err != nil {
		t.Fatal(err)
	}
	a := &artefact{blobs: map[digest.Digest][]byte{}}
	a.manifest.MediaType, a.manifest.ArtifactType = ocispec.MediaTypeImageManifest, ArtifactType
	a.manifest.Annotations = map[string]string{RunID: f.ID}
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(f.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		a.add(name, b)
	}
	return a
}

func (a *artefact) add(name string, b []byte) {
	d := digest.FromBytes(b)
	a.blobs[d] = b
	a.manifest.Layers = append(a.manifest.Layers, ocispec.Descriptor{
		MediaType: FileType, Digest: d, Size: int64(len(b)), Annotations: map[string]string{ocispec.AnnotationTitle: name},
	})
}

// of is the layer of a file.
func (a *artefact) of(name string) *ocispec.Descriptor {
	for i, l := range a.manifest.Layers {
		if l.Annotations[ocispec.AnnotationTitle] == name {
			return &a.manifest.Layers[i]
		}
	}
	return nil
}

func (a *artefact) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw := a.raw
	if raw == nil {
		raw, _ = json.Marshal(a.manifest)
	}
	switch {
	case strings.Contains(r.URL.Path, "/manifests/"):
		kind := a.kind
		if kind == "" {
			kind = ocispec.MediaTypeImageManifest
		}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Docker-Content-Digest", digest.FromBytes(raw).String())
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(raw))
	case strings.Contains(r.URL.Path, "/blobs/"):
		b, ok := a.blobs[digest.Digest(filepath.Base(r.URL.Path))]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(b)
	}
}

func pull(t *testing.T, h http.Handler, dir string) (store.Folder, error) {
	t.Helper()
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	server := httptest.NewServer(h)
	defer server.Close()
	p, err := Open(strings.TrimPrefix(server.URL, "http://")+"/team/runs:v1", Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p.Pull(t.Context(), dir)
}

func TestPull(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results")
	f, err := pull(t, stored(t), dir)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := f.Verify(); err != nil || v.State != store.VerifiedComplete {
		t.Errorf("pulled: %s, %v", v, err)
	}
	if _, err := pull(t, stored(t), dir); !errors.Is(err, store.ErrExists) {
		t.Errorf("pulled again: %v", err)
	}
}

// Whatever a registry says, a run appears whole or not at all, and nothing is written elsewhere.
func TestPullRefuses(t *testing.T) {
	replace := func(a *artefact, name string, b []byte) {
		l := a.of(name)
		l.Digest, l.Size = digest.FromBytes(b), int64(len(b))
		a.blobs[l.Digest] = b
	}
	for name, c := range map[string]struct {
		plant func(*artefact)
		want  error
		say   string
	}{
		"an image":                        {func(a *artefact) { a.manifest.ArtifactType = "" }, ErrForeign, "its type is"},
		"an index":                        {func(a *artefact) { a.kind = ocispec.MediaTypeImageIndex }, ErrForeign, "media type"},
		"no JSON":                         {func(a *artefact) { a.raw = []byte("{") }, ErrForeign, "read its manifest"},
		"a manifest of 5 MiB":             {func(a *artefact) { a.raw = bytes.Repeat([]byte(" "), 5<<20) }, ErrForeign, "bytes"},
		"a layer of another type":         {func(a *artefact) { a.of("status").MediaType = ocispec.MediaTypeImageLayer }, ErrForeign, "a layer of type"},
		"no sums":                         {func(a *artefact) { a.of("SHA256SUMS").Annotations = nil }, ErrForeign, "has no SHA256SUMS"},
		"5,000 files":                     {func(a *artefact) { a.manifest.Layers = make([]ocispec.Descriptor, 5000) }, ErrForeign, "5000 files"},
		"an exabyte":                      {func(a *artefact) { a.of("status").Size = 1 << 60 }, ErrForeign, "larger than"},
		"a size below 0":                  {func(a *artefact) { a.of("status").Size = -1 }, ErrForeign, "larger than"},
		"no id":                           {func(a *artefact) { a.manifest.Annotations = nil }, store.ErrBadID, "run id"},
		"a path for an id":                {func(a *artefact) { a.manifest.Annotations[RunID] = "../20261122t115449z-x" }, store.ErrBadID, "run id"},
		"a path for a name":               {func(a *artefact) { a.add("../evil", []byte("x")) }, store.ErrOutside, "../evil"},
		"a hidden name":                   {func(a *artefact) { a.add(".pinned", nil) }, store.ErrOutside, ".pinned"},
		"a name twice":                    {func(a *artefact) { a.add("status", []byte("complete\n")) }, os.ErrExist, "status"},
		"a file that was changed":         {func(a *artefact) { replace(a, "verdict.json", []byte("{}")) }, store.ErrDamaged, "verdict.json was changed"},
		"a file that is missing":          {func(a *artefact) { a.of("report.md").Annotations[ocispec.AnnotationTitle] = "other" }, store.ErrDamaged, "report.md is missing"},
		"bytes of another digest":         {func(a *artefact) { a.blobs[a.of("report.md").Digest] = []byte("x") }, nil, "report.md"},
		"a blob that is longer than said": {func(a *artefact) { a.of("report.md").Size-- }, nil, "report.md"},
		"a blob that is not there":        {func(a *artefact) { delete(a.blobs, a.of("report.md").Digest) }, nil, "report.md"},
	} {
		t.Run(name, func(t *testing.T) {
			a := stored(t)
			c.plant(a)
			home := t.TempDir()
			_, err := pull(t, a, filepath.Join(home, "results"))
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.say) {
				t.Errorf("%v, want %v and %q", err, c.want, c.say)
			}
			if left, err := filepath.Glob(filepath.Join(home, "*", "*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %q, %v", left, err)
			}
			if left, err := filepath.Glob(filepath.Join(home, "*", ".*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %q, %v", left, err)
			}
		})
	}
}

// Without TLS only this machine's own registries are spoken to, unless somebody says so.
func TestPlainHTTP(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		name string
		flag *bool
		want bool
	}{
		{"localhost:5000/a/b:c", nil, true},
		{"127.0.0.1:5000/a/b:c", nil, true},
		{"127.9.9.9/a/b:c", nil, true},
		{"[::1]:5000/a/b:c", nil, true},
		{"ghcr.io/a/b:c", nil, false},
		{"localhost.evil.example/a/b:c", nil, false},
		{"10.0.0.1:5000/a/b:c", nil, false},
		{"10.0.0.1:5000/a/b:c", &yes, true},
		{"localhost:5000/a/b:c", &no, false},
	} {
		p, err := Open(c.name, Options{PlainHTTP: c.flag})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if p.repo.PlainHTTP != c.want {
			t.Errorf("%s: plain HTTP %v", c.name, p.repo.PlainHTTP)
		}
	}
	for _, name := range []string{"", "podinfo", "ghcr.io/a/b", "ghcr.io/A/b:c", "ghcr.io/a/../b:c", "http://ghcr.io/a:b"} {
		if _, err := Open(name, Options{}); err == nil || !strings.Contains(err.Error(), "want ") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// What a registry refuses is said with what to do.
func TestRefusalsSayWhatToDo(t *testing.T) {
	for status, want := range map[int]string{401: "docker login 127.0.0.1:", 403: "docker login 127.0.0.1:", 404: "no such artefact"} {
		_, err := pull(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"errors":[{"code":"X","message":"said so"}]}`)
		}), t.TempDir())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v", status, err)
		}
	}
}
