package scale

import (
	"bufio"
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/witness"
)

var (
	table  = flag.String("table", "", "measure, and rewrite the table between the markers of this file")
	length = flag.Duration("length", time.Minute, "how long the pods send, with -table")
	perPod = flag.Int("per-pod", 2000, "samples a second of each pod")
)

// A process serves pods or measures one size, where it is told to.
const (
	servePods   = "SPLITBENCH_SCALE_SERVE"
	measurePods = "SPLITBENCH_SCALE_MEASURE"
)

func TestMain(m *testing.M) {
	if n, err := strconv.Atoi(os.Getenv(servePods)); err == nil {
		os.Exit(serve(n))
	}
	os.Exit(m.Run())
}

// serve has pods until stdin ends, and says on stdout how they are reached.
func serve(pods int) int {
	w, err := demo.Start(context.Background(), demo.Options{Frontends: pods, Agent: makesUp()})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(base64.StdEncoding.EncodeToString(w.Kubeconfig()))
	io.Copy(io.Discard, os.Stdin) // however it ends
	w.Close()
	return 0
}

// figures are what one size took.
type figures struct {
	pods              int
	samples           int64
	lost              int64
	opened, late      time.Duration
	memory, stored    int64
	cpu               time.Duration
	skew              float64
	outcome, complete string
	load              string // of the machine, as the burst ended
}

// measure carries out a run from so many pods.
func measure(t *testing.T, kubeconfig []byte, pods int, length time.Duration) figures {
	t.Helper()
	config, err := clientcmd.Load(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	rate := uint64(pods * *perPod)
	requests := rate * uint64(length/time.Second)
	cfg := bench.Config{
		Options: analyze.DefaultOptions(), ResultsDir: t.TempDir(), Tool: "test", Witness: witness.Off, KeepGoing: true,
		Load: bench.Load{
			Requests: requests, Rate: attack.Rate{Hits: rate, Per: time.Second}, MaxRate: float64(rate), MaxRequests: requests,
			Connections: 8 * pods,
		},
		Query: mesh.Query{Namespace: "test", Split: "ts/podinfo", From: "deploy/frontend", Container: "nginx", Pods: pods},
	}
	if pods == 1 {
		cfg.Query.Pods = 0
	}
	for _, name := range []string{"west", "east"} {
		rest, err := clientcmd.NewNonInteractiveClientConfig(*config, name, nil, nil).ClientConfig()
		if err != nil {
			t.Fatal(err)
		}
		client, err := mesh.Connect(rest, name)
		if err != nil {
			t.Fatal(err)
		}
		if name == "west" {
			cfg.REST, cfg.Local = rest, client
		} else {
			cfg.Remotes = []mesh.Remote{{Client: client}}
		}
	}
	var opening, opened, sending, judging time.Time
	cfg.Progress = func(p bench.Progress) {
		now := time.Now()
		switch {
		case strings.HasPrefix(p.Text, "starting the agent"):
			opening = now
		case strings.HasPrefix(p.Text, "learning"):
			opened = now
		case strings.HasPrefix(p.Text, "sending"):
			sending = now
		case p.Phase == "judge":
			judging = now
		case strings.Contains(p.Text, "is lost"):
			t.Log(p.Text)
		}
	}
	var before, after syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &before) // it has no other failure than a bad pointer
	r, err := bench.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	if r.Load == nil || r.Run == nil {
		t.Fatalf("%s %q", r.Verdict.Outcome, r.Verdict.Reasons)
	}
	f := figures{
		pods: pods, samples: r.Load.Requests - r.Load.Dropped - r.Unattributed.Requests, opened: opened.Sub(opening),
		late: judging.Sub(sending) - length, memory: after.Maxrss << 10, cpu: cpuOf(after) - cpuOf(before),
		outcome: r.Verdict.Outcome, complete: fmt.Sprint(r.Run.Complete),
	}
	if f.lost = int64(requests) - f.samples; r.Verdict.Outcome == report.Invalid {
		t.Errorf("%d pods: %q", pods, r.Verdict.Reasons)
	}
	if r.Source != nil {
		f.skew = r.Source.StartSkewMs
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		f.load, _, _ = strings.Cut(string(b), " ")
	}
	frames, _ := filepath.Glob(filepath.Join(r.Run.Dir, "*.sbw"))
	for _, name := range frames {
		if info, err := os.Stat(name); err == nil {
			f.stored += info.Size()
		}
	}
	return f
}

