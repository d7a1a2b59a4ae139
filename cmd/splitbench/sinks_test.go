package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestReplaceFile(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) error {
		return replaceFile("--out", at(name), func(w io.Writer) error { _, err := fmt.Fprint(w, text); return err })
	}
	if err := errors.Join(
		os.WriteFile(at("file"), []byte("old"), 0o600), os.Symlink("file", at("link")), os.Symlink("nothing", at("nowhere")),
		os.Mkdir(at("folder"), 0o755), exec.CommandContext(t.Context(), "mkfifo", at("pipe")).Run(),
	); err != nil {
		t.Fatal(err)
	}
	read := make(chan string)
	go func() {
		b, err := os.ReadFile(at("pipe"))
		read <- fmt.Sprint(string(b), err)
	}()
	if err := errors.Join(write("new", "a"), write("link", "b"), write("pipe", "c")); err != nil {
		t.Fatal(err)
	}
	if got := <-read; got != "c<nil>" {
		t.Errorf("the pipe's reader got %q", got)
	}
	for name, want := range map[string]os.FileMode{"pipe": os.ModeNamedPipe, "link": os.ModeSymlink, "file": 0} {
		if s, err := os.Lstat(at(name)); err != nil || s.Mode().Type() != want {
			t.Errorf("%s is %v afterwards (%v), want it to stay %v", name, s.Mode(), err, want)
		}
	}
	for name, want := range map[string]string{"new": "a", "file": "b"} {
		if b, err := os.ReadFile(at(name)); err != nil || string(b) != want {
			t.Errorf("%s holds %q, %v, want %q", name, b, err, want)
		}
	}
	for _, name := range []string{"folder", "nowhere", "no/folder"} {
		if err := write(name, "x"); err == nil {
			t.Errorf("%s was written over", name)
		}
	}
	left, err := filepath.Glob(at(".splitbench-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	if err := replaceFile("--junit", os.DevNull, func(w io.Writer) error { _, err := w.Write([]byte("x")); return err }); err != nil {
		t.Error(err)
	}
}
