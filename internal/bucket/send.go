package bucket

import (
	"bytes"
	"context"
	"crypto/md5" // as services tell it of what they hold
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/splitbench/splitbench/internal/store"
)

// ErrTaken is a run whose id another writer has in the bucket.
var ErrTaken = errors.New("another writer has this id there")

// sentFile lies in a run's folder and says what of it the bucket has, in words of a state.
const sentFile = ".sent"

// state is what may change of a run after its end.
type state struct{ pinned, signed bool }

func (s state) String() string { return fmt.Sprintf("pinned=%t signed=%t\n", s.pinned, s.signed) }

func stateOf(f store.Folder) state {
	_, err := os.Lstat(filepath.Join(f.Dir, store.SignatureFile))
	return state{f.Pinned(), err == nil}
}

func (h held) state() state {
	_, pinned := h[pinObject]
	_, signed := h[store.SignatureFile]
	return state{pinned, signed}
}

// sent is the state that both sides agreed on last; false for a run that was not uploaded yet.
func sent(f store.Folder) (s state, ok bool) {
	b, err := os.ReadFile(filepath.Join(f.Dir, sentFile))
	if err == nil {
		_, err = fmt.Sscanf(string(b), "pinned=%t signed=%t", &s.pinned, &s.signed)
	}
	return s, err == nil
}

func agree(f store.Folder, s state) error {
	return os.WriteFile(filepath.Join(f.Dir, sentFile), []byte(s.String()), 0o644)
}

// Send uploads the runs of the folder that have ended and that the bucket lacks, and what was pinned and signed since.
// What an earlier Send of a run brought is not sent again. A run that cannot be sent stays, for the next Send.
// It returns those that the bucket has now.
func (b *Bucket) Send(ctx context.Context) (ids []string, err error) {
	here, err := store.List(b.Dir)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, f := range here {
		if f.Status == store.Running || f.Status == store.Unknown {
			continue
		}
		_, there := sent(f)
		err := b.send(ctx, f)
		if err == nil && !there {
			ids = append(ids, f.ID)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("run %s stays in %s: %w", f.ID, f.Dir, err))
		}
		if err != nil && !errors.Is(err, ErrTaken) && !errors.Is(err, store.ErrDamaged) {
			break // the others would hear the same
		}
	}
	return ids, errors.Join(errs...)
}

func (b *Bucket) send(ctx context.Context, f store.Folder) error {
	last, there := sent(f)
	now := stateOf(f)
	if !there {
		if err := b.upload(ctx, f); err != nil {
			return err
		}
		last.signed = now.signed
	} else if last == now {
		return nil
	}
	var err error
	switch {
	case now.pinned && !last.pinned:
		err = b.put(ctx, f.ID, pinObject, strings.NewReader("pinned\n"), 0)
	case !now.pinned && last.pinned:
		err = b.delete(ctx, f.ID, pinObject)
	}
	if err == nil && now.signed && !last.signed {
		err = b.putFile(ctx, f, store.SignatureFile)
	}
	if err == nil {
		err = agree(f, now)
	}
	return err
}

// upload brings a run into the bucket, its SHA256SUMS last.
func (b *Bucket) upload(ctx context.Context, f store.Folder) error {
	if err := f.Whole(); err != nil {
		return err
	}
	names, err := f.Parts()
	if err != nil {
		return err
	}
	if err := b.claim(ctx, f); err != nil {
		return err
	}
	names = names[:len(names)-1]
	there, err := b.list(ctx, f.ID+"/")
	if err != nil {
		return err
	}
	for _, name := range names {
		if same, err := b.same(ctx, f, name, there[f.ID]); err != nil {
			return err
		} else if same {
			continue
		}
		if err := b.putFile(ctx, f, name); err != nil {
			return err
		}
	}
	if err := b.settle(ctx, f, names); err != nil {
		return err
	}
	return b.putFile(ctx, f, store.SumsFile)
}

// claim makes the run's id this writer's, or finds that it is.
func (b *Bucket) claim(ctx context.Context, f store.Folder) error {
	ctx, cancel := within(ctx, 0)
	defer cancel()
	own, err := digest(f, store.SumsFile, sha256.New())
	if err != nil {
		return err
	}
	key, text := f.ID+"/"+claimObject, []byte(hex.EncodeToString(own)+"\n")
	// A look first, for services that do not know the condition: it keeps apart who come one after another.
	got, err := b.claimed(ctx, key)
	if err != nil {
		var putErr error
		if b.root == "" || !linked(filepath.Join(b.root, f.ID, claimObject), text) {
			putErr = b.blobs.WriteAll(ctx, key, text, once())
		}
		// Whatever was said: what is there now decides.
		if got, err = b.claimed(ctx, key); err != nil && putErr != nil {
			err = putErr
		}
	}
	switch {
	case err != nil:
		return b.failed("upload to", err)
	case !bytes.Equal(got, text):
		return b.failed("upload to", ErrTaken)
	}
	return nil
}

