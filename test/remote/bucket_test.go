package remote

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// newTeam is a user with the credentials of the bucket's owner, on a machine of his own.
func newTeam(t *testing.T, b *bucket) *user {
	t.Helper()
	return newUser(t, append(b.env, "SPLITBENCH_RESULTS_DIR="+b.url)...)
}

// has is what the user's machine has of the reference run: a path below its folder there, or "".
func (u *user) has(path string) string {
	u.t.Helper()
	found, err := filepath.Glob(filepath.Join(u.home, ".cache/splitbench/buckets/*", reference, path))
	if err != nil || len(found) > 1 {
		u.t.Fatalf("%q, %v", found, err)
	}
	return strings.Join(found, "")
}

func lines(s string) int { return strings.Count(s, "\n") }

// A run that was measured on one machine is listed, compared, verified and shown on another.
func TestRunsInABucket(t *testing.T) {
	each(t, func(t *testing.T, b *bucket) {
		here := newTeam(t, b)
		demo, _, _ := here.command("demo", "--requests", "300", "--rate", "1000")
		_ = demo.Run() // whatever its outcome: it is stored
		here.run("results", "import", filepath.Join(results, reference))
		there := newTeam(t, b)
		list := strings.Fields(there.run("results", "list", "-o", "name"))
		if len(list) != 2 || list[1] != reference {
			t.Fatalf("listed there: %q", list)
		}
		there.run("results", "verify")
		there.run("results", "show", "latest")
		there.run("results", "compare", reference, "latest", "--fail-on", "invalid")
		there.run("results", "pin", reference)
		there.served(t, list[0])
		if pruned := here.run("results", "prune", "--keep", "0"); strings.TrimSpace(pruned) != list[0] {
			t.Errorf("pruned %q, want the one that nobody pinned elsewhere", pruned)
		}
		if left := there.run("results", "list", "-o", "name"); strings.TrimSpace(left) != reference {
			t.Errorf("left are %q", left)
		}
		if left := b.keys(t, "splits/"+list[0]); len(left) > 0 {
			t.Errorf("the pruned run left %q", left)
		}
	})
}

// served asks `serve` for a page of a run.
func (u *user) served(t *testing.T, run string) {
	t.Helper()
	cmd, _, stderr := u.command("serve", "--listen", "127.0.0.1:0")
	cmd.Stdout = nil
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(cmd.Process.Kill(), cmd.Wait()) }()
	var address string
	if _, err := fmt.Fscanln(out, &address); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	res, err := http.Get(address + "runs.json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var body strings.Builder
	if err := res.Write(&body); err != nil || !strings.Contains(body.String(), run) {
		t.Errorf("%v: the page lacks %s:\n%s", err, run, body.String())
	}
}

// Who may not use a bucket is told so in one sentence, before anything is measured, and leaves nothing behind.
func TestRefusedBuckets(t *testing.T) {
	each(t, func(t *testing.T, b *bucket) {
		for what, c := range b.refused {
			u := newUser(t, append(c.env, "SPLITBENCH_RESULTS_DIR="+c.url)...)
			for _, args := range [][]string{{"results", "list"}, {"results", "import", filepath.Join(results, reference)}} {
				cmd, stdout, stderr := u.command(args...)
				err := cmd.Run()
				if said := stderr.String(); err == nil || !strings.Contains(said, c.say) || lines(said) != 1 || stdout.Len() > 0 {
					t.Errorf("%s: %s: %v, %q, %q, want one line with %q", what, args, err, stdout, said, c.say)
				}
			}
		}
		if left := b.keys(t, ""); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	})
}

