//go:build linux

// Package soak runs the program for a long time on the demo's clusters while things break: runs and API servers are
// killed, disks fill up, pages are read. What may never happen is a false outcome, a process or file that is left, and
// memory that grows.
//
//	make soak SOAK=30m
package soak

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var (
	duration = flag.Duration("duration", 0, "how long to go on; 0: not at all")
	seed     = flag.Uint64("seed", 1, "seed of what is killed when")
)

const marker = "SPLITBENCH_SOAK"

// ledger counts what happened, from all goroutines.
type ledger struct {
	mu     sync.Mutex
	counts map[string]int
	wrong  []string
}

func (l *ledger) add(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[what]++
}

func (l *ledger) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
}

func (l *ledger) table() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	keys := make([]string, 0, len(l.counts))
	for k := range l.counts {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var b strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&b, "\n%-44s %6d", k, l.counts[k])
	}
	return b.String()
}

// soak is one soak: its program, its folder, and the name in the environment by which every descendant is known.
type soak struct {
	*ledger
	t       *testing.T
	program string
	dir     string
	id      string
}

func (s *soak) command(ctx context.Context, kubeconfig string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.program, args...)
	cmd.Env = append(os.Environ(), marker+"="+s.id, "TMPDIR="+filepath.Join(s.dir, "tmp"), "KUBECONFIG="+kubeconfig)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

// world is a pair of the demo's clusters in a process of their own, which can be killed and started again.
type world struct {
	s    *soak
	args []string

	// held for reading by who uses kubeconfig, so that a restart is between runs or in one, as drawn
	mu         sync.RWMutex
	cmd        *exec.Cmd
	kubeconfig string
}

