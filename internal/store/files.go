package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// checkName accepts one plain file name, as it may stand in a run folder and in SHA256SUMS on any system.
func checkName(name string) error {
	bad := name == "" || len(name) > 100 || name[0] == '.' || strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`/\:*?"<>|`, r)
	})
	if bad {
		return fmt.Errorf("%q %w: want letters, digits, dots and dashes, no folder, at most 100", name, ErrOutside)
	}
	return nil
}

// atomicWrite puts data under name in folder, whole or not at all: written beside, synced, renamed, folder synced.
func atomicWrite(folder, name string, data []byte) (err error) {
	temp := filepath.Join(folder, tempPrefix+name)
	// One writer holds the folder's lock, so a temporary file that is already there is a dead writer's.
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temp)
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(temp, filepath.Join(folder, name)); err != nil {
		return err
	}
	return syncDir(folder)
}

// syncDir makes renames and new names in dir durable. Systems that cannot sync a folder say EINVAL; their word is
// enough.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return errors.Join(err, d.Close())
	}
	return d.Close()
}

// writeReserve takes the disk space that dropReserve gives back. The bytes are not zero, or a file system could store
// a hole.
func writeReserve(folder string) error {
	held := bytes.Repeat([]byte("splitbench:held:"), reserveBytes/16)
	return os.WriteFile(filepath.Join(folder, reserveFile), held, 0o644)
}

// dropReserve gives the reserved space back and reports whether there was any.
func dropReserve(folder string) bool { return os.Remove(filepath.Join(folder, reserveFile)) == nil }

func noSpace(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// typed says what the operating system said, and is also the kind that callers act on.
type typed struct{ kind, cause error }

func (e *typed) Error() string   { return e.cause.Error() }
func (e *typed) Unwrap() []error { return []error{e.kind, e.cause} }

// classify adds the typed error that callers act on to an error of the operating system.
func classify(err error) error {
	switch {
	case err == nil || errors.Is(err, ErrNoSpace) || errors.Is(err, ErrReadOnly):
		return err
	case noSpace(err):
		return &typed{ErrNoSpace, err}
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return &typed{ErrReadOnly, err}
	}
	return err
}