// What is foreign in a bucket is passed over; what says it is a run and is none is named, and the others are listed.
func TestHostileObjects(t *testing.T) {
	each(t, func(t *testing.T, b *bucket) {
		writer := newTeam(t, b)
		writer.run("results", "import", filepath.Join(results, reference))
		const bad = "20260101t000000z-"
		for key, text := range map[string]string{
			"README": "hello", "photos/SHA256SUMS": "x", "photos/": "", reference + "/": "",
			reference + "/evil.html": "x", reference + "/../../x": "x", reference + "/a/status": "x",
			bad + "none/manifest.json": "{}", bad + "evil/SHA256SUMS": "hello",
			bad + "climbs/SHA256SUMS": strings.Repeat("0", 64) + "  ../../x\n",
			bad + "lacks/SHA256SUMS":  strings.Repeat("0", 64) + "  status\n",
			bad + "large/SHA256SUMS":  strings.Repeat(" ", 1<<20+1),
		} {
			b.put(t, "splits/"+key, text)
		}
		reader := newTeam(t, b)
		cmd, stdout, stderr := reader.command("results", "list", "-o", "name")
		err := cmd.Run()
		if stdout.String() != reference+"\n" || cmd.ProcessState.ExitCode() != 4 || lines(stderr.String()) != 4 {
			t.Errorf("%v: %q, %q", err, stdout, stderr)
		}
		for _, id := range []string{"evil", "climbs", "lacks", "large"} {
			if !strings.Contains(stderr.String(), bad+id) {
				t.Errorf("%q does not name %s", stderr, id)
			}
		}
		_ = os.Remove(reader.has(".sent"))
		sameFiles(t, filepath.Join(results, reference), reader.has(""))
		b.put(t, "splits/"+reference+"/status", "complete?")
		cmd, stdout, _ = writer.command("results", "verify")
		if err := cmd.Run(); err == nil || !strings.Contains(stdout.String(), "status was changed in the bucket") {
			t.Errorf("a file was changed: %v, %q", err, stdout)
		}
	})
}

// Of two writers of an id one has it, even where both claim it at the same moment, and nothing of the other's is there.
func TestTwoWriters(t *testing.T) {
	other := filepath.Join(t.TempDir(), reference)
	if err := os.CopyFS(other, os.DirFS(filepath.Join(results, reference))); err != nil {
		t.Fatal(err)
	}
	sums, page := filepath.Join(other, "SHA256SUMS"), filepath.Join(other, "report.html")
	listed, err := os.ReadFile(sums)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(listed), "\n")
	i := slices.IndexFunc(lines, func(line string) bool { return strings.HasSuffix(line, "  report.html\n") })
	lines[i] = fmt.Sprintf("%x  report.html\n", sha256.Sum256([]byte("another's")))
	if err := errors.Join(os.WriteFile(page, []byte("another's"), 0o600),
		os.WriteFile(sums, []byte(strings.Join(lines, "")), 0o600)); err != nil {
		t.Fatal(err)
	}
	const taken = "another writer has this id there"
	each(t, func(t *testing.T, b *bucket) {
		if b.front != nil {
			b.meet = make(chan struct{})
		}
		for round := range 3 {
			at := b.folder(fmt.Sprintf("round-%d", round))
			var errs [2]error
			var said [2]*bytes.Buffer
			var both sync.WaitGroup
			for i, run := range []string{filepath.Join(results, reference), other} {
				var cmd *exec.Cmd
				cmd, _, said[i] = newTeam(t, b).command("results", "import", run, "--results-dir", at)
				both.Go(func() { errs[i] = cmd.Run() })
			}
			both.Wait()
			if (errs[0] == nil) == (errs[1] == nil) || !strings.Contains(said[0].String()+said[1].String(), taken) {
				t.Errorf("round %d: %v: %q, %q", round, errs, said[0], said[1])
			}
			reader := newTeam(t, b)
			reader.run("results", "verify", "--results-dir", at)
			won := []string{filepath.Join(results, reference), other}[slices.Index(errs[:], nil)]
			sameFiles(t, filepath.Join(won, "report.html"), reader.has("report.html"))
		}
		if b.front == nil {
			return
		}
		if b.met.Load() != 3 {
			t.Errorf("two claims met %d times", b.met.Load())
		}
		// One after another does not need the condition. It is signed, but to a server that asks nobody who he is.
		if b.meet, b.deaf = nil, true; strings.HasPrefix(b.url, "gs") {
			newTeam(t, b).run("results", "import", other)
			late := newTeam(t, b).fails("results", "import", filepath.Join(results, reference))
			if !strings.Contains(late, taken) {
				t.Errorf("where the condition is not heard: %q", late)
			}
			newTeam(t, b).run("results", "verify")
		}
	})
}
