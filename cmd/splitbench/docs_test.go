package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

// consoleBlocks are the commands of the ```console blocks of a document.
func consoleBlocks(t *testing.T, file string) (blocks [][]string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	inside := false
	for line := range strings.SplitSeq(string(b), "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			if inside = line == "```console"; inside {
				blocks = append(blocks, nil)
			}
		case inside && strings.HasPrefix(line, "$ "):
			command, _, _ := strings.Cut(line[2:], " # ")
			last := &blocks[len(blocks)-1]
			*last = append(*last, strings.TrimSpace(command))
		}
	}
	return blocks
}

func documents(t *testing.T) []string {
	t.Helper()
	files := []string{"../../README.md", "../../CONTRIBUTING.md", "../../SECURITY.md"}
	more, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	return append(files, more...)
}

var quoted = regexp.MustCompile(`'[^']*'|\S+`)

// TestDocumentedCommands runs every command that the documents show. None may be a usage error or end in anything but a verdict.
// A document is a session, whose commands are run in their order; a block of latency runs, or a drill, is one of its own.
func TestDocumentedCommands(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(plainServer)) // what the documents have on localhost:9898
	t.Cleanup(server.Close)
	ran := 0
	for _, file := range documents(t) {
		var main [][]string
		for _, block := range consoleBlocks(t, file) {
			words := splitbenchWords(t, file, block, server.URL)
			ran += len(words)
			if len(words) > 0 && (words[0][1] == "latency" || words[0][1] == "drill") {
				t.Run(filepath.Base(file)+"/"+words[0][1], func(t *testing.T) { runSession(t, words) })
				continue
			}
			main = append(main, words...)
		}
		if len(main) > 0 {
			t.Run(filepath.Base(file), func(t *testing.T) { runSession(t, main) })
		}
	}
	if ran < 10 {
		t.Errorf("only %d commands were found", ran)
	}
}

// splitbenchWords are the commands of the block that are ours. Of make's the targets are looked up.
func splitbenchWords(t *testing.T, file string, block []string, server string) (out [][]string) {
	t.Helper()
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range block {
		words := quoted.FindAllString(command, -1)
		for i, w := range words {
			words[i] = strings.ReplaceAll(strings.Trim(w, "'"), "http://localhost:9898", server)
		}
		switch words[0] {
		case "make":
			for _, target := range words[1:] {
				if !bytes.Contains(makefile, []byte("\n"+target+":")) {
					t.Errorf("%s: make has no target %s", file, target)
				}
			}
		case "splitbench":
			out = append(out, shortened(words))
		default:
			t.Errorf("%s: %s: this test does not know how to run it", file, command)
		}
	}
	return out
}

// runSession runs commands one after the other on two healthy demo clusters.
func runSession(t *testing.T, commands [][]string) {
	t.Parallel()
	world, err := demo.Start(t.Context(), demo.Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer world.Close()
	dir := t.TempDir()
	env := map[string]string{
		"SPLITBENCH_RESULTS_DIR": filepath.Join(dir, "results"), "SPLITBENCH_KUBECONFIG": filepath.Join(dir, "kubeconfig"),
	}
	if err := os.WriteFile(env["SPLITBENCH_KUBECONFIG"], world.Kubeconfig(), 0o600); err != nil {
		t.Fatal(err)
	}
	private, public := keyPair(t, dir, "id_ed25519")
	page := filepath.Join(dir, "report.html")
	keepFile(t, page, []byte("<!doctype html>"))
	here := map[string]string{"id_ed25519": private, "team.pub": public, "report.html": page}
	for _, name := range []string{"run.parquet", "run.csv", "attack.parquet"} {
		here[name] = filepath.Join(dir, name)
	}
	carryOut := func(words []string) {
		for i, w := range words {
			words[i] = cmp.Or(here[w], w)
		}
		var stdout, stderr bytes.Buffer
		code := run(context.Background(), words, surroundings{
			stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, getenv: func(k string) string { return env[k] },
		})
		if code != 0 {
			t.Errorf("%s: exit code %d\n%s%s", strings.Join(words, " "), code, stdout.String(), stderr.String())
		}
	}
	var under sync.WaitGroup // a drill that goes on while the next command, a mark, is carried out
	defer under.Wait()
	for _, words := range commands {
		switch words[1] {
		case "demo":
			env["SPLITBENCH_KUBECONFIG"] = serveDemo(t, words)
		case "drill":
			under.Go(func() { carryOut(words) })
		case "mark":
			awaitRunning(t, env["SPLITBENCH_RESULTS_DIR"])
			carryOut(words)
		default:
			under.Wait()
			carryOut(words)
		}
	}
}

// serveDemo carries out `demo --serve` until the test ends, and reads which kubeconfig it says to export.
func serveDemo(t *testing.T, words []string) (kubeconfig string) {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	printed, stdout := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		code := run(ctx, words, surroundings{
			stdin: strings.NewReader(""), stdout: stdout, stderr: io.Discard, getenv: func(string) string { return "" },
		})
		stdout.CloseWithError(fmt.Errorf("it ended with exit code %d", code))
	}()
	t.Cleanup(func() { interrupt(); <-ended })
	line, err := bufio.NewReader(printed).ReadString('\n')
	file, found := strings.CutPrefix(strings.TrimSpace(line), "export KUBECONFIG=")
	if err != nil || !found {
		t.Fatalf("%s: printed %q: %v", strings.Join(words, " "), line, err)
	}
	return file
}

