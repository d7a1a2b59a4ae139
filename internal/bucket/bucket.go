// Package bucket keeps runs in a bucket of S3, Google Cloud Storage or Azure, or in a folder that several machines
// share. A folder on this machine stands in for the bucket: runs are written there first and uploaded when they have
// ended, and what is read of the bucket is brought there first.
//
// It refuses credentials in a URL, as the environment's own chains have them, and believes nothing that a bucket says:
// what comes from there is held to the store's rules and to the run's own sums.
//
// Invariant: a run is in the bucket from when its SHA256SUMS is there, which is put last and deleted first. Its .claim,
// which only the first writer of an id can put, is the sum of that file: two writers never mix.
package bucket

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // azblob://
	_ "gocloud.dev/blob/fileblob"  // file://
	"gocloud.dev/blob/gcsblob"
	_ "gocloud.dev/blob/s3blob" // s3://
	"gocloud.dev/gcerrors"
	"gocloud.dev/gcp"

	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Names of objects beside the files of a run; none of them can be a file's.
const (
	claimObject  = ".claim"
	pinObject    = ".pinned"
	formatObject = ".splitbench" // of the bucket
)

const format = "runs of splitbench, format 1\n"

// ErrRefused is a bucket that does not let its user do what is needed.
var ErrRefused = errors.New("the bucket does not let you")

// Named reports whether --results-dir names a bucket.
func Named(s string) bool { return strings.Contains(s, "://") }

// schemes are the buckets that there are, and what a URL may say of them beside their name. What names credentials is
// not among it.
func schemes() map[string][]string {
	return map[string][]string{
		"s3": {
			"accelerate", "anonymous", "disable_https", "dualstack", "endpoint", "fips", "hostname_immutable", "kmskeyid",
			"profile", "rate_limiter_capacity", "region", "request_checksum_calculation", "response_checksum_validation",
			"s3ForcePathStyle", "ssetype", "use_path_style",
		},
		"gs":     {"anonymous"},
		"azblob": {"cdn", "domain", "localemu", "protocol", "storage_account"},
		"file":   {},
	}
}

// parse reads a bucket's name.
func parse(name string) (*url.URL, error) {
	u, err := url.Parse(name)
	if err != nil {
		return nil, errors.New("it is no URL: want s3://BUCKET/FOLDER, gs://, azblob:// or file:///FOLDER")
	}
	allowed, known := schemes()[u.Scheme]
	switch isFile := u.Scheme == "file"; {
	case !known:
		return nil, fmt.Errorf("%q is no bucket: want s3://, gs://, azblob:// or file://, or a folder", u.Scheme+"://")
	case u.User != nil:
		return nil, errors.New("it has credentials in it: leave them to the environment, where the service's tools look")
	case isFile && (u.Host != "" && u.Host != "localhost" || strings.Trim(u.Path, "/") == ""):
		return nil, errors.New("want the path of a folder after three slashes: file:///srv/runs")
	case !isFile && u.Host == "":
		return nil, fmt.Errorf("it names no bucket: want %s://BUCKET", u.Scheme)
	}
	for key := range u.Query() {
		if !slices.Contains(allowed, key) {
			return nil, fmt.Errorf("setting %q: want %s; credentials come from the environment", key,
				cmp.Or(strings.Join(allowed, ", "), "none"))
		}
	}
	return u, nil
}

// Folder is the folder on this machine that stands in for a bucket. Nothing is asked and nothing is made.
func Folder(name string) (string, error) {
	if _, err := parse(name); err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("%w: set XDG_CACHE_HOME to a folder that can be written: runs are written there first", err)
	}
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(cache, "splitbench", "buckets", hex.EncodeToString(sum[:8])), nil
}

// Bucket is a bucket and the folder that stands in for it.
type Bucket struct {
	Dir string

	name  string // for people
	root  string // of file://
	blobs *blob.Bucket
}

const validation = "response_checksum_validation" // of what is read from S3

// Open opens a bucket by its URL; the caller closes it.
func Open(ctx context.Context, name string) (*Bucket, error) {
	u, err := parse(name)
	if err != nil {
		return nil, fmt.Errorf("--results-dir %q: %w", untrusted.Masked(name), err)
	}
	short, _, _ := strings.Cut(name, "?")
	b := &Bucket{name: short}
	if b.Dir, err = Folder(name); err != nil {
		return nil, b.failed("open", err)
	}
	if err := os.MkdirAll(b.Dir, 0o700); err != nil {
		return nil, b.failed("open", fmt.Errorf("%w: set XDG_CACHE_HOME to a folder that can be written", err))
	}
	q := u.Query()
	if u.Scheme == "file" {
		b.root = filepath.FromSlash(u.Path)
		q = url.Values{"create_dir": {"1"}, "no_tmp_dir": {"1"}, "metadata": {"skip"}}
	} else if u.Scheme == "s3" && !q.Has(validation) {
		q.Set(validation, "when_required") // or the library writes to stderr; sums are looked at in any case
	}
	if folder := strings.Trim(u.Path, "/"); u.Scheme != "file" && folder != "" {
		q.Set("prefix", folder+"/")
		u.Path = ""
	}
	u.RawQuery = q.Encode()
	drivers := blob.DefaultURLMux()
	if u.Scheme == gcsblob.Scheme {
		if drivers, err = google(ctx, q.Get("anonymous")); err != nil {
			return nil, refused(b.said("open", err))
		}
	}
	if b.blobs, err = drivers.OpenBucket(ctx, u.String()); err != nil {
		return nil, b.failed("open", err)
	}
	return b, nil
}

