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

// Folder is a stored run.
type Folder struct {
	ID     string // name of its folder
	Dir    string // path of its folder
	Status Status // when it was opened

	written time.Time // of the status file, which decides between runs of one second
}

// maxStatusFile bounds what is read of a status file: one word.
const maxStatusFile = 64

// readFolder reads the state of the folder, ErrForeign where it is none of ours.
func readFolder(dir string) (Folder, error) {
	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Folder{}, fmt.Errorf("open run %q: %w", dir, ErrNotFound)
	case err != nil:
		return Folder{}, fmt.Errorf("open run: %w", err)
	case info.Mode()&fs.ModeSymlink != 0:
		return Folder{}, fmt.Errorf("open run %q: %w: name the folder itself", dir, ErrSymlink)
	case !info.IsDir():
		return Folder{}, fmt.Errorf("open run %q: %w: it is a file", dir, ErrForeign)
	}
	abs, err := filepath.Abs(dir) // "." has a name too
	if err != nil {
		return Folder{}, fmt.Errorf("open run %q: %w", dir, err)
	}
	f := Folder{ID: filepath.Base(abs), Dir: dir}
	err = f.readStatus()
	// What lies among runs, has a run's name and files, but no status that can be read, is a run that was damaged.
	if err != nil && checkID(f.ID) == nil && (f.has(SumsFile) || f.has(SamplesFile)) {
		f.Status, err = Unknown, nil
	}
	if err != nil {
		return Folder{}, fmt.Errorf("open run %q: %w", dir, err)
	}
	return f, nil
}

func (f *Folder) readStatus() error {
	file, stat, err := openRegular(f.Dir, StatusFile)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: it has no file %q", ErrForeign, StatusFile)
	} else if err != nil {
		return err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxStatusFile))
	if err != nil {
		return err
	}
	f.Status, f.written = Status(strings.TrimSpace(string(b))), stat.ModTime()
	if !f.Status.valid() {
		return fmt.Errorf("%w: its status is %.40q", ErrForeign, b)
	}
	return nil
}

// A writer may replace a file while it is opened, which is no more than once in a while; whoever exchanges it each time
// is none.
const opensAtMost = 10

var errExchanged = fmt.Errorf("was exchanged while it was opened: %w", ErrForeign)

// openRegular opens a file of the folder for reading if it is a regular file, and never through a link.
func openRegular(dir, name string) (f *os.File, info fs.FileInfo, err error) {
	for range opensAtMost {
		if f, info, err = openOnce(dir, name); !errors.Is(err, errExchanged) {
			break
		}
	}
	return f, info, err
}

func openOnce(dir, name string) (*os.File, fs.FileInfo, error) {
	path := filepath.Join(dir, name)
	before, err := os.Lstat(path)
	if err != nil {
		return nil, nil, err
	}
	if before.Mode()&fs.ModeSymlink != 0 {
		return nil, nil, fmt.Errorf("file %q %w: it is not read", path, ErrSymlink)
	}
	if !before.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("file %q is not a regular file: %w", path, ErrForeign)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, classify(err)
	}
	after, err := f.Stat()
	if err == nil && !os.SameFile(before, after) {
		err = fmt.Errorf("file %q %w", path, errExchanged)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, after, nil
}

func readRegular(dir, name string) ([]byte, error) {
	file, _, err := openRegular(dir, name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxFile))
}

// maxFile bounds a file that is read whole, in bytes: far more than the manifest of a run over ten thousand pods.
const maxFile = 256 << 20

// ReadFile reads a small file of the run whole. A file that is not there is fs.ErrNotExist; one that is not as the run
// wrote it is ErrDamaged; a name with a path in it is ErrOutside; one that is larger than any that a run writes is an
// error.
func (f Folder) ReadFile(name string) ([]byte, error) {
	file, err := f.open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil && info.Size() > maxFile {
		err = fmt.Errorf("it has %d bytes, and no run writes more than %d into it", info.Size(), maxFile)
	}
	var b []byte
	if err == nil {
		b, err = io.ReadAll(io.LimitReader(file, maxFile))
	}
	if err != nil {
		return nil, fmt.Errorf("read %s of run %s: %w", name, f.ID, err)
	}
	return b, nil
}

// open opens a file of the run, whose bytes are held against its sums first.
func (f Folder) open(name string) (*os.File, error) {
	file, err := f.openAny(name)
	if err != nil {
		return nil, err
	}
	if why := f.damage(name, file); why != "" {
		v := Verification{State: Damaged, Problems: []Problem{{name, why}}}
		return nil, errors.Join(f.damaged(v), file.Close())
	}
	return file, nil
}

// path is the folder's path as commands take it: with a slash, and quoted for a shell.
func (f Folder) path() string {
	dir := f.Dir
	if filepath.Base(dir) == dir {
		dir = "./" + dir
	}
	if strings.ContainsAny(dir, " \t\"'$`\\;&|<>()*?[]#~!{}") {
		dir = "'" + strings.ReplaceAll(dir, "'", `'\''`) + "'"
	}
	return dir
}

// openAny opens a file of the run, whatever its bytes.
func (f Folder) openAny(name string) (*os.File, error) {
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("read file of run %s: %w", f.ID, err)
	}
	file, _, err := openRegular(f.Dir, name)
	if err != nil {
		return nil, fmt.Errorf("read %s of run %s: %w", name, f.ID, err)
	}
	return file, nil
}

func (f Folder) has(name string) bool {
	_, err := os.Lstat(filepath.Join(f.Dir, name))
	return err == nil
}
