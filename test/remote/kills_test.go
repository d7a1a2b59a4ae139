//go:build linux

package remote

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An upload that is killed at any moment leaves nothing that is listed, or a whole run, and the next command goes on
// where it was and clears what the killed one left.
func TestKilledUploads(t *testing.T) {
	want := []string{".splitbench", reference + "/.claim"}
	files, err := os.ReadDir(filepath.Join(results, reference))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		want = append(want, reference+"/"+file.Name())
	}
	slices.Sort(want)
	each(t, func(t *testing.T, b *bucket) {
		kill := tracedAndKilled
		if b.front != nil {
			kill = b.killed
		}
		moments, resumed := 0, 0
		for ; ; moments++ {
			folder := fmt.Sprintf("moment-%d", moments)
			at := b.folder(folder)
			writer, reader := newTeam(t, b), newTeam(t, b)
			cmd, _, stderr := writer.command("results", "import", filepath.Join(results, reference), "--results-dir", at)
			killed, first := kill(t, cmd, moments)
			if !killed {
				break // it ended before this moment
			}
			half := reader.run("results", "list", "-o", "name", "--results-dir", at)
			if half != "" && half != reference+"\n" {
				t.Fatalf("moment %d: listed %q", moments, half)
			}
			before := b.keys(t, folder+"/")
			if writer.has("") != "" {
				writer.run("results", "list", "--results-dir", at)
			} else { // before there was a run
				writer.run("results", "import", filepath.Join(results, reference), "--results-dir", at)
			}
			again := 0
			if b.front != nil {
				again = b.puts
			}
			if got := reader.run("results", "list", "-o", "name", "--results-dir", at); got != reference+"\n" {
				t.Fatalf("moment %d: after it was resumed: %q\n%s", moments, got, stderr)
			}
			// A mark's beginning stays until it is pruned, as it may be another's who is on his way.
			now := b.keys(t, folder+"/")
			mark := func(key string) bool { return strings.HasPrefix(key, ".splitbench.") }
			got := slices.DeleteFunc(slices.Sorted(maps.Keys(now)), mark)
			if !slices.Equal(got, want) {
				t.Errorf("moment %d: there are %q, want %q", moments, got, want)
			}
			const file = reference + "/frames.sbw" // the first, and servers' times are coarse
			was, kept := before[file]
			if b.front != nil && again < first || b.front == nil && kept && was.Equal(now[file]) {
				resumed++
			}
		}
		t.Logf("killed at %d moments; what was there was not sent again at %d of them", moments, resumed)
		if moments < 20 || resumed == 0 {
			t.Errorf("killed at %d moments, resumed at %d", moments, resumed)
		}
	})
}

// changes reports whether a system call changes a folder.
func changes(call uint64, args [6]uint64) bool {
	switch call {
	case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_LINKAT, unix.SYS_MKDIRAT:
		return true
	case unix.SYS_UNLINKAT:
		return args[2] != unix.AT_REMOVEDIR
	}
	return call == unix.SYS_OPENAT && args[2]&unix.O_CREAT != 0
}

// tracedAndKilled runs a command and reports whether it was killed: before that of the system calls that change folders
// whose number is the moment.
func tracedAndKilled(t *testing.T, cmd *exec.Cmd, moment int) (killed bool, files int) {
	t.Helper()
	runtime.LockOSThread() // who traces is a thread
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil {
		t.Fatal(err)
	}
	const options = unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_EXITKILL
	if err := unix.PtraceSetOptions(pid, options); err != nil {
		t.Fatal(err)
	}
	for thread, signal := pid, 0; ; {
		_ = unix.PtraceSyscall(thread, signal) // a killed thread is not there
		var err error
		if thread, err = unix.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil); err != nil {
			t.Fatal(err)
		}
		signal = 0
		switch stop := status.StopSignal(); {
		case thread == pid && (status.Exited() || status.Signaled()):
			_ = cmd.Wait() // for its output: its end is known
			if status.Exited() && status.ExitStatus() != 0 {
				t.Fatalf("exit %d\n%s", status.ExitStatus(), cmd.Stderr)
			}
			return status.Signaled(), 0
		case stop == unix.SIGTRAP|0x80:
			var call struct {
				op, _  uint8
				_      [22]byte
				number uint64
				args   [6]uint64
			}
			_, _, _ = unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(thread), unsafe.Sizeof(call),
				uintptr(unsafe.Pointer(&call)), 0, 0)
			if call.op == unix.PTRACE_SYSCALL_INFO_ENTRY && changes(call.number, call.args) {
				if moment--; moment < 0 {
					_ = cmd.Process.Kill()
				}
			}
		case status.Stopped() && stop != unix.SIGTRAP && stop != unix.SIGSTOP:
			signal = int(stop)
		}
	}
}
