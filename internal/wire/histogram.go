package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// MaxTimedBackends is how many backends have histograms in a TICK; a split of more has few requests for each.
const MaxTimedBackends = 8

// Geometry of the histograms: Units from 1 to 10 minutes, which no request outlasts, with two digits.
const (
	maxTimed = int64(10 * time.Minute / Unit)
	digits   = 2
)

// maxEncoded bounds a histogram on the wire, in bytes: all buckets, each with a long count, before base64.
const maxEncoded = 64 << 10

// Histogram is a distribution of times in Units, with two significant digits. On the wire it is the base64 text of the
// HdrHistogram format V2, compressed, so that the libraries of other languages read it too; a histogram of nothing is
// the empty text. The zero value is ready for use. It is not safe for concurrent use.
type Histogram struct{ h *hdrhistogram.Histogram }

// Record counts one time. What is shorter than a Unit, or negative, counts as 0, what is too long as the longest.
func (h *Histogram) Record(d time.Duration) {
	if h.h == nil {
		h.h = hdrhistogram.New(1, maxTimed, digits)
	}
	h.h.RecordValue(min(max(int64(d/Unit), 0), maxTimed)) //nolint:errcheck // it is in range
}

// Len is how many times were counted.
func (h *Histogram) Len() uint64 {
	if h.h == nil {
		return 0
	}
	return uint64(h.h.TotalCount())
}

// Reset forgets all times.
func (h *Histogram) Reset() {
	if h.h != nil {
		h.h.Reset()
	}
}

// Add takes the times of another one too.
func (h *Histogram) Add(from Histogram) {
	if from.Len() == 0 {
		return
	}
	if h.h == nil {
		h.h = hdrhistogram.New(1, maxTimed, digits)
	}
	h.h.Merge(from.h) // nothing is dropped: both have one geometry
}

// Each calls f for each bucket that is not empty, in ascending order, with the middle of its times and their number.
func (h *Histogram) Each(f func(d time.Duration, n uint64)) {
	if h.h == nil {
		return
	}
	for _, bar := range h.h.Distribution() {
		if bar.Count > 0 {
			f(time.Duration(bar.From+(bar.To-bar.From)/2)*Unit, uint64(bar.Count))
		}
	}
}

// MarshalJSON writes the text that the type's comment describes.
func (h Histogram) MarshalJSON() ([]byte, error) {
	if h.Len() == 0 {
		return []byte(`""`), nil
	}
	text, err := h.h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, fmt.Errorf("encode histogram: %w", err)
	}
	return json.Marshal(string(text))
}

// UnmarshalJSON reads it. Only histograms of this geometry are taken: others cannot be added up.
func (h *Histogram) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return fmt.Errorf("decode histogram: %w", err)
	}
	if text == "" {
		h.h = nil
		return nil
	}
	if len(text) > maxEncoded {
		return errors.New("decode histogram: too long")
	}
	got, err := hdrhistogram.Decode([]byte(text))
	if err != nil {
		return fmt.Errorf("decode histogram: %w", err)
	}
	if got.SignificantFigures() != digits || got.LowestTrackableValue() != 1 || got.HighestTrackableValue() != maxTimed {
		return errors.New("decode histogram: of another geometry")
	}
	h.h = got
	return nil
}