// google is the driver of gs://, if there are credentials for it. By itself it looks for them even where none are
// wanted, says on stdout, which is the result's, that there are none, and goes on with a key that is no key.
func google(ctx context.Context, anonymous string) (*blob.URLMux, error) {
	if none, _ := strconv.ParseBool(anonymous); none {
		drivers := new(blob.URLMux)
		drivers.RegisterBucket(gcsblob.Scheme, new(gcsblob.URLOpener))
		return drivers, nil
	}
	if os.Getenv("STORAGE_EMULATOR_HOST") == "" {
		found, err := gcp.DefaultCredentials(ctx)
		if err == nil {
			_, err = found.GetUniverseDomain()
		}
		if err != nil {
			return nil, err
		}
	}
	return blob.DefaultURLMux(), nil
}

// Name is the bucket's URL without its settings.
func (b *Bucket) Name() string { return b.name }

// Close lets go of the bucket.
func (b *Bucket) Close() error { return b.blobs.Close() }

// refusal is of services whose drivers do not tell that they refuse.
var refusal = regexp.MustCompile(`\b40[13]\b`)

// failed says in one line what a service said, and what to do.
func (b *Bucket) failed(op string, err error) error {
	said := b.said(op, err)
	switch code := gcerrors.Code(err); {
	case code == gcerrors.PermissionDenied, errors.Is(err, fs.ErrPermission), refusal.MatchString(err.Error()):
		return refused(said)
	case code == gcerrors.NotFound:
		return fmt.Errorf("%w: there is no such bucket", said)
	}
	return said
}

func (b *Bucket) said(op string, err error) error {
	return fmt.Errorf("%s --results-dir %s: %w", op, b.name, oneLine{err})
}

func refused(said error) error {
	return fmt.Errorf("%w: %w: look whose credentials the environment holds, and what they may", said, ErrRefused)
}

// oneLine is an error of a service, harmless to show.
type oneLine struct{ error }

func (e oneLine) Error() string {
	return untrusted.Short(strings.ReplaceAll(e.error.Error(), "\n", " "), 400)
}
func (e oneLine) Unwrap() error { return e.error }

// An operation may take a minute and what its bytes take over a slow line.
const slowest = 64 << 10 // bytes a second

func within(ctx context.Context, bytes int64) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, time.Minute+time.Duration(bytes/slowest)*time.Second)
}

// Writable fails where runs cannot be put into the bucket, before there are any: it puts a mark of a few bytes there.
func (b *Bucket) Writable(ctx context.Context) error {
	ctx, cancel := within(ctx, 0)
	defer cancel()
	err := b.blobs.WriteAll(ctx, formatObject, []byte(format), once())
	if err != nil && gcerrors.Code(err) != gcerrors.FailedPrecondition {
		return b.failed("write to", err)
	}
	return nil
}

// once are the options of what must not be there yet.
func once() *blob.WriterOptions {
	return &blob.WriterOptions{IfNotExist: true, ContentType: "text/plain"}
}

// object is what a listing says of one.
type object struct {
	size int64
	at   time.Time
	md5  []byte // nil: not known
}

// held are the objects of a run, by name.
type held map[string]object

// whole reports whether the run is in the bucket. That it is as it was written, its sums say.
func (h held) whole() bool { _, ok := h[store.SumsFile]; return ok }

// maxObjects bounds a listing.
const maxObjects = 2_000_000

// list returns the runs whose objects have the prefix, those on their way in or out included. What else is in the
// bucket is passed over, and so is what is no regular file.
func (b *Bucket) list(ctx context.Context, prefix string) (map[string]held, error) {
	runs, it := map[string]held{}, b.blobs.List(&blob.ListOptions{Prefix: prefix})
	for range maxObjects {
		page, cancel := within(ctx, 0)
		o, err := it.Next(page)
		cancel()
		if errors.Is(err, io.EOF) {
			return runs, nil
		}
		if err != nil {
			return nil, b.failed("list", err)
		}
		var info fs.FileInfo
		id, name, ok := strings.Cut(o.Key, "/")
		if !ok || !store.IsID(id) || o.As(&info) && !info.Mode().IsRegular() {
			continue
		}
		if runs[id] == nil {
			runs[id] = held{}
		}
		runs[id][name] = object{o.Size, o.ModTime, o.MD5}
	}
	return nil, b.failed("list", fmt.Errorf("it holds more than %d objects: name a folder of it for the runs", maxObjects))
}

// Remove deletes a run from the bucket. Whoever kills this leaves a whole run or none that anybody lists.
func (b *Bucket) Remove(ctx context.Context, id string) error {
	runs, err := b.list(ctx, id+"/")
	if err != nil {
		return err
	}
	return b.remove(ctx, id, runs[id])
}

func (b *Bucket) remove(ctx context.Context, id string, h held) error {
	rest := slices.DeleteFunc(slices.Sorted(maps.Keys(h)), func(name string) bool {
		return name == store.SumsFile || name == claimObject
	})
	for _, name := range slices.Concat([]string{store.SumsFile}, rest, []string{claimObject}) {
		if err := b.delete(ctx, id, name); err != nil {
			return err
		}
	}
	if b.root != "" {
		_ = os.Remove(filepath.Join(b.root, id)) // what it still holds is not ours
	}
	return nil
}
