package podexec

import (
	"context"
	"fmt"
	"io"
	"time"

	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/klog/v2"
)

// grace bounds every wait for something that has been told to stop: client-go's stream after a cancel, the caller's
// stdin after its Close, the caller's writer after a cancel.
const grace = time.Second

// Exec runs argv in the container, without a shell and without a terminal, and returns when the command's streams have
// ended. stdin is always requested, so that the remote end sees EOF when this end goes away; nil is an empty one. A nil
// stdout or stderr is discarded.
//
// A nil error means that the stream ended without a complaint. It is not proof of success: see the package comment; a
// SPDY connection that was cut is nil too. Otherwise the error is, in this order of precedence, an [*OutputError] (the
// stdout writer failed or stood still), an [*InputError] (stdin failed; to the command that was EOF), an [*ExitError]
// or [*StartError] (the command ended non-zero or never began), an error that wraps ctx.Err(), or one of
// [*ForbiddenError], [*NotFoundError], [*UnreachableError], [*LostError].
//
// What arrived before an error has been written to stdout, unless stdout itself is the cause, or ctx ended and stdout
// was too slow to take the rest within a second.
//
// Cancelling ctx closes the connection: the command gets EOF on stdin and nothing else. Kubernetes does not kill it
// (kubernetes/kubernetes#89031), so it must end by itself.
//
// stdin is read until it ends or Exec returns. Like the body of an HTTP request it is closed then if it is an
// io.Closer, which is what ends a Read that blocks; a Read that still blocks outlives Exec. stdout is written by one
// goroutine, stderr by another; a Write that blocks for ever outlives Exec too. stderr is never waited for: what it
// does not take in time is dropped, and the last 64 KiB are kept for the error.
func (c *Container) Exec(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) error {
	in := newFeed(stdin)
	if len(argv) == 0 || argv[0] == "" {
		_ = in.stop()
		return fmt.Errorf("exec in %s: no command given", c.target)
	}
	if err := ctx.Err(); err != nil {
		_ = in.stop()
		return fmt.Errorf("exec %s in %s: not started: %w", clean(argv[0]), c.target, err)
	}
	// client-go logs what it swallows, through the context's logger. Everything it could say is an error of ours.
	sctx, cancel := context.WithCancelCause(klog.NewContext(ctx, klog.Logger{}))
	defer cancel(nil)
	rec := &recorder{note: c.setProtocol}
	sctx = rec.watch(sctx)
	defer rec.release()

	executor, err := c.executor(argv, rec)
	if err != nil {
		_ = in.stop()
		return err
	}
	out := newPump(stdout, c.opts.StdoutBuffer, c.opts.StallLimit, cancel)
	talk := newTail(stderr)
	err = stream(sctx, executor, remotecommand.StreamOptions{Stdin: in, Stdout: out, Stderr: talk})

	inErr := in.stop()
	outErr := out.finish(ctx)
	call := &call{op: "exec in " + c.target.String(), command: argv[0], host: c.cfg.Host, rec: rec, stderr: talk.finish()}
	switch {
	case outErr != nil:
		return call.wrap(outErr)
	case inErr != nil:
		return call.wrap(inErr)
	case err == nil:
		return nil
	}
	return call.classify(ctx, err)
}

// stream runs the executor and does not outlast ctx by more than the grace: client-go's handshakes read the server's
// answer without looking at the context, so a mute server behind a proxy could hold them for ever. The goroutine then
// ends with the connection. (One leak is client-go's own: a ctx that ends in the microseconds between the handshake and
// the start of the WebSocket's reading loop leaves that stream's goroutines waiting, websocket.go readDemuxLoop.)
func stream(ctx context.Context, ex remotecommand.Executor, o remotecommand.StreamOptions) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("client-go panicked: %v", p)
			}
		}()
		done <- ex.StreamWithContext(ctx, o)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		return ctx.Err()
	}
}
