package podexec

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Program is a file that is put into the container as it is run. It is run once.
type Program struct {
	c       *Container
	u       Upload
	dirs    []string
	running chan struct{}
	began   atomic.Bool
	sent    Sent
}

// Running is closed when the file has arrived whole, and the container begins to run it.
func (p *Program) Running() <-chan struct{} { return p.running }

// Sent is how the file travelled; it is known once the program runs.
func (p *Program) Sent() Sent { return p.sent }

// Exec puts the file into the first candidate directory in which files can be created and run, mode 0700, and runs it
// there with argv if its size and SHA-256 are right, all by one command. A directory that turns out to be full is
// passed over; what did not arrive packed is sent as it is. The streams and the errors are those of [Container.Exec].
//
// Errors before it runs, besides: [*UploadError] with every directory tried, [*NoShellError], and a [*StartError] with
// WrongArch for a file built for another architecture. After such an error no file is left, as far as the end of the
// command's stdin reaches the container. A program that runs has its file still, and may remove it.
func (p *Program) Exec(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if p.began.Swap(true) {
		return fmt.Errorf("upload %s to %s: it was run before", p.u.Name, p.c.target)
	}
	if stdin == nil {
		stdin = strings.NewReader("")
	}
	if stdout == nil {
		stdout = io.Discard
	}
	sum := sha256.Sum256(p.u.Data)
	command := slices.Concat([]string{
		"sh", "-c", uploadScript, "splitbench", p.u.Name, strconv.Itoa(len(p.u.Data)), hex.EncodeToString(sum[:]),
		machine(p.u.Data), strconv.Itoa(len(p.dirs)),
	}, p.dirs, argv)
	d := &dialogue{p: p, stdin: stdin, stdout: stdout, answers: make(chan answer, 1), closed: make(chan struct{})}
	err := p.c.Exec(ctx, command, d, d, stderr)
	if d.runs {
		return err
	}
	var start *StartError
	var exit *ExitError
	switch {
	case errors.As(err, &start) && start.Reason == NoSuchFile && !d.spoke: // the script itself cannot end with 127
		err = &NoShellError{Err: err}
	case err == nil && d.over:
		err = &UploadError{Tried: d.tried}
	case err == nil:
		err = errors.New("the search for a directory ended early")
	case errors.As(err, &exit) && d.why != "":
		err = fmt.Errorf("%w: %s", err, clean(d.why))
	}
	return fmt.Errorf("upload %s to %s: %w", p.u.Name, p.c.target, err)
}

// machine is the byte of an ELF header that tells processors apart, as printf writes it; of another file nothing.
func machine(file []byte) string {
	const at = 18
	if len(file) <= at || !bytes.HasPrefix(file, []byte("\x7fELF")) {
		return ""
	}
	return fmt.Sprintf("\\%03o", file[at])
}

// maxSaid bounds what the script may say before the program runs, in bytes.
const maxSaid = 64 << 10

// dialogue is the near end of uploadScript: the command's stdout, whose lines it answers, and its stdin, which brings
// the answers. Once the program runs they are the caller's.
type dialogue struct {
	p       *Program
	stdin   io.Reader
	stdout  io.Writer
	answers chan answer
	reading answer // of the goroutine that reads
	closed  chan struct{}
	close   sync.Once

	// Of the goroutine that writes, until the command has ended.
	said        int    // bytes
	line        []byte // that has no end yet
	dir, by     string // where the file was sent, and what unpacks it there
	sends       int
	offered     bool // the last answer was the file
	began       time.Time
	why         string    // of the last "no"
	tried       []Attempt // all that were no good
	spoke, over bool      // a line of the script came; it has no candidate left
	runs        bool
}

// answer is a part of stdin.
type answer struct {
	io.Reader
	last bool
}