func (w *world) start(ctx context.Context) error {
	cmd := w.s.command(ctx, "", append([]string{"demo", "--serve", "--quiet"}, w.args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return errors.Join(fmt.Errorf("demo --serve %s: %w", strings.Join(w.args, " "), err), cmd.Process.Kill(), cmd.Wait())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cmd, w.kubeconfig = cmd, strings.TrimPrefix(strings.TrimSpace(line), "export KUBECONFIG=")
	return nil
}

func (w *world) stop(sig syscall.Signal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.cmd.Process.Signal(sig); err != nil {
		w.s.fault("signal %v to a demo: %v", sig, err)
	}
	if err := w.cmd.Wait(); err != nil && sig != syscall.SIGKILL && w.cmd.ProcessState.ExitCode() != 143 {
		w.s.fault("a demo ended with %v", err)
	}
}

// target is what requests go to in the world as it is now.
func (w *world) target() []string {
	return []string{
		"ts/podinfo", "-n", "test", "--context", "west", "--remote-context", "east", "--from",
		"deploy/frontend", "-c", "nginx",
	}
}

// run does one run; it may be killed in the middle. forbidden is the outcome that would be false.
func (s *soak) run(ctx context.Context, rng *rand.Rand, name string, w *world, results string, forbidden int) {
	w.mu.RLock()
	kubeconfig := w.kubeconfig
	w.mu.RUnlock()
	args := append([]string{"run"}, w.target()...)
	args = append(args, "--rate", "400", "--requests", "3000", "--sequential", "--results-dir", results, "-o", "json")
	cmd := s.command(ctx, kubeconfig, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		s.fault("%v", err)
		return
	}
	killed := rng.IntN(4) == 0
	if killed {
		sig := []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM}[rng.IntN(2)]
		after := time.AfterFunc(time.Duration(rng.IntN(5000))*time.Millisecond, func() {
			if cmd.Process.Signal(sig) == nil {
				s.add(fmt.Sprintf("%s: %v", name, sig))
			}
		})
		defer after.Stop()
	}
	_ = cmd.Wait() // its exit code tells
	code := cmd.ProcessState.ExitCode()
	s.add(fmt.Sprintf("%s: exit code %d", name, code))
	if code == forbidden {
		s.fault("%s ended with exit code %d:\n%s%s", name, code, &stdout, &stderr)
	}
	if strings.Contains(stderr.String(), "panic:") || strings.Contains(stderr.String(), "goroutine ") {
		s.fault("%s: %s", name, &stderr)
	}
}

// resident is a process's memory in KiB, from the kernel.
func resident(pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(b)
	n := 0
	if m != nil {
		fmt.Sscan(string(m[1]), &n)
	}
	return n
}

// descendants are the processes that carry the soak's name, whoever their parent is now.
func (s *soak) descendants() (found []string) {
	paths, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err == nil && bytes.Contains(b, []byte(marker+"="+s.id+"\x00")) {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(p), "cmdline"))
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

func TestSoak(t *testing.T) {
	if *duration == 0 {
		t.Skip("a soak takes its time: make soak")
	}
	dir := t.TempDir()
	s := &soak{
		ledger: &ledger{counts: map[string]int{}}, t: t, program: filepath.Join(dir, "splitbench"), dir: dir,
		id: filepath.Base(dir),
	}
	if err := os.Mkdir(filepath.Join(dir, "tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", s.program, "../../cmd/splitbench")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("seed %d", *seed)

	right, wrong, steady := &world{s: s}, &world{s: s, args: []string{"--true-weights", "podinfo=70,podinfo-east=30"}},
		&world{s: s}
	for _, w := range []*world{right, wrong, steady} {
		if err := w.start(context.WithoutCancel(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	results := filepath.Join(dir, "results")
	ctx, cancel := context.WithTimeout(t.Context(), *duration)
	defer cancel()
	long, quit := context.WithCancel(t.Context())
	defer quit()
	watch := s.background(long, "watch", steady.kubeconfig, append(append([]string{"watch"}, steady.target()...), "--rate",
		"20", "--results-dir", filepath.Join(dir, "watch"))...)
	address := make(chan string, 1)
	serve := s.serve(long, results, address)
	before := map[string]int{}
	measure := func(into map[string]int) {
		into["watch"], into["serve"], into["demo --serve"] = resident(watch.pid()), resident(serve.pid()),
			resident(steady.cmd.Process.Pid)
	}
	warm := min(*duration/3, time.Minute)

	var wg sync.WaitGroup
	loop := func(n uint64, step func(rng *rand.Rand)) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(*seed, n))
			for ctx.Err() == nil {
				step(rng)
			}
		})
	}
	// A run that is under way when the time is over ends by itself: what it says counts.
	whole := context.WithoutCancel(ctx)
	loop(1, func(rng *rand.Rand) { s.run(whole, rng, "run, weights as declared", right, results, 1) })
	loop(2, func(rng *rand.Rand) { s.run(whole, rng, "run, other weights", wrong, results, 0) })
	loop(3, func(rng *rand.Rand) {
		w := []*world{right, wrong}[rng.IntN(2)]
		if !pause(ctx, time.Duration(5000+rng.IntN(20_000))*time.Millisecond) {
			return
		}
		w.stop(syscall.SIGKILL)
		s.add("API servers killed and started again")
		if err := w.start(whole); err != nil {
			s.fault("%v", err)
		}
	})
	if os.Getuid() == 0 {
		full := filepath.Join(dir, "full")
		loop(4, func(rng *rand.Rand) { s.fullDisk(ctx, rng, steady, full) })
	} else {
		t.Log("disks are not filled up: that needs root")
	}
	url := <-address
	loop(5, func(*rand.Rand) { s.read(ctx, url) })
	if pause(ctx, warm) {
		measure(before)
	}
	<-ctx.Done()
	wg.Wait()
	after := map[string]int{}
	measure(after)
	quit()
	watch.wait(s, 0, 3, 143)
	serve.wait(s, 0, 143)
	for _, w := range []*world{right, wrong, steady} {
		w.stop(syscall.SIGTERM)
	}
	s.accounts(results)
	if left := s.descendants(); len(left) > 0 {
		s.fault("%d processes are left: %q", len(left), left)
	}
	for name, kib := range after {
		s.t.Logf("memory of %-14s %6d KiB after %s, %6d KiB at the end", name, before[name], warm, kib)
		if kib > before[name]+before[name]/2+16<<10 {
			s.fault("%s grew from %d to %d KiB", name, before[name], kib)
		}
	}
	t.Log(s.table())
	for _, w := range s.wrong {
		t.Error(w)
	}
}

// pause waits, unless the soak is over first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// process is one that lives as long as the soak.
type process struct {
	name           string
	cmd            *exec.Cmd
	stdout, stderr *bytes.Buffer
}

func (s *soak) background(ctx context.Context, name, kubeconfig string, args ...string) *process {
	p := &process{name: name, cmd: s.command(ctx, kubeconfig, args...), stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	return p
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) wait(s *soak, codes ...int) {
	_ = p.cmd.Wait() // its exit code tells
	if code := p.cmd.ProcessState.ExitCode(); !slices.Contains(codes, code) {
		s.fault("%s ended with exit code %d:\n%s%s", p.name, code, p.stdout, p.stderr)
	}
	s.add(fmt.Sprintf("%s: exit code %d", p.name, p.cmd.ProcessState.ExitCode()))
}

var listening = regexp.MustCompile(`http://127\.0\.0\.1:\d+\S*`)

// serve shows the results, and says where.
func (s *soak) serve(ctx context.Context, results string, address chan<- string) *process {
	p := &process{
		name: "serve", cmd: s.command(ctx, "", "serve", "--results-dir", results, "--listen", "127.0.0.1:0"),
		stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{},
	}
	r, w := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = w, w
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() { // ends when Wait has closed the pipe's other end, at the end of the test
		lines := bufio.NewScanner(r)
		for told := false; lines.Scan(); {
			if url := listening.FindString(lines.Text()); url != "" && !told {
				address <- url
				told = true
			}
		}
	}()
	s.t.Cleanup(func() { w.Close() })
	return p
}

// read fetches the list and every page that it links to.
func (s *soak) read(ctx context.Context, url string) {
	get := func(url string) []byte {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			s.fault("%v", err)
			return nil
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			if ctx.Err() == nil {
				s.fault("serve: %v", err)
			}
			return nil
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if (err != nil || resp.StatusCode >= 500) && ctx.Err() == nil {
			s.fault("serve: %s: %s, %v", url, resp.Status, err)
		}
		s.add("pages read")
		return b
	}
	get(url)
	pause(ctx, time.Second)
}

// fullDisk runs into a file system that is too small: no pass with a folder that does not verify.
func (s *soak) fullDisk(ctx context.Context, rng *rand.Rand, w *world, dir string) {
	if !pause(ctx, 5*time.Second) {
		return
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		s.fault("%v", err)
		return
	}
	size := fmt.Sprintf("size=%dk", 4+rng.IntN(60))
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, size); err != nil {
		s.add("disks that could not be mounted")
		return
	}
	defer func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			s.fault("%v", err)
		}
	}()
	cmd := s.command(context.WithoutCancel(ctx), w.kubeconfig, append(append([]string{"run"}, w.target()...), "--rate",
		"400", "--requests", "800", "--results-dir", dir, "-o", "json")...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run() // its exit code tells
	code := cmd.ProcessState.ExitCode()
	s.add(fmt.Sprintf("run, disk of %s KiB: exit code %d", "4 to 63", code))
	verify := s.command(context.WithoutCancel(ctx), "", "results", "verify", "--results-dir", dir)
	if out, err := verify.CombinedOutput(); code == 0 && err != nil {
		s.fault("a pass on a disk of %s does not verify: %v\n%s\n%s", size, err, out, &stderr)
	}
}

// accounts reads the stored runs back: each verifies, or is not whole and shows no outcome.
func (s *soak) accounts(results string) {
	cmd := s.command(context.Background(), "", "results", "list", "--results-dir", results, "-o", "json")
	out, err := cmd.Output()
	if err != nil {
		s.fault("results list: %v", err)
		return
	}
	var list struct {
		Runs []struct{ ID, Status, Outcome string }
	}
	if err := json.Unmarshal(out, &list); err != nil {
		s.fault("results list: %v", err)
		return
	}
	for _, r := range list.Runs {
		s.add(fmt.Sprintf("stored runs, %s: %s", r.Status, cmp.Or(r.Outcome, "no outcome")))
		verify := s.command(context.Background(), "", "results", "verify", r.ID, "--results-dir", results)
		if out, err := verify.CombinedOutput(); r.Status == "complete" && err != nil {
			s.fault("run %s is complete and does not verify: %v\n%s", r.ID, err, out)
		}
		if r.Status != "complete" && r.Outcome == "pass" {
			s.fault("run %s is %s and a pass", r.ID, r.Status)
		}
	}
}
