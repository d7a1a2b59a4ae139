package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
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
	case !SameDir(dir, filepath.Dir(abs(f.Dir))):
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

// SameDir reports whether two paths are of one folder.
func SameDir(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// Bounds of a run that comes from elsewhere.
const (
	MaxFiles  = 4096
	MaxBytes  = 64 << 30 // of all files
	maxImport = 16 << 30 // of one file; samples of 100 million requests take some 3 GB
)

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
	in, err := Receive(dir, from.ID)
	if err != nil {
		return Folder{}, err
	}
	if err := from.copyTo(in); err != nil {
		return Folder{}, errors.Join(in.failed(err), in.Drop())
	}
	return in.Reveal()
}

// Incoming is a run on its way into a folder of runs, from wherever: nobody takes it for a run before it is revealed.
type Incoming struct {
	dir, temp, id string

	files int
	bytes int64
}

// Receive begins to take in a run: Add its files, then Reveal or Drop it. An id that dir has already is ErrExists, one
// that no run can have ErrBadID.
func Receive(dir, id string) (*Incoming, error) {
	if err := checkID(id); err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	in := &Incoming{dir: dir, id: id}
	if _, err := os.Lstat(filepath.Join(dir, id)); err == nil {
		return nil, in.failed(ErrExists)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, in.failed(err)
	}
	sweep(dir)
	var err error
	if in.temp, err = os.MkdirTemp(dir, importedPrefix); err != nil {
		return nil, in.failed(err)
	}
	return in, nil
}

func (in *Incoming) failed(err error) error {
	return fmt.Errorf("import run %s into --results-dir %q: %w: nothing was overwritten", in.id, in.dir, classify(err))
}

// Add writes one file. A name that is no plain file name is ErrOutside; a name that was added already, and more files
// or bytes than any run has, are errors.
func (in *Incoming) Add(name string, from io.Reader) error {
	if err := checkName(name); err != nil {
		return in.failed(err)
	}
	if in.files++; in.files > MaxFiles {
		return in.failed(fmt.Errorf("it has more than %d files", MaxFiles))
	}
	out, err := os.OpenFile(filepath.Join(in.temp, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return in.failed(err)
	}
	most := min(maxImport, MaxBytes-in.bytes)
	n, err := io.Copy(out, io.LimitReader(from, most+1))
	if in.bytes += n; err == nil && n > most {
		err = fmt.Errorf("%s is larger than %d bytes", name, most)
	}
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return in.failed(err)
	}
	return nil
}

// Wanted are the files that the run must have beside its SHA256SUMS, which were added: ErrDamaged where those are none.
func (in *Incoming) Wanted() ([]string, error) {
	sums, damage, err := Folder{ID: in.id, Dir: in.temp}.wanted()
	if err == nil && len(sums) > MaxFiles {
		damage = fmt.Sprintf("names more than %d files", MaxFiles)
	}
	if err == nil && damage != "" {
		err = &typed{ErrDamaged, fmt.Errorf("%s %s", SumsFile, damage)}
	}
	if err != nil {
		return nil, in.failed(err)
	}
	return slices.Sorted(maps.Keys(sums)), nil
}

// Reveal gives the run its name, if it is as it was written: ErrDamaged otherwise, and nothing is left.
func (in *Incoming) Reveal() (_ Folder, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, in.Drop())
		}
	}()
	v, err := (Folder{ID: in.id, Dir: in.temp}).Verify()
	if err == nil && v.State == Damaged {
		err = &typed{ErrDamaged, fmt.Errorf("it is %s", v)}
	}
	to := filepath.Join(in.dir, in.id)
	if err == nil {
		err = os.Chmod(in.temp, 0o755)
	}
	if err == nil {
		err = syncDir(in.temp)
	}
	if err == nil {
		err = reveal(in.temp, to)
	}
	if err == nil {
		err = syncDir(in.dir)
	}
	if err != nil {
		return Folder{}, in.failed(err)
	}
	return readFolder(to)
}

// Drop takes away what was added.
func (in *Incoming) Drop() error { return os.RemoveAll(in.temp) }

// copyTo copies what the run wrote, and nothing else that lies in its folder.
func (f Folder) copyTo(in *Incoming) error {
	names, err := f.Parts()
	if f.unsummed() { // killed on another machine: what is there is all there is
		sums, err := f.sumAll()
		if err != nil {
			return err
		}
		names = slices.Sorted(maps.Keys(sums))
		if err := in.Add(SumsFile, bytes.NewReader(formatSums(sums))); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	for _, name := range names {
		file, err := f.OpenPart(name)
		if err != nil {
			return err
		}
		if err := errors.Join(in.Add(name, file), file.Close()); err != nil {
			return err
		}
	}
	return nil
}

// Parts are the names of the files that make up a run that has ended, in the order in which they are handed on: what
// says that it is whole comes last. A run that is being written is ErrRunning.
func (f Folder) Parts() ([]string, error) {
	if f.unsummed() {
		return nil, fmt.Errorf("run %s: it %w: wait for its end", f.ID, ErrRunning)
	}
	sums, damage, err := f.wanted()
	if err == nil && damage != "" {
		err = f.damaged(Verification{State: Damaged, Problems: []Problem{{SumsFile, damage}}})
	}
	names := slices.Sorted(maps.Keys(sums))
	if f.has(SignatureFile) {
		names = append(names, SignatureFile)
	}
	return append(names, SumsFile), err
}

// OpenPart opens a file of the run as it lies there, whoever changed it: to hand the run on, which has been verified.
func (f Folder) OpenPart(name string) (*os.File, error) { return f.openAny(name) }