func cpuOf(u syscall.Rusage) time.Duration {
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Nothing is lost of twenty pods that send 40,000 samples a second on the real wire, and all of them are judged.
func TestTwentyPods(t *testing.T) {
	w, err := demo.Start(t.Context(), demo.Options{Frontends: 20, Agent: makesUp()})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	f := measure(t, w.Kubeconfig(), 20, 2*time.Second)
	if f.lost != 0 || f.samples != 80_000 || f.complete != "true" {
		t.Errorf("%+v", f)
	}
}

// One size, in a process whose peak is that size's alone.
func TestOneSize(t *testing.T) {
	pods, err := strconv.Atoi(os.Getenv(measurePods))
	if err != nil {
		t.Skip("make scale measures sizes, each in a process of its own")
	}
	pod := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this very program
	pod.Env, pod.Stderr = append(os.Environ(), fmt.Sprintf("%s=%d", servePods, pods)), os.Stderr
	in, err := pod.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := pod.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := pod.Start(); err != nil {
		t.Fatal(err)
	}
	defer in.Close() // which ends it
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	f := measure(t, kubeconfig, pods, *length)
	in.Close()
	if err := pod.Wait(); err != nil {
		t.Error(err)
	}
	millions := float64(f.samples) / 1e6
	fmt.Printf("| %d | %d | %d | %d | %.0f | %.2f | %.2f | %.1f | %.1f | %.1f | %.0f | %s | %s |\n", f.pods, *perPod, f.samples,
		f.lost, float64(f.memory)/(1<<20), f.cpu.Seconds()/millions,
		(pod.ProcessState.UserTime()+pod.ProcessState.SystemTime()).Seconds()/millions, float64(f.stored)/float64(f.samples),
		f.late.Seconds(), f.opened.Seconds(), f.skew, f.outcome, f.load)
	if f.lost != 0 {
		t.Errorf("%d pods: %d of %d samples are lost", pods, f.lost, f.samples+f.lost)
	}
}

// The table of docs/scale.md, written anew where -table says so.
func TestTable(t *testing.T) {
	if *table == "" {
		t.Skip("make scale writes it")
	}
	old, err := os.ReadFile(*table)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(old), "<!-- scale: begin, written by make scale -->\n")
	_, tail, ok2 := strings.Cut(rest, "<!-- scale: end -->")
	if !ok || !ok2 {
		t.Fatalf("%s has no markers", *table)
	}
	text := "| pods | samples/s of each | samples | lost | peak memory MiB | CPU s per million samples | the pods' CPU s | " +
		"bytes stored per sample | behind s | sessions opened in s | start skew ms | outcome | load average |\n" +
		strings.Repeat("|---", 13) + "|\n"
	for _, x := range []struct{ pods, perPod int }{{1, 2000}, {10, 2000}, {100, 2000}, {500, 200}, {500, 2000}} {
		size := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestOneSize$", "-length", length.String(),
			"-per-pod", strconv.Itoa(x.perPod)) //nolint:gosec // this very program
		size.Env, size.Stderr = append(os.Environ(), fmt.Sprintf("%s=%d", measurePods, x.pods)), os.Stderr
		out, err := size.Output()
		for line := range strings.Lines(string(out)) {
			if strings.HasPrefix(line, "| ") {
				text += line
			}
		}
		t.Logf("%s", out)
		if err != nil {
			t.Errorf("%d pods: %v", x.pods, err)
		}
	}
	body := head + "<!-- scale: begin, written by make scale -->\n" + text + "<!-- scale: end -->" + tail
	if err := os.WriteFile(*table, []byte(body), 0o644); err != nil {
		t.Fatal(err)
	}
}
