// Package store keeps each run in a folder of its own: results/<run-id>/. It handles bytes and names only and knows
// nothing of what they mean, so that a run of any age can be opened.
//
// It refuses to overwrite, to follow symbolic links, to leave its folder, and to guess between two runs that one name
// fits. There is no index: a run is complete when its own files say so, and two writers never meet. A folder that is on
// its way in or out has a name that begins with a dot, and nobody takes it for a run.
//
// Invariant: the status of a folder is "running" only while its writer lives. The writer holds a lock that the
// operating system takes away when it dies; whoever next opens or lists the folder then marks it partial.
package store

import "errors"

// Names of the files that this package writes itself.
const (
	StatusFile  = "status"     // one word, see Status
	SamplesFile = "frames.sbw" // the samples, appended as they came
	SumsFile    = "SHA256SUMS" // as sha256sum writes it, last file of a run
)

// Unexported names begin with a dot: they are no part of a run and are not summed.
const (
	lockFile    = ".lock"
	reserveFile = ".reserve"
	tempPrefix  = ".tmp-"
)

// reserveBytes is disk space held back from the samples, so that a run whose disk fills up can still write its status,
// its verdict and its sums.
const reserveBytes = 64 << 10

// Status is the state of a run folder.
type Status string

// The states of a run.
const (
	Running  Status = "running"  // its writer lives
	Complete Status = "complete" // it ended as planned, whatever its verdict
	Partial  Status = "partial"  // it was cut short: interrupted, killed, disk full
	Aborted  Status = "aborted"  // it ended before its first counted request
	Refused  Status = "refused"  // checks refused it before anything was counted
	Unknown  Status = "unknown"  // its file says none of these, or cannot be read: the folder is damaged
)

func (s Status) valid() bool {
	switch s {
	case Running, Complete, Partial, Aborted, Refused:
		return true
	}
	return false
}

// The errors that callers act on. Each is wrapped in a sentence that names the folder or file and says what to do.
var (
	ErrDamaged   = errors.New("DAMAGED")
	ErrExists    = errors.New("already exists")
	ErrNotFound  = errors.New("no such run")
	ErrAmbiguous = errors.New("several runs match")
	ErrForeign   = errors.New("not a run folder")
	ErrSymlink   = errors.New("is a symbolic link")
	ErrOutside   = errors.New("is not a plain file name")
	ErrBadID     = errors.New("bad run id")
	ErrNoSpace   = errors.New("no space left on the disk")
	ErrReadOnly  = errors.New("cannot be written")
	ErrClosed    = errors.New("run is closed")
)
