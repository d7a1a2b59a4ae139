package wire

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"sync"
	"time"
)

// MaxTimedBackends is how many backends have histograms in a TICK; a split of more has few requests for each.
const MaxTimedBackends = 8

// Geometry of the histograms: Units from 1 to 10 minutes, which no request outlasts, with two digits.
const (
	maxTimed    = int64(10 * time.Minute / Unit)
	digits      = 2
	octave      = 128 // buckets for each doubling; the first two octaves have one for each Unit
	octaveBits  = 7
	maxBuckets  = (26 + 1) * octave // maxTimed has 33 bits
	maxCount    = 1 << 48           // of a bucket: sums of what a burst's TICKs say stay far from overflowing
	maxCountLen = 8                 // in bytes, as a varint
)

// maxEncoded bounds a histogram on the wire, in bytes: all buckets, each with a long count, before base64.
const maxEncoded = 64 << 10

// Histogram is a distribution of times in Units, with two significant digits. On the wire it is the base64 text of the
// HdrHistogram format V2, compressed, so that the libraries of other languages read it too; a histogram of nothing is
// the empty text. The zero value is ready for use. It is not safe for concurrent use.
//
// HdrHistogram's own library could write and read it, at forty times the cost: it makes a compressor for each. A TICK
// has five, each second, of each of 500 pods.
type Histogram struct {
	first  int      // bucket
	counts []uint64 // of the buckets from first on, those octaves that were ever in use and all between
	n      uint64
}

// Record counts one time. What is shorter than a Unit, or negative, counts as 0, what is too long as the longest.
func (h *Histogram) Record(d time.Duration) {
	v := min(max(int64(d/Unit), 0), maxTimed)
	shift := max(0, bits.Len64(uint64(v))-octaveBits-1)
	h.count(shift*octave+int(v>>shift), 1)
}

func (h *Histogram) count(bucket int, n uint64) {
	if i := bucket - h.first; i < 0 || i >= len(h.counts) {
		h.reach(bucket / octave * octave)
	}
	h.counts[bucket-h.first] += n
	h.n += n
}

// reach makes room for an octave.
func (h *Histogram) reach(octave0 int) {
	first, end := octave0, octave0+octave
	if len(h.counts) > 0 {
		first, end = min(first, h.first), max(end, h.first+len(h.counts))
	}
	counts := make([]uint64, end-first)
	copy(counts[max(0, h.first-first):], h.counts)
	h.first, h.counts = first, counts
}

// Len is how many times were counted.
func (h *Histogram) Len() uint64 { return h.n }

// Reset forgets all times.
func (h *Histogram) Reset() {
	clear(h.counts)
	h.n = 0
}

// Add takes the times of another one too.
func (h *Histogram) Add(from Histogram) {
	for i, n := range from.counts {
		if n > 0 {
			h.count(from.first+i, n)
		}
	}
}

// Each calls f for each bucket that is not empty, in ascending order, with the middle of its times and their number.
func (h *Histogram) Each(f func(d time.Duration, n uint64)) {
	for i, n := range h.counts {
		if n > 0 {
			shift := max(0, (h.first+i)/octave-1)
			from, width := int64(h.first+i-shift*octave)<<shift, int64(1)<<shift
			f(time.Duration(from+(width-1)/2)*Unit, n)
		}
	}
}

// hdrHead begins a histogram of HdrHistogram's format V2, before its compression.
type hdrHead struct {
	Cookie, Length, Offset, Digits int32
	Lowest, Highest                int64
	Ratio                          float64
}

const (
	hdrCookie           = 0x1c849303 | 0x10
	hdrCompressedCookie = 0x1c849304 | 0x10
	hdrWordSize         = 0xf0 // bits of a cookie that say how wide counts may be
)

// deflaters and inflaters are kept: what they hold is a hundred times what they are given.
//
//nolint:gochecknoglobals // caches
var (
	deflaters sync.Pool // of *zlib.Writer
	inflaters sync.Pool // of zlib.Resetter
)

