package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// State is what Verify found.
type State string

// The states of a stored run.
const (
	VerifiedComplete State = "complete" // it ended as planned and every file is as it was written
	VerifiedPartial  State = "partial"  // it was cut short, or is still being written; what is summed is as it was written
	Damaged          State = "damaged"  // a file is missing, changed or unreadable
)

// Verification is the result of Verify.
type Verification struct {
	State    State
	Problems []Problem // of a damaged run, by name
	Extra    []string  // files that the run did not write; they are no damage
	Running  bool      // it is being written now: nothing was summed yet

	Signer ssh.PublicKey // who signed the sums; nil: nobody
}

// Problem is one damaged file.
type Problem struct {
	File string `json:"file"`
	Why  string `json:"why"` // "is missing", "was changed", ...
}

// String says it in one sentence.
func (v Verification) String() string {
	switch {
	case v.State == Damaged:
		var all []string
		for _, p := range v.Problems {
			all = append(all, p.File+" "+p.Why)
		}
		return "damaged: " + strings.Join(all, "; ")
	case v.Running:
		return "partial: it is still being written"
	}
	return string(v.State)
}

// Verify compares every file of the run with SHA256SUMS. Its error is a folder that cannot be read at all; damage is
// a result.
func (f Folder) Verify() (Verification, error) {
	now, err := readFolder(f.Dir)
	if err != nil {
		return Verification{}, err
	}
	if now.unsummed() {
		return Verification{State: VerifiedPartial, Running: now.probe() != lockFree}, nil
	}
	v := Verification{State: VerifiedComplete}
	if now.Status != Complete {
		v.State = VerifiedPartial
	}
	want, damage, err := now.wanted()
	if err != nil {
		return Verification{}, err
	}
	if damage != "" {
		v.State, v.Problems = Damaged, []Problem{{SumsFile, damage}}
		return v, nil
	}
	if _, ok := want[StatusFile]; !ok {
		v.Problems = append(v.Problems, Problem{SumsFile, "does not name " + StatusFile})
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		switch got, err := now.sum(name); {
		case err != nil && !now.has(name):
			v.Problems = append(v.Problems, Problem{name, "is missing"})
		case err != nil:
			v.Problems = append(v.Problems, Problem{name, "cannot be read: " + err.Error()})
		case got != want[name]:
			v.Problems = append(v.Problems, Problem{name, "was changed"})
		}
	}
	if v.Signer, err = Signer(filepath.Join(f.Dir, SumsFile)); err != nil {
		v.Problems = append(v.Problems, Problem{SignatureFile, err.Error()})
	}
	if len(v.Problems) > 0 {
		v.State = Damaged
	}
	v.Extra, err = now.extra(want)
	return v, err
}

// Whole is ErrDamaged where a file of the run is not as the run wrote it, whichever: nothing of it is to be
// believed then.
func (f Folder) Whole() error {
	v, err := f.Verify()
	if err == nil && v.State == Damaged {
		err = f.damaged(v)
	}
	return err
}

func (f Folder) damaged(v Verification) error {
	return fmt.Errorf("run %s: %w: %s: it has no outcome (splitbench results verify %s)", f.ID, ErrDamaged,
		strings.TrimPrefix(v.String(), string(Damaged)+": "), f.path())
}

func (f Folder) extra(known map[string]string) ([]string, error) {
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		return nil, fmt.Errorf("verify run %s: %w", f.ID, err)
	}
	var extra []string
	for _, e := range entries {
		if _, ok := known[e.Name()]; !ok && e.Name() != SumsFile && e.Name() != SignatureFile &&
			!strings.HasPrefix(e.Name(), ".") {
			extra = append(extra, e.Name())
		}
	}
	return extra, nil
}

// sumAll sums every regular file of the run.
func (f Folder) sumAll() (map[string]string, error) {
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		return nil, err
	}
	sums := map[string]string{}
	for _, e := range entries {
		if !e.Type().IsRegular() || e.Name() == SumsFile || e.Name() == SignatureFile || checkName(e.Name()) != nil {
			continue
		}
		if sums[e.Name()], err = f.sum(e.Name()); err != nil {
			return nil, err
		}
	}
	return sums, nil
}

func (f Folder) sum(name string) (string, error) {
	file, err := f.openAny(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	return sumOf(file)
}

func sumOf(file io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// unsummed reports whether there can be no sums: the run is being written, or its writer was killed and nobody could
// mark it yet.
func (f Folder) unsummed() bool { return f.Status == Running || !f.has(SumsFile) && f.has(lockFile) }

// wanted are the sums that the run wrote, and what is wrong with them.
func (f Folder) wanted() (sums map[string]string, damage string, err error) {
	if !f.has(SumsFile) {
		return nil, "is missing", nil
	}
	b, err := readRegular(f.Dir, SumsFile)
	if err != nil {
		return nil, "", err
	}
	sums, damage = parseSums(b)
	return sums, damage, nil
}

// damage is why an opened file is not to be believed, empty where it is as the run wrote it. The file is at its start
// again.
func (f Folder) damage(name string, file *os.File) string {
	if f.unsummed() {
		return ""
	}
	want, damage, err := f.wanted()
	switch {
	case err != nil:
		return "cannot be held against " + SumsFile + ": " + err.Error()
	case damage != "":
		return "cannot be held against " + SumsFile + ", which " + damage
	case want[StatusFile] != hexSum([]byte(f.Status+"\n")):
		return "is of a run whose " + StatusFile + " was changed"
	case want[name] == "":
		return "was not written by the run: " + SumsFile + " does not name it"
	}
	got, err := sumOf(file)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	switch {
	case err != nil:
		return "cannot be read: " + err.Error()
	case got != want[name]:
		return "was changed after the run wrote it"
	}
	return ""
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// formatSums writes what `sha256sum -c` reads.
func formatSums(sums map[string]string) []byte {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		fmt.Fprintf(&b, "%s  %s\n", sums[name], name)
	}
	return b.Bytes()
}

// parseSums reads it back, and says what is wrong with it. Names are checked: they are about to be opened.
func parseSums(b []byte) (sums map[string]string, damage string) {
	sums = map[string]string{}
	for i, line := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") {
		sum, name, ok := strings.Cut(line, "  ")
		raw, err := hex.DecodeString(sum)
		if !ok || err != nil || len(raw) != sha256.Size || checkName(name) != nil {
			return nil, fmt.Sprintf("line %d is not a SHA-256 sum and a name", i+1)
		}
		if _, twice := sums[name]; twice {
			return nil, fmt.Sprintf("line %d names %s again", i+1, name)
		}
		sums[name] = sum
	}
	return sums, ""
}