// shortened is a command as this test can afford it: what a reader lets go on for minutes or days goes on for seconds.
// Nothing fails on healthy clusters, which no drill passes, and a watch of seconds decides nothing: the verdict is not
// what is tested here.
func shortened(words []string) []string {
	more := map[string][]string{
		"latency": {"--rounds", "20", "--round-duration", "100ms", "--fail-on", "never"},
		"drill":   {"--duration", "3s", "--fail-on", "never"},
		"watch":   {"--for", "2s", "--fail-on", "never"},
	}
	return append(words, more[words[1]]...)
}

// awaitRunning waits until a run is under way.
func awaitRunning(t *testing.T, dir string) {
	t.Helper()
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if f, err := store.OpenRunning(dir, "latest"); err == nil {
			if _, err := f.ReadFile(record.ManifestFile); err == nil {
				return
			}
		}
	}
	t.Error("no run is under way for the mark")
}

// TestJSONExample compares the example of docs/json.md with what the program prints.
func TestJSONExample(t *testing.T) {
	const file = "../../docs/json.md"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "```json\n")
	want, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatalf("%s has no example", file)
	}
	var stdout, stderr bytes.Buffer
	run(t.Context(), strings.Fields(consoleBlocks(t, file)[0][0]), surroundings{
		stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, getenv: func(string) string { return "" },
	})
	if stdout.String() == want {
		return
	}
	if !*update {
		t.Fatalf("the example is not what the program prints; go test ./cmd/splitbench -update rewrites it\n%s", stdout.String())
	}
	if _, err := report.ReadJSON(bytes.NewReader(stdout.Bytes())); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(b), want, stdout.String(), 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestJSONDocumentNamesEverySchema: a kind of document that the page does not name is one that nobody finds.
func TestJSONDocumentNamesEverySchema(t *testing.T) {
	page, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	schemas, err := filepath.Glob("../../docs/schema/*.json")
	if err != nil || len(schemas) == 0 {
		t.Fatalf("%d schemas, %v", len(schemas), err)
	}
	for _, s := range schemas {
		if link := "(schema/" + filepath.Base(s) + ")"; !strings.Contains(string(page), link) {
			t.Errorf("docs/json.md has no link %s", link)
		}
	}
}

// TestReadmeIsShort holds the README to what a newcomer reads; the rest has its own pages.
func TestReadmeIsShort(t *testing.T) {
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(strings.Fields(string(b))); n > 900 {
		t.Errorf("the README has %d words, want at most 900: move pages by task to docs/", n)
	}
}

var link = regexp.MustCompile(`\]\(([^)#: ]+)[^):]*\)`)

// TestLinksLead looks every relative link of the documents up.
func TestLinksLead(t *testing.T) {
	found := 0
	for _, file := range documents(t) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(b), -1) {
			found++
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s: the link to %s: %v", filepath.Base(file), m[1], err)
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d links were found", found)
	}
}

var (
	testName = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w*`)
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(`)
)

// TestPromisesAreHeld looks up every test that docs/security.md names, and wants one for each promise.
func TestPromisesAreHeld(t *testing.T) {
	known := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range testFunc.FindAllSubmatch(b, -1) {
			known[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	promises := 0
	for line := range strings.Lines(string(page)) {
		names := testName.FindAllString(line, -1)
		for _, name := range names {
			if !known[name] {
				t.Errorf("docs/security.md names %s, which is no test", name)
			}
		}
		if row := strings.HasPrefix(line, "| "); row && !strings.Contains(line, "| held by |") {
			promises++
			if len(names) == 0 {
				t.Errorf("no test holds the promise %s", line)
			}
		}
	}
	if promises < 20 {
		t.Errorf("only %d promises were found", promises)
	}
}