// MarshalJSON writes the text that the type's comment describes.
func (h Histogram) MarshalJSON() ([]byte, error) {
	if h.n == 0 {
		return []byte(`""`), nil
	}
	counts := h.appendCounts(nil)
	plain, err := binary.Append(nil, binary.BigEndian, hdrHead{hdrCookie, int32(len(counts)), 0, digits, 1, maxTimed, 1})
	w, ok := deflaters.Get().(*zlib.Writer)
	if !ok {
		w, _ = zlib.NewWriterLevel(io.Discard, flate.HuffmanOnly) // which there is; a better one finds nothing to repeat
	}
	defer deflaters.Put(w)
	packed := bytes.NewBuffer(make([]byte, 8, 512))
	w.Reset(packed)
	if err == nil {
		_, err = w.Write(append(plain, counts...))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, fmt.Errorf("encode histogram: %w", err)
	}
	b := packed.Bytes()
	binary.BigEndian.PutUint32(b, hdrCompressedCookie)
	binary.BigEndian.PutUint32(b[4:], uint32(len(b)-8))
	return append(base64.StdEncoding.AppendEncode([]byte{'"'}, b), '"'), nil
}

// appendCounts writes the counts as varints, and n empty buckets as -n.
func (h *Histogram) appendCounts(dst []byte) []byte {
	empty := int64(h.first)
	for _, n := range h.counts {
		if n == 0 {
			empty++
			continue
		}
		if empty > 0 {
			dst = binary.AppendVarint(dst, -empty)
		}
		dst, empty = binary.AppendVarint(dst, int64(n)), 0
	}
	return dst
}

// UnmarshalJSON reads it. Only histograms of this geometry are taken: others cannot be added up.
func (h *Histogram) UnmarshalJSON(b []byte) error {
	*h = Histogram{}
	b, quoted := bytes.CutPrefix(b, []byte{'"'}) // and what JSON would escape in it is no base64
	switch {
	case string(b) == "null":
		return nil
	case len(b) > maxEncoded:
		return errors.New("decode histogram: too long")
	case !quoted:
		return errors.New("decode histogram: no text")
	}
	text, err := base64.StdEncoding.AppendDecode(nil, bytes.TrimSuffix(b, []byte{'"'}))
	if err != nil {
		return fmt.Errorf("decode histogram: %w", err)
	}
	if len(text) == 0 {
		return nil
	}
	if len(text) < 8 || binary.BigEndian.Uint32(text)&^hdrWordSize != hdrCompressedCookie&^hdrWordSize ||
		uint64(binary.BigEndian.Uint32(text[4:])) > uint64(len(text)-8) {
		return errors.New("decode histogram: not HdrHistogram's V2, compressed")
	}
	if err = h.inflate(text[8:][:binary.BigEndian.Uint32(text[4:])]); err != nil {
		return fmt.Errorf("decode histogram: %w", err)
	}
	return nil
}

func (h *Histogram) inflate(packed []byte) (err error) {
	z, used := inflaters.Get().(io.Reader)
	if r, ok := z.(zlib.Resetter); used && ok {
		err = r.Reset(bytes.NewReader(packed), nil)
	} else {
		z, err = zlib.NewReader(bytes.NewReader(packed))
	}
	if err != nil {
		return err
	}
	defer inflaters.Put(z)
	var head hdrHead
	if err := binary.Read(z, binary.BigEndian, &head); err != nil {
		return err
	}
	if head.Cookie&^hdrWordSize != hdrCookie&^hdrWordSize || head.Digits != digits || head.Lowest != 1 ||
		head.Highest != maxTimed || head.Length < 0 || head.Length > maxBuckets*maxCountLen {
		return errors.New("of another geometry")
	}
	counts, err := io.ReadAll(io.LimitReader(z, int64(head.Length)+1)) // to the end, where the checksum is
	if err == nil && len(counts) != int(head.Length) {
		err = fmt.Errorf("%d bytes of counts, %d were announced", len(counts), head.Length)
	}
	if err != nil {
		return err
	}
	return h.readCounts(counts)
}

func (h *Histogram) readCounts(b []byte) error {
	bucket := int64(0)
	for len(b) > 0 {
		n, size := binary.Varint(b)
		if size <= 0 || n > maxCount || n >= 0 && bucket >= maxBuckets || -n > maxBuckets-bucket {
			return fmt.Errorf("corrupt counts at bucket %d", bucket)
		}
		b = b[size:]
		switch {
		case n < 0:
			bucket -= n
			continue
		case n > 0:
			h.count(int(bucket), uint64(n))
		}
		bucket++
	}
	return nil
}
