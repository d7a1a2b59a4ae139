package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// MarksFile holds what was marked while a run was under way, one line each. Whoever marks is another process than the
// one that writes the run, so it is the one file of a running folder that others append to.
const MarksFile = "marks.ndjson"

// Bounds of marks.
const (
	maxMark  = 4096
	maxMarks = 1 << 20 // bytes of all
)

// ErrNotRunning says that a run takes no marks any more.
var ErrNotRunning = errors.New("it is not running")

// Mark appends one line to the marks of a run that is under way. Errors: ErrNotRunning, and those of the disk.
func Mark(f Folder, line []byte) (err error) {
	if f.Status != Running {
		return fmt.Errorf("mark run %s: %w: its status is %s", f.ID, ErrNotRunning, f.Status)
	}
	if len(line) > maxMark {
		return fmt.Errorf("mark run %s: %d bytes, at most %d can be marked", f.ID, len(line), maxMark)
	}
	file, err := openMarks(f.Dir)
	if err != nil {
		return fmt.Errorf("mark run %s: %w", f.ID, classify(err))
	}
	if s, err := file.Stat(); err == nil && s.Size() > maxMarks {
		return errors.Join(fmt.Errorf("mark run %s: it has %d bytes of marks already", f.ID, s.Size()), file.Close())
	}
	// One write of one line: marks of several processes do not mix.
	_, err = file.Write(slices.Concat(line, []byte("\n")))
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("mark run %s: %w", f.ID, classify(err))
	}
	return nil
}

// openMarks opens the marks to append to, and never through a link.
func openMarks(dir string) (*os.File, error) {
	path := filepath.Join(dir, MarksFile)
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if !errors.Is(err, fs.ErrExist) {
		return file, err
	}
	there, _, err := openRegular(dir, MarksFile)
	if err != nil {
		return nil, err
	}
	defer there.Close()
	if file, err = os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0); err != nil {
		return nil, err
	}
	seen, err1 := there.Stat()
	opened, err2 := file.Stat()
	if err := errors.Join(err1, err2); err != nil || !os.SameFile(seen, opened) {
		return nil, errors.Join(
			fmt.Errorf("file %q was exchanged while it was opened: %w", path, ErrForeign), err, file.Close())
	}
	return file, nil
}

// Marks are the lines that were marked so far.
func (r *Run) Marks() ([]byte, error) {
	file, _, err := openRegular(r.Dir, MarksFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxMarks))
}

// OpenRunning finds a run that is under way: by its id, or the newest as latest. Errors: those of Open, and
// ErrNotRunning where none is.
func OpenRunning(dir, idOrAlias string) (Folder, error) {
	if idOrAlias != "latest" {
		return Open(dir, idOrAlias)
	}
	runs, err := List(dir)
	if err != nil {
		return Folder{}, err
	}
	for _, f := range runs {
		if f.Status == Running {
			return f, nil
		}
	}
	return Folder{}, fmt.Errorf("open run latest in --results-dir %q: %w: no run is under way", dir, ErrNotRunning)
}
