// Package wire is the language of the two ends of a burst: framed, numbered, checksummed messages, one reader and one
// writer for the live stream and for the stored run alike.
//
// It trusts nothing that comes over an exec stream, which may be cut, reordered by nobody but mixed with anything, and
// which ends without an error also when half of it is missing. So every frame carries its number and a checksum, sample
// blocks can be decoded each by itself, and only an END frame whose totals agree is an end. docs/wire.md is its
// specification.
package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Version is the version of the protocol. Ends refuse another; stored files are read from oldestStored on.
const (
	Version      = 2
	oldestStored = 1
)

// magic opens every stream and every stored file; its last byte is the version.
//
//nolint:gochecknoglobals // a constant that Go has no const for
var magic = [4]byte{'S', 'B', 'W', Version}

// Type is the type of a frame. The numbers are part of the protocol: add at the end, never renumber.
type Type uint8

// The frames. The comment names who sends it and what its payload is.
const (
	Hello   Type = iota + 1 // agent: JSON Hello; always the first
	Fetch                   // client: JSON FetchRequest
	Body                    // agent: a piece of a fetched body
	Fetched                 // agent: JSON FetchResult; ends a FETCH
	Plan                    // client: JSON PlanRequest
	Samples                 // agent: a self-contained block of results
	Tick                    // agent: JSON Progress; once a second, also when idle
	End                     // agent: JSON Totals; ends a PLAN
	Stop                    // client: empty; stop the burst now
	Ping                    // client: empty; once a second
	Bye                     // client: empty, no more requests; agent: empty, the answer
	Ack                     // client: empty; the agent may exit
	Log                     // agent: text for the run's log
	Ready                   // agent: empty; a held burst has warmed up and waits
	Go                      // client: empty; start the held burst now
	numTypes
)

//nolint:gochecknoglobals // a table that never changes
var typeNames = [numTypes]string{
	"", "HELLO", "FETCH", "BODY", "FETCHED", "PLAN", "SAMPLES", "TICK", "END",
	"STOP", "PING", "BYE", "ACK", "LOG", "READY", "GO",
}

// String returns the name used in errors and docs.
func (t Type) String() string {
	if t > 0 && t < numTypes {
		return typeNames[t]
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// MaxPayload is the largest payload of one frame, in bytes.
const MaxPayload = 1 << 20

const (
	bodyHead  = 5 // type, sequence number
	checksum  = 4
	maxLenLen = 3 // uvarint of MaxPayload+bodyHead
)

//nolint:gochecknoglobals // a table that never changes
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum continues a CRC-32C over p; start with 0.
func Checksum(crc uint32, p []byte) uint32 { return crc32.Update(crc, castagnoli, p) }

// Frame is one message. Its slices are valid until the reader's next call.
type Frame struct {
	Type    Type
	Seq     uint32 // dense from 0 on a live stream, increasing in a stored file
	Payload []byte
	Raw     []byte // the whole frame as it was read, checksum included
}

// Writer writes frames. It is not safe for concurrent use: a stream has one writer.
type Writer struct {
	w       io.Writer
	seq     uint32
	started bool
	buf     []byte
}

// NewWriter returns a Writer; the opening bytes go out with the first frame.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write sends one frame in a single call of the underlying Write.
func (w *Writer) Write(t Type, payload []byte) error {
	if len(payload) > MaxPayload {
		return fmt.Errorf("write %s frame: payload of %d bytes, at most %d are allowed", t, len(payload), MaxPayload)
	}
	w.buf = w.buf[:0]
	if !w.started {
		w.buf = append(w.buf, magic[:]...)
	}
	w.buf = appendFrame(w.buf, t, w.seq, payload)
	if _, err := w.w.Write(w.buf); err != nil {
		return fmt.Errorf("write %s frame: %w", t, err)
	}
	w.started = true
	w.seq++
	return nil
}

// Opening returns the bytes that open a stream or a stored file.
func Opening() []byte { return append([]byte(nil), magic[:]...) }

func appendFrame(dst []byte, t Type, seq uint32, payload []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(bodyHead+len(payload)))
	start := len(dst)
	dst = append(dst, byte(t))
	dst = binary.LittleEndian.AppendUint32(dst, seq)
	dst = append(dst, payload...)
	return binary.LittleEndian.AppendUint32(dst, Checksum(0, dst[start:]))
}

// VersionError says that a stream is not of this protocol, or not of this version.
type VersionError struct {
	Seen []byte // its first bytes, at most 4
}

func (e *VersionError) Error() string {
	if len(e.Seen) == 4 && string(e.Seen[:3]) == string(magic[:3]) {
		return fmt.Sprintf("read stream: protocol version %d, this program speaks %d: both ends must be of one version",
			e.Seen[3], Version)
	}
	return fmt.Sprintf("read stream: not a splitbench stream: it starts with %q", e.Seen)
}

// CorruptError says where a stream stopped making sense.
type CorruptError struct {
	Offset int64 // of the frame's first byte, from the start of the stream
	Frames uint64
	Cause  error // io.ErrUnexpectedEOF where the stream was cut
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("read frame %d at byte %d: %v", e.Frames, e.Offset, e.Cause)
}

// Unwrap returns the cause.
func (e *CorruptError) Unwrap() error { return e.Cause }

// Truncated reports whether err says that a stream was cut in the middle of a frame.
func Truncated(err error) bool {
	var c *CorruptError
	return errors.As(err, &c) && errors.Is(c.Cause, io.ErrUnexpectedEOF)
}

// Reader reads and verifies frames. After an error other than io.EOF it must not be used any more.
type Reader struct {
	r       *bufio.Reader
	stored  bool
	opened  bool
	offset  int64
	frames  uint64
	lastSeq int64
	buf     []byte
}

// NewReader reads a live stream: frame numbers must be dense.
func NewReader(r io.Reader) *Reader { return &Reader{r: bufio.NewReader(r), lastSeq: -1} }

// NewStoredReader reads a stored file: frame numbers must increase, since not every frame of a session is stored.
func NewStoredReader(r io.Reader) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, 256<<10), lastSeq: -1, stored: true}
}