// claimed is what a claim says, or its beginning.
func (b *Bucket) claimed(ctx context.Context, key string) ([]byte, error) {
	r, err := b.blobs.NewReader(ctx, key, nil)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, 1<<10))
}

// linked makes a file that nobody made yet, whole at once, and reports whether it is there. The driver of folders asks
// first and renames then, between which another process may do the same; not all file systems have links.
func linked(path string, text []byte) bool {
	if os.MkdirAll(filepath.Dir(path), 0o777) != nil {
		return false
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".claim-*.tmp")
	if err != nil {
		return false
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.Write(text)
	if err = errors.Join(err, temp.Chmod(0o644), temp.Close()); err != nil {
		return false
	}
	err = os.Link(temp.Name(), path)
	return err == nil || errors.Is(err, os.ErrExist)
}

// same reports whether the bucket has the file already, from an upload that was cut short.
func (b *Bucket) same(ctx context.Context, f store.Folder, name string, there held) (bool, error) {
	o, ok := there[name]
	if info, err := os.Stat(filepath.Join(f.Dir, name)); err != nil || !ok || info.Size() != o.size {
		return false, err
	}
	h, theirs := md5.New(), o.md5 // against accidents: the claim keeps others away, and readers have SHA-256
	if len(theirs) == 0 {
		h = sha256.New()
		var err error
		if theirs, err = b.digest(ctx, f.ID, name, o.size); err != nil {
			return false, err
		}
	}
	ours, err := digest(f, name, h)
	return bytes.Equal(ours, theirs), err
}

// Check holds what the bucket has of a run against what was brought of it, or sent from here.
func (b *Bucket) Check(ctx context.Context, f store.Folder) (problems []store.Problem, err error) {
	if _, there := sent(f); !there {
		return nil, nil
	}
	names, err := f.Parts()
	if err != nil {
		return nil, err
	}
	there, err := b.list(ctx, f.ID+"/")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		o, ok := there[f.ID][name]
		if !ok {
			problems = append(problems, store.Problem{File: name, Why: "is missing in the bucket"})
			continue
		}
		theirs, err := b.digest(ctx, f.ID, name, o.size)
		if err != nil {
			return nil, err
		}
		if ours, err := digest(f, name, sha256.New()); err != nil {
			return nil, err
		} else if !bytes.Equal(ours, theirs) {
			problems = append(problems, store.Problem{File: name, Why: "was changed in the bucket"})
		}
	}
	return problems, nil
}

// digest is the SHA-256 of what the bucket has.
func (b *Bucket) digest(ctx context.Context, id, name string, size int64) ([]byte, error) {
	body, done, err := b.open(ctx, id, name, size)
	if err != nil {
		return nil, err
	}
	defer done()
	h := sha256.New()
	if _, err := io.Copy(h, body); err != nil {
		return nil, b.failed("read", err)
	}
	return h.Sum(nil), nil
}

func digest(f store.Folder, name string, h hash.Hash) ([]byte, error) {
	file, err := f.OpenPart(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	_, err = io.Copy(h, file)
	return h.Sum(nil), err
}

// settle holds what is in the bucket against the run before it is said to be whole, as somebody may have deleted what
// he took for abandoned, and clears what killed uploads left in a folder.
func (b *Bucket) settle(ctx context.Context, f store.Folder, names []string) error {
	there, err := b.list(ctx, f.ID+"/")
	if err != nil {
		return err
	}
	h := there[f.ID]
	for _, name := range append(names, claimObject) {
		if _, ok := h[name]; !ok {
			return b.failed("upload to", fmt.Errorf("%s is gone again", name))
		}
	}
	for name := range h {
		if b.root != "" && strings.HasSuffix(name, ".tmp") {
			if err := b.delete(ctx, f.ID, name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *Bucket) putFile(ctx context.Context, f store.Folder, name string) error {
	file, err := f.OpenPart(name)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return b.put(ctx, f.ID, name, file, info.Size())
}

func (b *Bucket) put(ctx context.Context, id, name string, from io.Reader, size int64) error {
	ctx, cancel := within(ctx, size)
	defer cancel()
	kind := "application/octet-stream"
	if strings.HasSuffix(name, ".html") {
		kind = "text/html; charset=utf-8"
	}
	if err := b.blobs.Upload(ctx, id+"/"+name, from, &blob.WriterOptions{ContentType: kind}); err != nil {
		return b.failed("upload to", err)
	}
	return nil
}

func (b *Bucket) delete(ctx context.Context, id, name string) error {
	ctx, cancel := within(ctx, 0)
	defer cancel()
	err := b.blobs.Delete(ctx, id+"/"+name)
	if err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return b.failed("delete from", err)
	}
	return nil
}
