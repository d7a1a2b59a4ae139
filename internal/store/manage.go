package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// pinFile marks a run that must not be removed. It is no part of the run: pinning changes no sum.
const pinFile = ".pinned"

// Pinned reports whether the run is kept from removal.
func (f Folder) Pinned() bool { return f.has(pinFile) }

// Pin keeps the run from removal, or lets it go again. Doing it twice is no error.
func (f Folder) Pin(on bool) error {
	path := filepath.Join(f.Dir, pinFile)
	var err error
	if on {
		var file *os.File
		if file, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644); err == nil { // never through a link
			err = file.Close()
		}
	} else {
		err = os.Remove(path)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("pin run %s: %w", f.ID, classify(err))
	}
	return nil
}

// ErrPinned and ErrRunning say why a run was not removed.
var (
	ErrPinned  = errors.New("is pinned")
	ErrRunning = errors.New("is being written")
)

// Remove deletes a run of dir for good. Pinned runs (ErrPinned), runs that are being written (ErrRunning) and folders
// outside dir (ErrOutside) stay; one that is gone already, by another process, is ErrNotFound. The folder is renamed
// first, so that whoever kills this leaves a whole run or none; the next Remove clears up what is left.
func Remove(dir string, f Folder) error {
	switch now, err := readFolder(f.Dir); {
	case err != nil && isGone(f.Dir): // while it was read
		return errGone(f)
	case err != nil:
		return err
	case !sameDir(dir, filepath.Dir(abs(f.Dir))):
		return fmt.Errorf("remove run %s: it %w of --results-dir %q", f.ID, errOutsideDir, dir)
	case f.Pinned():
		return fmt.Errorf("remove run %s: it %w: let it go with pin --off first", f.ID, ErrPinned)
	case now.Status == Running && now.probe() != lockFree:
		return fmt.Errorf("remove run %s: it %w", f.ID, ErrRunning)
	}
	sweep(dir)
	gone := filepath.Join(dir, removedPrefix+f.ID)
	if err := os.Rename(f.Dir, gone); errors.Is(err, fs.ErrNotExist) {
		return errGone(f)
	} else if err != nil {
		return fmt.Errorf("remove run %s: %w", f.ID, classify(err))
	}
	if err := os.RemoveAll(gone); err != nil {
		return fmt.Errorf("remove run %s: %w", f.ID, classify(err))
	}
	return nil
}

func isGone(dir string) bool {
	_, err := os.Lstat(dir)
	return errors.Is(err, fs.ErrNotExist)
}

func errGone(f Folder) error { return fmt.Errorf("remove run %s: %w any more", f.ID, ErrNotFound) }

var errOutsideDir = fmt.Errorf("is outside: %w", ErrOutside)

// Folders on their way in or out. Their names are no run ids, so nothing lists or opens them.
const (
	createdPrefix  = tempPrefix + "new-"
	removedPrefix  = tempPrefix + "removed-"
	importedPrefix = tempPrefix + "import-"
)

// abandoned is how old an unfinished folder must be before it is taken for a dead writer's: none takes that long.
const abandoned = 24 * time.Hour

// sweep clears what killed writers and removals left behind.
func sweep(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		dead := strings.HasPrefix(e.Name(), removedPrefix)
		ours := strings.HasPrefix(e.Name(), createdPrefix) || strings.HasPrefix(e.Name(), importedPrefix)
		if info, err := e.Info(); err == nil && ours {
			dead = time.Since(info.ModTime()) > abandoned
		}
		if e.IsDir() && dead {
			_ = os.RemoveAll(filepath.Join(dir, e.Name())) // the next one tries again
		}
	}
}

func sameDir(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// maxImport bounds one file of an imported run, in bytes; samples of 100 million requests take some 3 GB.
const maxImport = 16 << 30

// Import copies a run folder from anywhere into dir. A run that is damaged, is being written, or whose id dir has
// already (ErrExists) is refused, and nothing is overwritten. It appears whole or not at all.
func Import(dir, path string) (Folder, error) {
	from, err := readFolder(filepath.Clean(path))
	if err != nil {
		return Folder{}, err
	}
	if err := checkID(from.ID); err != nil {
		return Folder{}, fmt.Errorf("import run %q: %w", path, err)
	}
	v, err := from.Verify()
	switch {
	case err != nil:
		return Folder{}, err
	case v.Running:
		return Folder{}, fmt.Errorf("import run %s: it %w: wait for its end", from.ID, ErrRunning)
	case v.State == Damaged:
		return Folder{}, &typed{kind: ErrDamaged, cause: fmt.Errorf("import run %s: it is %s", from.ID, v)}
	}
	to := filepath.Join(dir, from.ID)
	if err := from.importAs(dir, to); err != nil {
		return Folder{}, fmt.Errorf("import run %s into --results-dir %q: %w: nothing was overwritten",
			from.ID, dir, classify(err))
	}
	return readFolder(to)
}

func (f Folder) importAs(dir, to string) (err error) {
	if _, err := os.Lstat(to); err == nil {
		return ErrExists
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(dir, importedPrefix)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(temp))
		}
	}()
	if err := f.copyTo(temp); err != nil {
		return err
	}
	if err := os.Chmod(temp, 0o755); err != nil {
		return err
	}
	if err := reveal(temp, to); err != nil {
		return err
	}
	return syncDir(dir)
}

// copyTo copies what the run wrote, and nothing else that lies in its folder.
func (f Folder) copyTo(dir string) error {
	sums, _, err := f.wanted()
	if f.unsummed() { // killed on another machine: what is there is all there is
		sums, err = f.sumAll()
	}
	if err != nil {
		return err
	}
	for name := range sums {
		if err := f.copyFile(name, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	if !f.has(SignatureFile) {
		return atomicWrite(dir, SumsFile, formatSums(sums))
	}
	for _, name := range []string{SumsFile, SignatureFile} { // as they are: one signs the bytes of the other
		if err := f.copyFile(name, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return syncDir(dir)
}

func (f Folder) copyFile(name, to string) error {
	in, err := f.openAny(name) // whoever copies has verified the run
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(in, maxImport+1))
	if err == nil && n > maxImport {
		err = fmt.Errorf("%s is larger than %d bytes", name, int64(maxImport))
	}
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}
