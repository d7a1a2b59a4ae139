package podexec

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	remoteexec "k8s.io/client-go/util/exec"
)

// call is what is known of one command when it comes to name its end.
type call struct {
	op      string // "exec in NAMESPACE/POD/CONTAINER"
	verb    string // that it needs; "": a command's
	command string
	host    string
	rec     *recorder
	stderr  string
}

// wrap adds the operation and the object.
func (c *call) wrap(err error) error {
	return fmt.Errorf("%s: %w", c.op, err)
}

// classify turns the transport's error into one of ours. Only the exit code comes typed; the rest must be told from the
// handshake's status and from words, because kubelet, runtime and API server hand errors on as text.
func (c *call) classify(ctx context.Context, err error) error {
	var exit remoteexec.CodeExitError
	if errors.As(err, &exit) {
		return c.wrap(c.exited(exit.Code))
	}
	if ctx.Err() != nil {
		return c.wrap(ctx.Err())
	}
	c.rec.mu.Lock()
	protocol, open, status, cause := c.rec.protocol, c.rec.open, c.rec.status, c.rec.cause
	c.rec.mu.Unlock()
	if cause != nil {
		err = cause
	}
	text := err.Error()
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden && !protocolRefused(text):
		return c.wrap(&ForbiddenError{Status: status, Verb: c.verb, Err: err})
	case status == http.StatusNotFound || gone.MatchString(text):
		return c.wrap(&NotFoundError{Err: err})
	case !open:
		return c.wrap(&UnreachableError{Host: c.host, Err: err})
	case !broken.MatchString(text):
		if reason := startReason(text); reason != "" {
			return c.wrap(&StartError{Command: c.command, Reason: reason, Err: err})
		}
	}
	return c.wrap(&LostError{Protocol: protocol, Err: err})
}

// exited maps what looks like the end of a command but was none: the codes 126 and 127 of shells, and the words that
// runc writes to the command's stderr when the kernel refuses the file (`exec PATH: exec format error`, with code 1 or
// 255).
func (c *call) exited(code int) error {
	exit := &ExitError{Command: c.command, Code: code, Stderr: c.stderr}
	line := lastLine(c.stderr)
	reason := startReason(line)
	switch {
	case reason != "" && strings.HasPrefix(line, "exec "+clean(c.command)+": "):
	case code == 127:
		reason = NoSuchFile
	case code == 126 && reason == "":
		reason = NotExecutable
	case code != 126:
		return exit
	}
	return &StartError{Command: c.command, Reason: reason, Err: exit}
}

var (
	// Words of kubelet (container not found, pod does not exist), of the API server (a container that is not valid for
	// the pod is its 400), and of containerd and CRI-O about a container's state.
	gone = regexp.MustCompile(`(?i)container not found|pod does not exist|is not valid for pod|pods? ".*" not found|` +
		`container_exited|container( is)? not running|not created or running`)
	// client-go's own words for a cut connection; an API server that lost its kubelet hands the same ones on.
	broken = regexp.MustCompile(`(?i)error reading from error stream|error stream protocol error|error dialing backend|` +
		`connection reset`)
	handshake = regexp.MustCompile(`bad handshake \((\d{3})\b`)
)

// startReason reads the runtime's words (runc, crun, Go's os/exec, shells); "" is none of them.
func startReason(text string) StartReason {
	text = strings.ToLower(text)
	switch {
	case strings.Contains(text, "exec format error"):
		return WrongArch
	case strings.Contains(text, "executable file not found"), strings.Contains(text, "no such file or directory"),
		strings.Contains(text, "executable file `"): // crun
		return NoSuchFile
	case strings.Contains(text, "permission denied"):
		return NotExecutable
	}
	return ""
}

// protocolRefused tells a kubelet's 403 about stream protocols from a 403 about the user.
func protocolRefused(text string) bool { return strings.Contains(text, "unable to negotiate protocol") }

// statusOf is the HTTP status inside the cause of a refused WebSocket handshake. It is in a StatusError only if the
// answer was a whole Status object, and client-go's WebSocket library keeps 1 KiB of the answer; else it is in the
// text.
func statusOf(err error) int {
	var status *apierrors.StatusError
	if errors.As(err, &status) {
		return int(status.ErrStatus.Code)
	}
	if m := handshake.FindStringSubmatch(err.Error()); m != nil {
		code, _ := strconv.Atoi(m[1]) // three digits
		return code
	}
	return 0
}
