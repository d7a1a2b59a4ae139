// Package registry hands runs on through OCI registries, so that a run can travel with the release it belongs to. A
// file of the run is a layer that has its name, and SHA256SUMS among them says that all are there: any OCI client
// brings a folder that `sha256sum -c` takes.
//
// It refuses to keep credentials, which are those of docker's configuration and its helpers, and to overwrite a run.
//
// Invariant: what is pulled appears in the folder of runs whole and as its writer wrote it, or not at all.
package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/errcode"
	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/splitbench/splitbench/internal/store"
)

// What an artefact of ours says of itself.
const (
	ArtifactType = "application/vnd.splitbench.run.v1"
	FileType     = "application/vnd.splitbench.run.file.v1"
	RunID        = "io.splitbench.run.id" // annotation: the name of the run's folder
)

// Facts are the annotations that say what was found, for lists of artefacts; what is not known is left out.
func Facts(kind, outcome, subject string) map[string]string {
	facts := map[string]string{}
	for key, value := range map[string]string{"kind": kind, "outcome": outcome, "subject": subject} {
		if value != "" {
			facts["io.splitbench.run."+key] = value
		}
	}
	return facts
}

// ErrForeign is an artefact that is no run.
var ErrForeign = errors.New("is not a run of splitbench")

// maxManifest bounds what is read before a run is.
const maxManifest = 4 << 20

// Place is a name in a registry.
type Place struct {
	name string
	repo *remote.Repository
}

// Options say how a registry is spoken to.
type Options struct {
	// PlainHTTP asks for HTTP without TLS; nil: of a registry on this machine's loopback only.
	PlainHTTP *bool
	UserAgent string
}

// Open reads a name such as ghcr.io/team/runs:v1.2.3, or with a digest. Nothing is asked yet.
func Open(name string, o Options) (*Place, error) {
	repo, err := remote.NewRepository(strings.TrimPrefix(name, "oci://"))
	if err != nil {
		return nil, fmt.Errorf("artefact %q: %w: want REGISTRY/REPOSITORY:TAG", name, err)
	}
	if repo.Reference.Reference == "" {
		return nil, fmt.Errorf("artefact %q: it has no tag: want %s:TAG", name, name)
	}
	if repo.PlainHTTP = isLoopback(repo.Reference.Registry); o.PlainHTTP != nil {
		repo.PlainHTTP = *o.PlainHTTP
	}
	known, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return nil, fmt.Errorf("artefact %q: read docker's credentials: %w", name, err)
	}
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, errors.New("the default transport is not net/http's")
	}
	transport = transport.Clone()
	transport.ResponseHeaderTimeout = time.Minute
	client := &auth.Client{
		Client: &http.Client{Transport: retry.NewTransport(transport)}, Cache: auth.NewCache(),
		Credential: credentials.Credential(known),
	}
	if isLoopback(repo.Reference.Registry) { // its tokens may well come from there too
		client.BlockedRealmPrefixes = []netip.Prefix{}
	}
	client.SetUserAgent(o.UserAgent)
	repo.Client = client
	return &Place{name: repo.Reference.String(), repo: repo}, nil
}

