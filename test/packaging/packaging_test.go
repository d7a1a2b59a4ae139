// Package packaging checks what is released: each file by the reader of the tool that it is for.
package packaging

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/goreleaser/goreleaser/v2/pkg/config"
	"github.com/rhysd/actionlint"
	"sigs.k8s.io/yaml"
)

const root = "../.."

func file(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func command(t *testing.T, dir string, argv ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}

// built is splitbench as a release builds it, once for all tests of this package.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "splitbench-packaging-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "kubectl-splitbench")
	cmd := exec.Command("go", "build", "-trimpath", "-tags=disable_grpc_modules", "-ldflags", "-s -w -buildid=", "-o", path, "./cmd/splitbench")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("%w\n%s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, _ := built(); dir != "" {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

func program(t *testing.T) string {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "kubectl-splitbench")
}

// goreleaser's own loader refuses keys that it does not know.
func TestGoreleaserReadsItsConfiguration(t *testing.T) {
	p, err := config.Load(filepath.Join(root, ".goreleaser.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for what, n := range map[string]int{
		"builds": len(p.Builds), "archives": len(p.Archives), "packages": len(p.NFPMs), "signatures": len(p.Signs), "signed images": len(p.DockerSigns),
		"images": len(p.Kos), "krew manifests": len(p.Krews), "casks": len(p.Casks),
	} {
		if n != 1 {
			t.Errorf("%d %s", n, what)
		}
	}
	if len(p.SBOMs) != 2 || p.Checksum.NameTemplate == "" {
		t.Errorf("sboms %d, checksums %q", len(p.SBOMs), p.Checksum.NameTemplate)
	}
	if len(p.Krews[0].ShortDescription) > 50 {
		t.Errorf("krew wants a short description of at most 50 characters: %q", p.Krews[0].ShortDescription)
	}
}

// plugin is a krew manifest; its fields are those of krew's index, v1alpha2.
type plugin struct {
	APIVersion string                `json:"apiVersion"`
	Kind       string                `json:"kind"`
	Metadata   struct{ Name string } `json:"metadata"`
	Spec       struct {
		Version          string `json:"version"`
		Homepage         string `json:"homepage"`
		ShortDescription string `json:"shortDescription"`
		Description      string `json:"description"`
		Caveats          string `json:"caveats"`
		Platforms        []struct {
			Selector struct {
				MatchLabels map[string]string `json:"matchLabels"`
			} `json:"selector"`
			URI    string                      `json:"uri"`
			Sha256 string                      `json:"sha256"`
			Bin    string                      `json:"bin"`
			Files  []struct{ From, To string } `json:"files"`
		} `json:"platforms"`
	} `json:"spec"`
}

// krew's rules, from its documentation: a name in kebab case that is the file's, one archive for each platform with a SHA-256
// and https, a binary that is among the files, and the licence in the archive.
func TestKrewManifest(t *testing.T) {
	text := strings.ReplaceAll(string(file(t, "packaging/krew.yaml")), "{{ .TagName }}", "v0.1.0")
	sum := strings.Repeat("a", 64)
	text = regexp.MustCompile(`\{\{addURIAndSha "([^"]+)" \.TagName \}\}`).ReplaceAllString(text, "uri: $1\n    sha256: "+sum)
	var p plugin
	if err := yaml.UnmarshalStrict([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	if p.APIVersion != "krew.googlecontainertools.github.com/v1alpha2" || p.Kind != "Plugin" || p.Metadata.Name != "splitbench" || p.Spec.Version != "v0.1.0" {
		t.Errorf("%+v", p)
	}
	if n := len(p.Spec.ShortDescription); n == 0 || n > 50 || p.Spec.Homepage == "" || p.Spec.Description == "" {
		t.Errorf("short description of %d characters", n)
	}
	seen := map[string]bool{}
	for _, x := range p.Spec.Platforms {
		platform := x.Selector.MatchLabels["os"] + "_" + x.Selector.MatchLabels["arch"]
		if seen[platform] || !strings.HasPrefix(x.URI, "https://") || !strings.HasSuffix(x.URI, "_"+platform+".tar.gz") || x.Sha256 != sum {
			t.Errorf("%s: %+v", platform, x)
		}
		seen[platform] = true
		var from []string
		for _, f := range x.Files {
			from = append(from, f.From)
		}
		if !slices.Contains(from, x.Bin) || !slices.Contains(from, "LICENSE") {
			t.Errorf("%s: files %q of binary %q", platform, from, x.Bin)
		}
	}
	if len(seen) != 5 {
		t.Errorf("%d platforms", len(seen))
	}
}

// actionlint reads the action as a workflow that uses it would, and knows what it takes and gives.
func TestActionMetadata(t *testing.T) {
	dir := t.TempDir()
	for name, b := range map[string][]byte{
		"action.yml": file(t, "action.yml"), ".github/workflows/split.yml": []byte(workflow),
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, b, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, ".git"), 0o755); err != nil {
		t.Fatal(err)
	}
	lint := func(text string) []*actionlint.Error {
		project, err := actionlint.NewProject(dir)
		if err != nil {
			t.Fatal(err)
		}
		l, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{WorkingDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		errs, err := l.Lint(filepath.Join(dir, ".github/workflows/split.yml"), []byte(text), project)
		if err != nil {
			t.Fatal(err)
		}
		return errs
	}
	for _, e := range lint(workflow) {
		t.Error(e)
	}
	// The linter does read the action: an input that it has not is found.
	if errs := lint(strings.Replace(workflow, "fail-on:", "fail_on:", 1)); len(errs) == 0 {
		t.Error("an unknown input was not noticed")
	}
}

// What a cluster says is no command to the runner, and arguments may stand on several lines.
func TestActionRunsItsWords(t *testing.T) {
	_, script, found := strings.Cut(string(file(t, "action.yml")), "SPLITBENCH_RESULTS_DIR: ${{ inputs.results-dir }}\n      run: |\n")
	if !found {
		t.Fatal("the action has no such step")
	}
	dir := t.TempDir()
	fake := "#!/bin/sh\nfor w; do echo \"<$w>\"; done\necho '##[add-mask]x'\nexit 3\n"
	if err := os.WriteFile(filepath.Join(dir, "splitbench"), []byte(fake), 0o700); err != nil {
		t.Fatal(err)
	}
	run := func() (words []string, token string) {
		cmd := exec.CommandContext(t.Context(), "bash", "-e", "-o", "pipefail", "-c", script)
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "ARGS=ts/podinfo -n test\n  --from 'deploy/frontend' $(id)\n", "FAIL_ON=fail",
			"GITHUB_OUTPUT="+filepath.Join(dir, "output"))
		out, err := cmd.Output()
		if cmd.ProcessState.ExitCode() != 3 {
			t.Fatalf("%v\n%s", err, out)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		token, ok := strings.CutPrefix(lines[0], "::stop-commands::")
		if last := lines[len(lines)-1]; !ok || last != "::"+token+"::" || len(token) != 32 {
			t.Fatalf("commands are not stopped: %q", lines)
		}
		return lines[1 : len(lines)-3], token
	}
	words, token := run()
	if got, want := strings.Join(words, " "), "<run> <ts/podinfo> <-n> <test> <--from> <'deploy/frontend'> <$(id)> <--fail-on> <fail>"; got != want {
		t.Errorf("it runs %s, want %s", got, want)
	}
	if _, again := run(); again == token {
		t.Error("the token can be guessed")
	}
	if b, err := os.ReadFile(filepath.Join(dir, "output")); !strings.HasPrefix(string(b), "exit-code=3\n") || err != nil {
		t.Errorf("output %q, %v", b, err)
	}
}

const workflow = `name: split
on: workflow_dispatch
jobs:
  split:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - id: split
        uses: ./
        with:
          version: v0.1.0
          sha256: "0000000000000000000000000000000000000000000000000000000000000000"
          args: -f splitbench.yaml
          fail-on: fail
      - if: always()
        run: echo "${{ steps.split.outputs.exit-code }}"
`

// The image is built as a tarball onto nothing: one layer, a user that is not root, and a program that runs.
func TestImage(t *testing.T) {
	out := filepath.Join(t.TempDir(), "image.tar")
	command(t, ".", "go", "run", "./image", "-program", program(t), "-out", out)
	image, err := tarball.ImageFromPath(out, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 || c.Config.User != "65532:65532" || !slices.Equal(c.Config.Entrypoint, []string{"/splitbench"}) {
		t.Fatalf("%d layers, %v, %+v", len(layers), err, c.Config)
	}
	r, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	files := map[string]*tar.Header{}
	path := filepath.Join(t.TempDir(), "splitbench")
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = h
		if h.Name == "splitbench" {
			var b bytes.Buffer
			if _, err := io.Copy(&b, tr); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, b.Bytes(), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(files) != 3 || files["results/"].Uid != 65532 || files["splitbench"].Mode != 0o755 {
		t.Errorf("files %v", files)
	}
	if text := command(t, t.TempDir(), path, "version"); !strings.HasPrefix(text, "splitbench ") {
		t.Errorf("the image's program says %q", text)
	}
}

// What Argo's Job provider makes of the template: a Job that is not retried and that fails the analysis at once; and the
// program takes the arguments that it is given.
func TestArgoGate(t *testing.T) {
	var template struct {
		Spec struct {
			Metrics []struct {
				Count, FailureLimit int
				Provider            struct {
					Job struct {
						Spec struct {
							BackoffLimit *int
							Template     struct {
								Spec struct {
									RestartPolicy string
									Containers    []struct{ Args []string }
								}
							}
						}
					}
				}
			}
		}
	}
	if err := yaml.Unmarshal(file(t, "examples/gates/argo-rollouts.yaml"), &template); err != nil {
		t.Fatal(err)
	}
	m := template.Spec.Metrics[0]
	job := m.Provider.Job.Spec
	if m.Count != 1 || m.FailureLimit != 0 || job.BackoffLimit == nil || *job.BackoffLimit != 0 || job.Template.Spec.RestartPolicy != "Never" {
		t.Errorf("a failure would be tried again: %+v", m)
	}
	args := slices.Clone(job.Template.Spec.Containers[0].Args)
	for i, a := range args {
		args[i] = strings.NewReplacer("{{args.split}}", "ts/podinfo", "{{args.namespace}}", "test", "{{args.from}}", "deploy/frontend").Replace(a)
		if strings.Contains(args[i], "{{") {
			t.Errorf("argument %q is not filled in", args[i])
		}
	}
	command(t, t.TempDir(), append([]string{program(t)}, append(args, "--help")...)...)
}
