package podexec

import (
	"errors"
	"strings"
	"testing"

	remoteexec "k8s.io/client-go/util/exec"
)

// TestWordsOfRealRuntimes holds what was read off Kubernetes 1.36 with containerd and runc on Debian 13, unless it says
// otherwise.
func TestWordsOfRealRuntimes(t *testing.T) {
	const oci = `error executing command in container: failed to exec in container: failed to start exec "fff0": ` +
		`OCI runtime exec failed: exec failed: unable to start container process: `
	exit := func(code int) error { return remoteexec.CodeExitError{Err: errors.New("exit"), Code: code} }
	tests := []struct {
		name    string
		command string
		err     error
		stderr  string
		check   func(error) bool
		text    string
	}{
		{
			"not in PATH", "nope", errors.New("Internal error occurred: Internal error occurred: " + oci + `exec: "nope": executable file not found in $PATH: unknown`), "",
			starts(NoSuchFile), `nope: no such file: exec: "nope": executable file not found in $PATH`,
		},
		{
			"no permission", "/etc/passwd", errors.New("Internal error occurred: " + oci + `exec: "/etc/passwd": permission denied: unknown`), "",
			starts(NotExecutable), "not executable",
		},
		{"wrong architecture", "/tmp/a", exit(1), "exec /tmp/a: exec format error\n", starts(WrongArch), "another architecture"},
		{
			"wrong architecture, crun", "/tmp/a", errors.New("error executing command in container: exec `/tmp/a`: Exec format error"), "",
			starts(WrongArch), "another architecture",
		}, // from crun's source, not seen
		{"a program that fails to exec another", "/tmp/a", exit(1), "exec /tmp/b: exec format error\n", is[*ExitError], "exit code 1"},
		{"a file is missing to the command", "cat", exit(1), "cat: /x: No such file or directory\n", is[*ExitError], "exit code 1"},
		{"shell without the command", "sh", exit(127), "sh: nope: not found\n", starts(NoSuchFile), "nope: not found"},
		{"killed", "sh", exit(137), "", is[*ExitError], "out of memory"},
		{
			"container ended", "sh", errors.New("Internal error occurred: error executing command in container: container is in CONTAINER_EXITED state"), "",
			is[*NotFoundError], "CONTAINER_EXITED",
		}, // containerd's source, not seen
		{
			"kubelet lost", "sh", errors.New("Internal error occurred: error reading from error stream: no such file or directory"), "",
			is[*LostError], "before the command did",
		}, // an unlikely text that must not look like a missing command
		{
			"another word of the runtime", "sh", errors.New("Internal error occurred: error executing command in container: timeout"), "",
			is[*LostError], "timeout",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &call{op: "exec in " + testTarget.String(), command: test.command, rec: &recorder{open: true, protocol: WebSocket}, stderr: test.stderr}
			err := c.classify(t.Context(), test.err)
			if !test.check(err) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v, want %q", err, test.text)
			}
		})
	}
}

func starts(reason StartReason) func(error) bool {
	return func(err error) bool {
		var start *StartError
		return errors.As(err, &start) && start.Reason == reason
	}
}
