package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// lockState is what a look at a run's lock shows.
type lockState int

const (
	lockFree    lockState = iota // no writer lives
	lockHeld                     // a writer lives, or another command is this moment marking the run
	lockUnknown                  // it may not be asked; that is not a free lock
)

// hold takes the lock of a run without waiting; the caller unlocks it. It never creates the lock file: a folder without
// one was copied here and has no writer.
func (f Folder) hold() (*flock.Flock, lockState) {
	lock := flock.New(filepath.Join(f.Dir, lockFile), flock.SetFlag(os.O_RDONLY))
	got, err := lock.TryLock()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, lockFree
	case err != nil:
		return nil, lockUnknown
	case !got:
		return nil, lockHeld
	}
	return lock, lockFree
}

// probe looks and lets go.
func (f Folder) probe() lockState {
	lock, state := f.hold()
	if lock != nil {
		_ = lock.Unlock()
	}
	return state
}

// settled marks the run partial if its writer was killed. Where the folder cannot be written, the mark is in the
// Folder only.
func (f Folder) settled() Folder {
	if f.Status != Running && !f.has(lockFile) {
		return f
	}
	lock, state := f.hold()
	if state != lockFree {
		return f
	}
	if lock != nil {
		defer func() { _ = lock.Unlock() }()
	}
	// Read again: the writer may have closed the run between the first look and the lock.
	now, err := readFolder(f.Dir)
	if err != nil {
		return f
	}
	if now.Status == Running || lock != nil && !now.has(SumsFile) {
		now.Status = Partial
		_ = now.markPartial() // a disk that is full or read-only: the next command tries again
	}
	if lock != nil && now.has(SumsFile) {
		_ = os.Remove(filepath.Join(f.Dir, lockFile))
	}
	return now
}

// markPartial needs the lock: it clears what the dead writer left and sums what it wrote whole.
func (f Folder) markPartial() error {
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		return err
	}
	dropReserve(f.Dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) && e.Type().IsRegular() {
			if err := os.Remove(filepath.Join(f.Dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := atomicWrite(f.Dir, StatusFile, []byte(Partial+"\n")); err != nil {
		return err
	}
	sums, err := f.sumAll()
	if err != nil {
		return err
	}
	return atomicWrite(f.Dir, SumsFile, formatSums(sums))
}
