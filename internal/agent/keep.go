package agent

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Bounds of reading a page of which lines are kept.
const (
	maxLine     = 64 << 10  // longer lines are left out
	maxPageRead = 256 << 20 // of the page, however little of it is kept
)

// errPageTooLong ends the reading of a page that has no end.
var errPageTooLong = errors.New("the page is longer than 256 MiB")

// lineKeeper reads the lines of a page that hold all strings of one of the sets, in memory that does not grow with the
// page: a proxy's metrics can be tens of megabytes, of which a few lines are asked for.
type lineKeeper struct {
	in   *bufio.Reader
	sets [][][]byte
	rest []byte // of the line that is being given out
	read int64
	long bool // inside a line that is left out
}

func newLineKeeper(in io.Reader, sets [][]string) *lineKeeper {
	k := &lineKeeper{in: bufio.NewReaderSize(in, maxLine)}
	for _, set := range sets {
		words := make([][]byte, 0, len(set))
		for _, w := range set {
			words = append(words, []byte(w))
		}
		k.sets = append(k.sets, words)
	}
	return k
}

// Read implements io.Reader.
func (k *lineKeeper) Read(p []byte) (int, error) {
	for len(k.rest) == 0 {
		line, err := k.in.ReadSlice('\n')
		if k.read += int64(len(line)); k.read > maxPageRead {
			return 0, errPageTooLong
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			k.long = true
			continue
		case len(line) == 0 && err != nil:
			return 0, err
		case k.long:
			k.long = false
		case k.wanted(line):
			k.rest = line // stays as it is until the next ReadSlice, which comes when it was given out
		}
		if err != nil && len(k.rest) == 0 {
			return 0, err
		}
	}
	n := copy(p, k.rest)
	k.rest = k.rest[n:]
	return n, nil
}

func (k *lineKeeper) wanted(line []byte) bool {
	for _, set := range k.sets {
		all := true
		for _, word := range set {
			all = all && bytes.Contains(line, word)
		}
		if all {
			return true
		}
	}
	return false
}
