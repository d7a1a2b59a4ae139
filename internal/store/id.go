package store

import (
	"encoding/base32"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

const (
	idTimeLayout = "20060102t150405z"
	maxID        = 63 // a DNS-1123 label: usable as a Kubernetes label value and object name
)

var (
	idPattern     = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	idTimePattern = regexp.MustCompile(`^\d{8}t\d{6}z(-|$)`)
)

// NewID names a run: UTC start, namespace, split and four random base32 characters, e.g.
// 20261122t071502z-test-podinfo-k3f9. It is a DNS-1123 label of at most 63 characters, so it sorts by time and can
// name a Kubernetes object. Namespace and split are shortened, and other characters than a-z, 0-9 and - replaced, to
// make it one. random is read for 3 bytes; its failure is the only error.
func NewID(started time.Time, ns, split string, random io.Reader) (string, error) {
	var b [3]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("name the run: read random bytes: %w", err)
	}
	suffix := strings.ToLower(base32.StdEncoding.EncodeToString(b[:])[:4])
	room := maxID - len(idTimeLayout) - len(suffix) - len("---")
	ns, split = label(ns), label(split)
	// The split says more than the namespace: it may take all the room but a short namespace.
	split = cutLabel(split, room-min(len(ns), 8))
	ns = cutLabel(ns, room-len(split))
	return strings.Join([]string{started.UTC().Format(idTimeLayout), ns, split, suffix}, "-"), nil
}

// Started is the start that a run's id names, to the second, also where none of its files can be read; false for an id
// without a time.
func (f Folder) Started() (time.Time, bool) {
	at, err := time.Parse(idTimeLayout, started(f.ID))
	return at, err == nil
}

// label turns s into lower-case letters, digits and inner dashes; "x" where nothing is left.
func label(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, s)
	if s = strings.Trim(s, "-"); s == "" {
		return "x"
	}
	return s
}

func cutLabel(s string, n int) string {
	if len(s) > n {
		s = strings.TrimRight(s[:n], "-")
	}
	return s
}

// IsID reports whether a run can have this id.
func IsID(id string) bool { return checkID(id) == nil }

// checkID accepts what NewID makes: names without a time would make "latest" a matter of luck.
func checkID(id string) error {
	if len(id) > maxID || !idPattern.MatchString(id) || !idTimePattern.MatchString(id) {
		return fmt.Errorf("run id %q: %w: want yyyymmddthhmmssz-NAME in lower-case letters, digits and dashes, at most %d",
			id, ErrBadID, maxID)
	}
	return nil
}
