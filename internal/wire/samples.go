package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"time"

	"github.com/splitbench/splitbench/attack"
)

// Unit is the resolution of instants in a sample block: what is finer is cut off.
const Unit = 100 * time.Nanosecond

// outcome is what a report counts a result by.
type outcome struct {
	status  uint16
	backend int16
	err     attack.ErrorClass
}

// kind is what many samples of a block have in common; a sample refers to it by its place in the block's dictionary.
type kind struct {
	outcome
	conn int32
}

// Flags of a sample. Without any it is the one that the predictor expects, with a first byte, its instants in order.
const (
	flagSeq       = 1 << iota // its number follows
	flagPlanned               // its planned instant follows
	flagUnstarted             // no first byte
	flagOdd                   // some instant is before the one it should follow: differences are signed
	flagsEnd
)

// AppendSamples appends one self-contained block that holds the results in their order. A sample takes about 8 bytes:
// instants are differences in Units, as varints, and what can be predicted from the sample before is left out.
func AppendSamples(dst []byte, results []attack.Result) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(results)))
	index, places := newIndex(len(results)), make([]uint32, len(results))
	for i, r := range results {
		places[i] = index.place(kindOf(r))
	}
	dst = binary.AppendUvarint(dst, uint64(len(index.kinds)))
	for _, k := range index.kinds {
		dst = binary.AppendUvarint(dst, uint64(k.status))
		dst = binary.AppendVarint(dst, int64(k.backend))
		dst = append(dst, byte(k.err))
		dst = binary.AppendVarint(dst, int64(k.conn))
	}
	var p predictor
	for i, r := range results {
		dst = appendSample(dst, r, &p)
		dst = binary.AppendUvarint(dst, uint64(places[i]))
	}
	return dst
}

// kindIndex finds the place of a kind in a block's dictionary: a hash table that is made for one block, which a map is
// too dear for.
type kindIndex struct {
	kinds []kind
	slots []uint32 // a place + 1, or 0; twice as many at least as there can be kinds, a power of two
	shift int      // from a hash to a slot
}

func newIndex(n int) kindIndex {
	size := bits.Len(uint(2 * n))
	return kindIndex{slots: make([]uint32, 1<<size), shift: 64 - size}
}

func (x *kindIndex) place(k kind) uint32 {
	what := uint64(uint16(k.backend)) | uint64(k.status)<<16 ^ uint64(k.err)<<28 | uint64(uint32(k.conn))<<32
	const golden = 0x9e3779b97f4a7c15 // spreads what differs in few bits
	for i := what * golden >> x.shift; ; i = (i + 1) & uint64(len(x.slots)-1) {
		switch p := x.slots[i]; {
		case p == 0:
			x.kinds = append(x.kinds, k)
			x.slots[i] = uint32(len(x.kinds))
			return x.slots[i] - 1
		case x.kinds[p-1] == k:
			return p - 1
		}
	}
}

func kindOf(r attack.Result) kind {
	return kind{outcome{r.Status, r.Backend, r.Err}, r.Conn}
}

func appendSample(dst []byte, r attack.Result, p *predictor) []byte {
	planned, sent, first, done := int64(r.Planned/Unit), int64(r.Sent/Unit), int64(r.FirstByte/Unit), int64(r.Done/Unit)
	seq, plan := p.number(), p.instant(r.Seq)
	p.seen(r.Seq, planned)
	var flags byte
	if r.Seq != seq {
		flags |= flagSeq
	}
	if planned != plan {
		flags |= flagPlanned
	}
	if r.FirstByte == 0 {
		flags |= flagUnstarted
		first = sent
	}
	if sent < planned || first < sent || done < first {
		flags |= flagOdd
	}
	dst = append(dst, flags)
	if flags&flagSeq != 0 {
		dst = binary.AppendVarint(dst, int64(r.Seq-seq))
	}
	if flags&flagPlanned != 0 {
		dst = binary.AppendVarint(dst, planned-plan)
	}
	difference := func(d int64) {
		if flags&flagOdd != 0 {
			dst = binary.AppendVarint(dst, d)
		} else {
			dst = binary.AppendUvarint(dst, uint64(d))
		}
	}
	difference(sent - planned)
	if flags&flagUnstarted == 0 {
		difference(first - sent)
	}
	difference(done - first)
	return dst
}