// Read gives one answer after the other, as they come.
func (d *dialogue) Read(b []byte) (int, error) {
	for {
		if d.reading.Reader == nil {
			select {
			case d.reading = <-d.answers:
			case <-d.closed:
				return 0, io.EOF
			}
		}
		n, err := d.reading.Read(b)
		if n > 0 || err == nil || d.reading.last || !errors.Is(err, io.EOF) {
			return n, err
		}
		d.reading.Reader = nil
	}
}

// Close ends Read, and the caller's stdin as Exec does.
func (d *dialogue) Close() error {
	d.close.Do(func() { close(d.closed) })
	if c, ok := d.stdin.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// Write hears the script's lines, and passes on what the program writes.
func (d *dialogue) Write(b []byte) (int, error) {
	if d.runs {
		return d.stdout.Write(b)
	}
	d.line = append(d.line, b...)
	for !d.runs {
		line, rest, whole := bytes.Cut(d.line, []byte("\n"))
		if d.said+len(line) > maxSaid {
			return 0, errors.New("the container says too much before the program runs")
		}
		if !whole {
			return len(b), nil
		}
		d.line, d.said = rest, d.said+len(line)
		if err := d.hear(string(line)); err != nil {
			return 0, err
		}
	}
	if len(d.line) > 0 {
		if _, err := d.stdout.Write(d.line); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// hear takes one line. What the script does not say, a shell's greeting for example, is passed over; what it waits for
// an answer to gets one.
func (d *dialogue) hear(line string) error {
	was := d.spoke
	d.spoke = true
	switch f := strings.SplitN(line, "\t", 3); {
	case f[0] == "bad" && len(f) == 3:
		d.tried = append(d.tried, Attempt{Dir: f[1], Reason: f[2]})
	case f[0] == "dir" && len(f) == 3:
		d.by, d.dir = f[1], f[2]
		if d.p.u.Packed == nil || !slices.Contains([]string{"gzip", "zcat", "busybox"}, d.by) {
			d.by = ""
		}
		switch {
		case !usableDir(d.dir):
			return d.pass("its path is not absolute, is too long, or has control characters")
		case d.p.u.shared(d.dir):
			return d.pass("shared: others could put another program in its place")
		}
		return d.send()
	case f[0] == "no" && len(f) > 1:
		if d.why = strings.Join(f[1:], " "); d.by == "" || !d.offered {
			return d.pass(d.why)
		}
		d.by = "" // the file as it is says whether the directory or the unpacking is to blame
		return d.send()
	case f[0] == "run" && len(f) == 1 && d.offered:
		d.p.sent = Sent{Path: path.Join(d.dir, d.p.u.Name), Bytes: len(d.data()), By: d.by, Took: time.Since(d.began)}
		d.runs = true
		close(d.p.running)
		return d.answer(answer{d.stdin, true})
	case f[0] == "end" && len(f) == 1:
		d.over = true
	default:
		d.spoke = was
	}
	return nil
}

func (d *dialogue) data() []byte {
	if d.by != "" {
		return d.p.u.Packed
	}
	return d.p.u.Data
}

// send answers with the file.
func (d *dialogue) send() error {
	if d.sends++; d.sends > uploadTries {
		return d.pass("not tried")
	}
	by := d.by
	if by == "" {
		by = "cat"
	}
	d.began, d.offered = time.Now(), true
	head := fmt.Sprintf("%s %d\n", by, len(d.data()))
	return d.answer(answer{Reader: io.MultiReader(strings.NewReader(head), bytes.NewReader(d.data()))})
}

// pass answers that another directory is wanted.
func (d *dialogue) pass(why string) error {
	d.tried, d.offered = append(d.tried, Attempt{Dir: d.dir, Reason: why}), false
	return d.answer(answer{Reader: strings.NewReader("next\n")})
}

// answer never waits: a script waits for each answer, and whoever does not is none.
func (d *dialogue) answer(a answer) error {
	select {
	case d.answers <- a:
		return nil
	default:
		return errors.New("the container does not wait for what it asked for")
	}
}