func isLoopback(registry string) bool {
	host := registry
	if h, _, err := net.SplitHostPort(registry); err == nil {
		host = h
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// Push puts a run that has ended and is whole into the registry, and returns the artefact's name by digest. The same
// run is the same digest each time. facts are annotations. subject, where it is not empty, is the tag or digest of an
// image of the same repository that the run belongs to: it is then among that image's referrers. What an earlier Push
// brought is not sent again; the tag is set last.
func (p *Place) Push(ctx context.Context, f store.Folder, facts map[string]string, subject string) (string, error) {
	name, err := p.push(ctx, f, facts, subject)
	if err != nil {
		return "", fmt.Errorf("push run %s to %s: %w", f.ID, p.name, p.explain(err))
	}
	return name, nil
}

func (p *Place) push(ctx context.Context, f store.Folder, facts map[string]string, subject string) (string, error) {
	if err := f.Whole(); err != nil {
		return "", err
	}
	names, err := f.Parts()
	if err != nil {
		return "", err
	}
	o := oras.PackManifestOptions{ManifestAnnotations: map[string]string{}}
	maps.Copy(o.ManifestAnnotations, facts)
	began, _ := f.Started()
	o.ManifestAnnotations[RunID], o.ManifestAnnotations[ocispec.AnnotationCreated] = f.ID, began.Format(time.RFC3339)
	if subject != "" {
		desc, err := p.repo.Resolve(ctx, subject)
		if err != nil {
			return "", fmt.Errorf("subject %q: %w", subject, err)
		}
		o.Subject = &desc
	}
	for _, name := range names {
		layer, err := p.pushFile(ctx, f, name)
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		o.Layers = append(o.Layers, layer)
	}
	desc, err := oras.PackManifest(ctx, p.repo, oras.PackManifestVersion1_1, ArtifactType, o)
	if err != nil {
		return "", err
	}
	if tag := p.repo.Reference; tag.ValidateReferenceAsDigest() != nil {
		if err := p.repo.Tag(ctx, desc, tag.Reference); err != nil {
			return "", err
		}
	}
	return p.repo.Reference.Registry + "/" + p.repo.Reference.Repository + "@" + desc.Digest.String(), nil
}

func (p *Place) pushFile(ctx context.Context, f store.Folder, name string) (ocispec.Descriptor, error) {
	file, err := f.OpenPart(name)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer file.Close()
	desc := ocispec.Descriptor{MediaType: FileType, Annotations: map[string]string{ocispec.AnnotationTitle: name}}
	if desc.Digest, err = digest.FromReader(file); err != nil {
		return desc, err
	}
	if desc.Size, err = file.Seek(0, io.SeekCurrent); err != nil {
		return desc, err
	}
	if _, err = file.Seek(0, io.SeekStart); err != nil {
		return desc, err
	}
	there, err := p.repo.Exists(ctx, desc)
	if err == nil && !there {
		err = p.repo.Push(ctx, desc, io.NopCloser(file)) // the deferred Close is the one
	}
	return desc, err
}

// Pull brings a run into dir. Errors are ErrForeign, those of store.Receive and Reveal, and the registry's; after each
// of them dir is as it was.
func (p *Place) Pull(ctx context.Context, dir string) (store.Folder, error) {
	f, err := p.pull(ctx, dir)
	if err != nil {
		return store.Folder{}, fmt.Errorf("pull %s: %w", p.name, p.explain(err))
	}
	return f, nil
}

func (p *Place) pull(ctx context.Context, dir string) (store.Folder, error) {
	id, layers, err := p.manifest(ctx)
	if err != nil {
		return store.Folder{}, err
	}
	in, err := store.Receive(dir, id)
	if err != nil {
		return store.Folder{}, err
	}
	for _, layer := range layers {
		if err := p.pullFile(ctx, in, layer); err != nil {
			return store.Folder{}, errors.Join(err, in.Drop())
		}
	}
	return in.Reveal()
}

// manifest reads what the artefact consists of, and refuses what no run consists of before anything is fetched.
func (p *Place) manifest(ctx context.Context) (id string, layers []ocispec.Descriptor, err error) {
	desc, err := p.repo.Resolve(ctx, p.repo.Reference.Reference)
	if err != nil {
		return "", nil, err
	}
	foreign := func(format string, args ...any) (string, []ocispec.Descriptor, error) {
		return "", nil, fmt.Errorf("%w: "+format, append([]any{ErrForeign}, args...)...)
	}
	if desc.MediaType != ocispec.MediaTypeImageManifest {
		return foreign("its media type is %.100q", desc.MediaType)
	}
	if desc.Size > maxManifest {
		return foreign("its manifest has %d bytes, and no run's has more than %d", desc.Size, maxManifest)
	}
	raw, err := content.FetchAll(ctx, p.repo, desc)
	if err != nil {
		return "", nil, err
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return foreign("read its manifest: %v", err)
	}
	if m.ArtifactType != ArtifactType {
		return foreign("its type is %.100q, want %s", m.ArtifactType, ArtifactType)
	}
	if len(m.Layers) > store.MaxFiles {
		return foreign("it has %d files, and no run has more than %d", len(m.Layers), store.MaxFiles)
	}
	left := int64(store.MaxBytes)
	for _, l := range m.Layers {
		if l.MediaType != FileType {
			return foreign("a layer of type %.100q", l.MediaType)
		}
		if l.Size < 0 || l.Size > left {
			return foreign("its files are larger than %d bytes together", int64(store.MaxBytes))
		}
		left -= l.Size
	}
	// As they were pushed: where the last is missing, nothing says that the run is whole.
	if !slices.ContainsFunc(m.Layers, func(l ocispec.Descriptor) bool {
		return l.Annotations[ocispec.AnnotationTitle] == store.SumsFile
	}) {
		return foreign("it has no %s", store.SumsFile)
	}
	return m.Annotations[RunID], m.Layers, nil
}

func (p *Place) pullFile(ctx context.Context, in *store.Incoming, layer ocispec.Descriptor) error {
	name := layer.Annotations[ocispec.AnnotationTitle]
	body, err := p.repo.Fetch(ctx, layer)
	if err != nil {
		return fmt.Errorf("%.100q: %w", name, err)
	}
	defer body.Close()
	verified := content.NewVerifyReader(body, layer)
	if err := in.Add(name, verified); err != nil {
		return err
	}
	if err := verified.Verify(); err != nil {
		return fmt.Errorf("%.100q: %w", name, err)
	}
	return nil
}

// explain says what to do about what a registry said.
func (p *Place) explain(err error) error {
	var said *errcode.ErrorResponse
	host := p.repo.Reference.Registry
	switch {
	case errors.As(err, &said) && said.StatusCode == http.StatusUnauthorized,
		errors.As(err, &said) && said.StatusCode == http.StatusForbidden,
		errors.Is(err, auth.ErrBasicCredentialNotFound):
		return fmt.Errorf("%w: the registry does not let you: docker login %s, as somebody who may", err, host)
	case errors.Is(err, errdef.ErrNotFound):
		return fmt.Errorf("%w: there is no such artefact", err)
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("%w: it speaks no TLS; --plain-http if you accept that", err)
	}
	return err
}
