package podexec

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// ExitError says that the command ran and ended with a code other than 0.
type ExitError struct {
	Command string // argv[0]
	Code    int    // 1 to 255; 137 is a SIGKILL, mostly by the kernel for lack of memory
	Stderr  string // the last 64 KiB of it, as it came: hostile text
	Why     string // who killed it, where the caller found out; "": nobody knows
}

// Killed is the exit code of a process that was killed.
const Killed = 137

// Error names the code and the last line of stderr.
func (e *ExitError) Error() string {
	text := fmt.Sprintf("%s: exit code %d", clean(e.Command), e.Code)
	if e.Code == Killed {
		text += " (killed: " + cmp.Or(clean(e.Why), "container stopped, or out of memory") + ")"
	}
	if line := lastLine(e.Stderr); line != "" {
		text += ": " + line
	}
	return text
}

// StartReason is why a command did not begin.
type StartReason string

const (
	// NoSuchFile means that the command, or the interpreter it names, is not in the container's file system or PATH.
	NoSuchFile StartReason = "no such file"
	// NotExecutable means that the file lacks the permission, or its file system is mounted noexec.
	NotExecutable StartReason = "not executable"
	// WrongArch means that the kernel does not know the file's format; nearly always a build for another architecture.
	WrongArch StartReason = "wrong architecture"
)

// StartError says that the container has no such command to run. It is made from the runtime's words, or from the exit
// codes 126 and 127 by which shells, and some runtimes, say the same; Err is an [*ExitError] then.
type StartError struct {
	Command string // argv[0]
	Reason  StartReason
	Err     error
}

// Error says what is wrong with the file, then the runtime's own words.
func (e *StartError) Error() string {
	text := string(e.Reason)
	switch e.Reason {
	case NotExecutable:
		text += " (no permission, or its file system is mounted noexec)"
	case WrongArch:
		text += " (exec format error: built for another architecture than the node's)"
	}
	why := innermost(e.Err.Error())
	var exit *ExitError
	if errors.As(e.Err, &exit) {
		why = fmt.Sprintf("exit code %d: %s", exit.Code, lastLine(exit.Stderr))
	}
	return fmt.Sprintf("%s: %s: %s", clean(e.Command), text, why)
}

// Unwrap returns the runtime's error or the ExitError.
func (e *StartError) Unwrap() error { return e.Err }

// ForbiddenError says that the API server refused the user: HTTP 401 or 403.
type ForbiddenError struct {
	Status int    // 401 or 403
	Verb   string // what is needed, such as "patch on pods/ephemeralcontainers"; "": what running a command needs
	Err    error
}

// Error names the permission that is needed.
func (e *ForbiddenError) Error() string {
	if e.Status == 401 {
		return "credentials refused (401), log in again: " + clean(e.Err.Error())
	}
	if e.Verb != "" {
		return "no permission, needs the verb " + e.Verb + ": " + clean(e.Err.Error())
	}
	return "no permission, needs verbs get and create on pods/exec: " + clean(e.Err.Error())
}

// Unwrap returns what the server said.
func (e *ForbiddenError) Unwrap() error { return e.Err }

// NotFoundError says that the pod or the container is not there, or no longer runs.
type NotFoundError struct{ Err error }

// Error repeats what the server said.
func (e *NotFoundError) Error() string {
	return "pod or container not there or not running: " + clean(e.Err.Error())
}

// Unwrap returns what the server said.
func (e *NotFoundError) Unwrap() error { return e.Err }

// UnreachableError says that no stream was established, for another reason than the user or the target: the API server
// did not answer, or could not reach the node. The command has not begun.
type UnreachableError struct {
	Host string // the API server
	Err  error
}

// Error names the server.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no stream through API server %s: %s", clean(e.Host), clean(e.Err.Error()))
}

// Unwrap returns the network's error or what the server said.
func (e *UnreachableError) Unwrap() error { return e.Err }

// LostError says that an established stream ended before the command's exit status came: the connection was cut, or the
// container's runtime gave up. The command may still run.
type LostError struct {
	Protocol Protocol // WebSocket or SPDY
	Err      error
}

// Error names the protocol.
func (e *LostError) Error() string {
	return fmt.Sprintf("%s stream ended before the command did: %s", e.Protocol, clean(e.Err.Error()))
}

// Unwrap returns the transport's or the runtime's error.
func (e *LostError) Unwrap() error { return e.Err }

// OutputError says that the caller's stdout writer failed (Err is its error), or stood still (Err is ErrStalled).
type OutputError struct{ Err error }

// Error names the writer's error.
func (e *OutputError) Error() string { return "hand on stdout: " + e.Err.Error() }

// Unwrap returns the writer's error.
func (e *OutputError) Unwrap() error { return e.Err }

// InputError says that the caller's stdin reader failed with another error than io.EOF.
type InputError struct{ Err error }

// Error names the reader's error.
func (e *InputError) Error() string { return "read stdin: " + e.Err.Error() }

// Unwrap returns the reader's error.
func (e *InputError) Unwrap() error { return e.Err }

// innermost cuts the wrapping that API server, kubelet, containerd and runc put around the cause.
func innermost(s string) string {
	if _, cause, ok := strings.Cut(s, "unable to start container process: "); ok {
		s = strings.TrimSuffix(cause, ": unknown")
	}
	return clean(s)
}

// clean makes text from the cluster fit for one line of an error: no control characters, at most 512 runes.
func clean(s string) string {
	const most = 512
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > most {
			b.WriteString(" ...")
			break
		}
		if r == '\n' || r == '\t' {
			r = ' '
		}
		if !unicode.IsPrint(r) {
			r = unicode.ReplacementChar
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return clean(s[strings.LastIndexByte(s, '\n')+1:])
}
