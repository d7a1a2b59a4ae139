// Command image builds the container image of splitbench as a local tarball, onto an empty base: one layer with the
// static program, as user 65532, and nothing else. ko does the same onto distroless for releases (.ko.yaml); this is
// for where no registry can be reached.
//
//	go run ./image -program ../../bin/splitbench -out ../../dist/splitbench-image.tar
package main

import (
	"archive/tar"
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// nonroot is the user of distroless images.
const nonroot = "65532:65532"

func main() {
	program := flag.String("program", "", "static program to put into the image")
	out := flag.String("out", "", "tarball to write, as docker load and ctr import read it")
	tag := flag.String("tag", "splitbench.local/splitbench:dev", "name of the image")
	flag.Parse()
	if err := build(*program, *out, *tag); err != nil {
		fmt.Fprintf(os.Stderr, "image: %v\n", err)
		os.Exit(2)
	}
}

func build(program, out, tag string) error {
	ref, err := name.NewTag(tag)
	if err != nil {
		return err
	}
	binary, err := os.ReadFile(program)
	if err != nil {
		return fmt.Errorf("read -program: %w", err)
	}
	layer, err := layerOf(binary)
	if err != nil {
		return err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return fmt.Errorf("append layer: %w", err)
	}
	image, err = mutate.ConfigFile(image, &v1.ConfigFile{
		Architecture: runtime.GOARCH, OS: "linux", Created: v1.Time{Time: time.Unix(0, 0).UTC()},
		RootFS: v1.RootFS{Type: "layers", DiffIDs: mustDiffIDs(image)},
		Config: v1.Config{
			Entrypoint: []string{"/splitbench"}, User: nonroot, WorkingDir: "/results", Env: []string{"PATH=/"},
			Labels: map[string]string{
				"org.opencontainers.image.title": "splitbench", "org.opencontainers.image.licenses": "Apache-2.0",
			},
		},
	})
	if err != nil {
		return fmt.Errorf("configure image: %w", err)
	}
	return tarball.WriteToFile(out, ref, image)
}

func mustDiffIDs(i v1.Image) []v1.Hash {
	c, err := i.ConfigFile()
	if err != nil {
		panic(err) // of an image that was made a moment ago in memory
	}
	return c.RootFS.DiffIDs
}

// layerOf is the program and a folder for results that its user may write in. The same program gives the same bytes.
func layerOf(program []byte) (v1.Layer, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	epoch := time.Unix(0, 0)
	for _, h := range []*tar.Header{
		{Name: "results/", Typeflag: tar.TypeDir, Mode: 0o755, Uid: 65532, Gid: 65532, ModTime: epoch},
		{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777, ModTime: epoch},
		{Name: "splitbench", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(program)), ModTime: epoch},
	} {
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("write layer: %w", err)
		}
	}
	if _, err := w.Write(program); err != nil {
		return nil, fmt.Errorf("write layer: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("write layer: %w", err)
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
}
