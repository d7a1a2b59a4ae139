package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
)

// stream is a file of the run that grows: the samples, or those of another pod or of a later segment.
type stream struct {
	file   *os.File
	length int64
	sum    hash.Hash
	broken error // why it takes no more
}

// Append adds p to the samples, as AppendTo does.
func (r *Run) Append(p []byte) error { return r.AppendTo(SamplesFile, p) }

// AppendTo adds p to a file of the run, which the first call creates. A p that does not fit is taken back whole, so the
// file always ends with what an earlier call wrote; from then on every call returns that first error. A full disk is
// ErrNoSpace: Close the run as Partial. Names are those that WriteFile takes, and SamplesFile; a file that WriteFile
// wrote is not appended to.
func (r *Run) AppendTo(name string, p []byte) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("append to file of run %s: %w", r.ID, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return fmt.Errorf("append to %s of run %s: %w", name, r.ID, ErrClosed)
	}
	s := r.streams[name]
	if s == nil {
		f, err := os.OpenFile(filepath.Join(r.Dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		s = &stream{file: f, sum: sha256.New()}
		if err != nil {
			s.broken = fmt.Errorf("append to %s of run %s: %w", name, r.ID, classify(err))
		}
		r.streams[name] = s
	}
	return s.append(r.ID, name, p)
}

func (s *stream) append(id, name string, p []byte) error {
	if s.broken != nil {
		return s.broken
	}
	if _, err := s.file.Write(p); err != nil {
		s.broken = fmt.Errorf("append to %s of run %s: %w: the run ends here; free some space or name another disk "+
			"with --results-dir", name, id, classify(err))
		if back := s.file.Truncate(s.length); back != nil {
			s.broken = errors.Join(s.broken, back)
		}
		return s.broken
	}
	s.length += int64(len(p))
	s.sum.Write(p)
	return nil
}

// closeStreams needs r.mu held.
func (r *Run) closeStreams() (errs []error) {
	for name, s := range r.streams {
		if s.file == nil {
			continue // it could not be created
		}
		errs = append(errs, s.file.Sync(), s.file.Close())
		r.sums[name] = hex.EncodeToString(s.sum.Sum(nil))
	}
	return errs
}

// OpenStream opens a file that AppendTo wrote, or the samples, for reading from the start; one that is not there is
// fs.ErrNotExist, one that is not as it was written ErrDamaged.
func (f Folder) OpenStream(name string) (io.ReadCloser, error) { return f.open(name) }