// Next returns the next frame. It returns io.EOF only where a stream ends between two frames, which is an end of the
// bytes, not of a burst; *VersionError and *CorruptError tell the rest.
func (r *Reader) Next() (Frame, error) {
	if !r.opened {
		if err := r.open(); err != nil {
			return Frame{}, err
		}
	}
	head, err := r.r.Peek(maxLenLen)
	if len(head) == 0 {
		if errors.Is(err, io.EOF) {
			return Frame{}, io.EOF
		}
		return Frame{}, r.corrupt(err)
	}
	length, n := binary.Uvarint(head)
	switch {
	case n == 0 && len(head) < maxLenLen:
		return Frame{}, r.corrupt(io.ErrUnexpectedEOF)
	case n <= 0, length < bodyHead, length > bodyHead+MaxPayload:
		return Frame{}, r.corrupt(fmt.Errorf("impossible frame length %d", length))
	}
	size := n + int(length) + checksum
	if cap(r.buf) < size {
		r.buf = make([]byte, size+size/4)
	}
	raw := r.buf[:size]
	if _, err := io.ReadFull(r.r, raw); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return Frame{}, r.corrupt(err)
	}
	return r.verify(raw, raw[n:n+int(length)])
}

func (r *Reader) verify(raw, body []byte) (Frame, error) {
	if want := binary.LittleEndian.Uint32(raw[len(raw)-checksum:]); Checksum(0, body) != want {
		return Frame{}, r.corrupt(errors.New("checksum does not match"))
	}
	f := Frame{Type: Type(body[0]), Seq: binary.LittleEndian.Uint32(body[1:bodyHead]), Payload: body[bodyHead:], Raw: raw}
	if f.Type == 0 || f.Type >= numTypes {
		return Frame{}, r.corrupt(fmt.Errorf("unknown frame %s", f.Type))
	}
	if s := int64(f.Seq); s <= r.lastSeq || !r.stored && s != r.lastSeq+1 {
		return Frame{}, r.corrupt(fmt.Errorf("frame number %d after %d: frames are missing or doubled", s, r.lastSeq))
	}
	r.lastSeq = int64(f.Seq)
	r.offset += int64(len(raw))
	r.frames++
	return f, nil
}

func (r *Reader) open() error {
	var seen [len(magic)]byte
	n, err := io.ReadFull(r.r, seen[:])
	version := seen[3]
	readable := r.stored && bytes.Equal(seen[:3], magic[:3]) && version >= oldestStored && version < Version
	switch {
	case n == 0 && errors.Is(err, io.EOF):
		return io.EOF
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return r.corrupt(err)
	case seen != magic && !readable:
		return &VersionError{Seen: append([]byte(nil), seen[:n]...)}
	}
	r.opened = true
	r.offset = int64(n)
	return nil
}

func (r *Reader) corrupt(cause error) error {
	return &CorruptError{Offset: r.offset, Frames: r.frames, Cause: cause}
}
