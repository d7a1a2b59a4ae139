package store

import (
	"errors"
	"io"
	"io/fs"
	"testing"
)

func TestStreamsBesideTheSamples(t *testing.T) {
	dir := t.TempDir()
	r := create(t, dir, idA)
	do(t, r.Append([]byte("one")), r.AppendTo("frames-1.sbw", []byte("two")), r.AppendTo(SamplesFile, []byte("three")),
		r.AppendTo("frames-1.sbw", []byte("four")))
	if err := r.AppendTo("../x", nil); !errors.Is(err, ErrOutside) {
		t.Errorf("a path: %v", err)
	}
	do(t, r.WriteFile("manifest.json", []byte("{}\n")))
	if err := r.AppendTo("manifest.json", nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a small file: %v", err)
	}
	do(t, r.Close(Complete))
	if err := r.AppendTo("frames-1.sbw", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	f, err := Open(dir, idA)
	do(t, err)
	wantState(t, f, "complete")
	for name, want := range map[string]string{SamplesFile: "onethree", "frames-1.sbw": "twofour"} {
		s, err := f.OpenStream(name)
		do(t, err)
		b, err := io.ReadAll(s)
		do(t, err, s.Close())
		if string(b) != want {
			t.Errorf("%s = %q, want %q", name, b, want)
		}
	}
	if _, err := f.OpenStream("frames-2.sbw"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a stream that is not there: %v", err)
	}
}
