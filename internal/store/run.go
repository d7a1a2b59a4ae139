package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"

	"github.com/gofrs/flock"
)

// Run is a run folder that is being written. Its methods may be called from several goroutines.
type Run struct {
	ID  string
	Dir string // folder of the run

	lock *flock.Flock

	mu      sync.Mutex
	streams map[string]*stream // the samples among them
	sums    map[string]string
	closed  bool
}

// Create makes the folder of run id in dir, which it creates where it is missing, with status running, and holds its
// lock until Close. The folder appears with all that at once: whoever kills this leaves a run or none. It refuses an id
// that exists (ErrExists) or that NewID could not have made (ErrBadID); a dir that cannot be written is ErrReadOnly or
// ErrNoSpace. After an error nothing is left behind.
func Create(dir, id string) (_ *Run, err error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create --results-dir %q: %w: name a folder that can be written", dir, classify(err))
	}
	folder, temp := filepath.Join(dir, id), filepath.Join(dir, createdPrefix+id)
	fail := func(op string, err error, remedy string) error {
		return fmt.Errorf("%s run %s in --results-dir %q: %w%s", op, id, dir, classify(err), remedy)
	}
	if runtime.GOOS == "windows" {
		temp = folder // a folder with an open file cannot be renamed there
	}
	sweep(dir)
	if err := os.Mkdir(temp, 0o755); err != nil {
		if errors.Is(err, os.ErrExist) {
			return nil, fail("create", ErrExists, ": nothing was overwritten, start again")
		}
		return nil, fail("create", err, ": name a folder that can be written")
	}
	// Locked before anybody can see it: whoever sees "running" sees the lock too. The lock stays with the file when the
	// folder gets its name.
	lock := flock.New(filepath.Join(temp, lockFile), flock.SetPermissions(0o644))
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Unlock(), os.RemoveAll(temp))
		}
	}()
	got, err := lock.TryLock()
	if err == nil && !got {
		err = errors.New("somebody else holds its lock")
	}
	if err != nil {
		return nil, fail("lock", err, ": name a folder on a file system with locks")
	}
	if err := writeReserve(temp); err != nil {
		return nil, fail("create", err, ": free some space or name another disk")
	}
	r := &Run{ID: id, Dir: folder, lock: lock, streams: map[string]*stream{}, sums: map[string]string{}}
	if err := atomicWrite(temp, StatusFile, []byte(Running+"\n")); err != nil {
		return nil, fail("create", err, "")
	}
	if err := reveal(temp, folder); err != nil {
		return nil, fail("create", err, ": nothing was overwritten, start again")
	}
	if err := syncDir(dir); err != nil {
		return nil, errors.Join(fail("create", err, ""), os.RemoveAll(folder))
	}
	return r, nil
}

// reveal gives a folder its name. A folder with files in it is never replaced by a rename; an empty one would be, so it
// is looked for.
func reveal(temp, folder string) error {
	if temp == folder {
		return nil
	}
	if _, err := os.Lstat(folder); err == nil {
		return ErrExists
	}
	err := os.Rename(temp, folder)
	if errors.Is(err, os.ErrExist) || errors.Is(err, syscall.ENOTEMPTY) {
		return ErrExists
	}
	return err
}

// WriteFile writes one small file of the run, whole or not at all; a name may be written again while the run is open.
// Names with a path in them, names that begin with a dot and the names this package writes itself are ErrOutside; a
// full disk is ErrNoSpace.
func (r *Run) WriteFile(name string, data []byte) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("write file of run %s: %w", r.ID, err)
	}
	if slices.Contains([]string{StatusFile, SamplesFile, SumsFile, SignatureFile}, name) {
		return fmt.Errorf("write file of run %s: %q %w: the store writes it itself", r.ID, name, ErrOutside)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return fmt.Errorf("write %s of run %s: %w", name, r.ID, ErrClosed)
	}
	return r.write(name, data)
}

// write needs r.mu held.
func (r *Run) write(name string, data []byte) error {
	err := atomicWrite(r.Dir, name, data)
	if noSpace(err) && dropReserve(r.Dir) {
		err = atomicWrite(r.Dir, name, data)
	}
	if err != nil {
		return fmt.Errorf("write %s of run %s: %w: free some space or name another disk with --results-dir",
			name, r.ID, classify(err))
	}
	r.sums[name] = hexSum(data)
	return nil
}

// Close ends the run with a status other than Running, writes SHA256SUMS last, and releases the lock, also when it
// returns an error. A folder whose closing failed is marked partial by whoever opens it next.
func (r *Run) Close(status Status) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return fmt.Errorf("close run %s: %w", r.ID, ErrClosed)
	}
	r.closed = true
	var errs []error
	if !status.valid() || status == Running {
		errs = append(errs, fmt.Errorf("close run %s: status %q: want complete, partial, aborted or refused", r.ID, status))
		status = Partial
	}
	errs = append(errs, r.closeStreams()...)
	dropReserve(r.Dir)
	err := errors.Join(errs...)
	if err == nil || status != Complete {
		err = errors.Join(err, r.write(StatusFile, []byte(status+"\n")))
	}
	if err == nil || status != Complete {
		err = errors.Join(err, atomicWrite(r.Dir, SumsFile, formatSums(r.sums)))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("close run %s: %w", r.ID, classify(err)), r.lock.Unlock())
	}
	// The lock file goes only now: a folder that has one and no sums was killed here, and one without either was
	// tampered with.
	unlocked := r.lock.Unlock()
	removed := os.Remove(filepath.Join(r.Dir, lockFile))
	if errors.Is(removed, fs.ErrNotExist) {
		removed = nil // whoever listed the runs between the two has tidied up already
	}
	return errors.Join(unlocked, removed)
}