// predictor guesses the next sample from those before: the next number, and an instant that lies as many intervals
// later as numbers were passed over.
type predictor struct {
	next     uint64 // number after the last sample's
	planned  int64  // instant of the last sample
	interval int64  // between two numbers; from the first two samples
	n        int
}

func (p *predictor) number() uint64 { return p.next }

func (p *predictor) instant(seq uint64) int64 {
	if p.n == 0 {
		return 0
	}
	return p.planned + p.interval*int64(seq-(p.next-1))
}

func (p *predictor) seen(seq uint64, planned int64) {
	if passed := int64(seq - (p.next - 1)); p.n == 1 && passed != 0 {
		p.interval = (planned - p.planned) / passed
	}
	p.next, p.planned = seq+1, planned
	p.n++
}

var errShort = errors.New("sample block ends in the middle of a sample")

// minSample is the size of the smallest sample: flags, two differences, kind.
const minSample = 4

// DecodeSamples appends the results of one block to dst; of a block that is not wholly right none, with an error.
func DecodeSamples(dst []attack.Result, block []byte) ([]attack.Result, error) {
	d := decoder{b: block}
	count := d.uvarint()
	kinds := d.kinds()
	// A count that cannot be there must not cost memory.
	if d.err == nil && count > uint64(len(d.b))/minSample {
		d.fail(errShort)
	}
	start := len(dst)
	var p predictor
	for i := uint64(0); i < count && d.err == nil; i++ {
		dst = append(dst, d.sample(&p, kinds))
	}
	if d.err == nil && len(d.b) != 0 {
		d.fail(fmt.Errorf("%d bytes left over", len(d.b)))
	}
	if d.err != nil {
		return dst[:start], fmt.Errorf("decode samples: %w", d.err)
	}
	return dst, nil
}

// decoder reads a block and remembers the first error.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) sample(p *predictor, kinds []kind) attack.Result {
	seq := p.number()
	flags := d.byte()
	if flags >= flagsEnd {
		d.fail(fmt.Errorf("unknown flags %#x", flags))
	}
	if flags&flagSeq != 0 {
		seq += uint64(d.varint())
	}
	planned := p.instant(seq)
	if flags&flagPlanned != 0 {
		planned += d.varint()
	}
	difference := func() int64 {
		if flags&flagOdd != 0 {
			return d.varint()
		}
		return int64(d.uvarint())
	}
	r := attack.Result{Seq: seq, Planned: d.instant(planned)}
	sent := planned + difference()
	first := sent
	if flags&flagUnstarted == 0 {
		first += difference()
		r.FirstByte = d.instant(first)
	}
	r.Sent, r.Done = d.instant(sent), d.instant(first+difference())
	k := d.uvarint()
	if k >= uint64(len(kinds)) {
		d.fail(errors.New("a kind is out of range"))
		return r
	}
	if r.Done < r.Sent || r.Done < r.Planned {
		d.fail(errors.New("a request was done before it was sent"))
	}
	r.Conn, r.Status, r.Backend, r.Err = kinds[k].conn, kinds[k].status, kinds[k].backend, kinds[k].err
	p.seen(seq, planned)
	return r
}

func (d *decoder) kinds() []kind {
	n := d.uvarint()
	if n > uint64(len(d.b))/minSample {
		d.fail(errShort)
		return nil
	}
	kinds := make([]kind, n)
	for i := range kinds {
		status, backend, class, conn := d.uvarint(), d.varint(), d.byte(), d.varint()
		if !plausible(status, attack.ErrorClass(class)) || backend < attack.Unattributed || backend > math.MaxInt16 ||
			conn < attack.UnknownConn || conn > math.MaxInt32 {
			d.fail(errors.New("a status, a class, a backend or a connection is out of range"))
		}
		kinds[i] = kind{outcome{uint16(status), int16(backend), attack.ErrorClass(class)}, int32(conn)}
	}
	return kinds
}

// plausible reports whether a request can have ended so: an answer has a status of three digits.
func plausible(status uint64, class attack.ErrorClass) bool {
	return class < attack.ErrLost && (status >= 100 && status <= 999 || status == 0 && class != attack.OK)
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail(errShort)
		return 0
	}
	b := d.b[0]
	d.b = d.b[1:]
	return b
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail(errShort)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail(errShort)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) instant(units int64) time.Duration {
	if units > math.MaxInt64/int64(Unit) || units < 0 { // nothing happens before the burst
		d.fail(errors.New("an instant is out of range"))
		return 0
	}
	return time.Duration(units) * Unit
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}
