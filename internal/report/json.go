package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// WriteJSON writes a document, of whatever kind, indented. The same document always gives the same bytes. Characters
// that could act on a terminal (C1 controls, direction marks) are written as JSON escapes, which is the same document.
func WriteJSON(w io.Writer, document any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(document); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	_, err := w.Write(EscapeUnprintable(b.Bytes()))
	return err
}

// EscapeUnprintable writes what could act where it is shown as JSON escapes. It works on encoded JSON: outside strings
// everything is printable ASCII, so whatever is not is inside one.
func EscapeUnprintable(doc []byte) []byte {
	var out bytes.Buffer
	for len(doc) > 0 {
		r, size := utf8.DecodeRune(doc)
		switch {
		case r == '\n' || unicode.IsPrint(r):
			out.Write(doc[:size])
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
		doc = doc[size:]
	}
	return out.Bytes()
}

// The errors of ReadJSON that callers act on.
var (
	ErrNotReport = errors.New("not a report")
	ErrNewer     = errors.New("made by a newer splitbench")
	ErrDamaged   = errors.New("DAMAGED")
)

// maxReport bounds what ReadJSON takes: a report holds no samples.
const maxReport = 64 << 20

func readAll(in io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(in, maxReport+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read report: %w", err)
	case len(b) > maxReport:
		return nil, fmt.Errorf("read report: %w: larger than %d bytes", ErrNotReport, maxReport)
	}
	return b, nil
}

// ReadJSON reads what WriteJSON wrote. It refuses another kind of document (ErrNotReport) and a version that it does
// not know (ErrNewer) instead of leaving out what it does not understand; a field it does not know is therefore an
// error too.
func ReadJSON(in io.Reader) (Report, error) {
	b, err := readAll(in)
	if err != nil {
		return Report{}, err
	}
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return Report{}, fmt.Errorf("read report: %w: %w", ErrNotReport, err)
	}
	group, _, _ := strings.Cut(APIVersion, "/")
	switch {
	case !slices.Contains([]string{Kind, KindLatencyReport, KindDrillReport, KindWatchReport},
		head.Kind) || !strings.HasPrefix(head.APIVersion, group+"/"):
		return Report{}, fmt.Errorf("read report: %w: it is %q of %q, want %q of %q",
			ErrNotReport, head.Kind, head.APIVersion, Kind, APIVersion)
	case head.APIVersion != APIVersion:
		return Report{}, fmt.Errorf("read report: version %q: %w, this one reads %q: update splitbench",
			head.APIVersion, ErrNewer, APIVersion)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var r Report
	if err := dec.Decode(&r); err != nil {
		return Report{}, fmt.Errorf("read report: %w: %w", ErrNotReport, err)
	}
	return r, nil
}

// reportScript is the id of the element that holds the report's JSON inside its page.
const reportScript = "splitbench-report"

// ReadHTML gets the report back from the page of a report. A page without one, and a file that is none, are
// ErrNotReport, one whose report is not what its digest says ErrDamaged; otherwise it refuses what ReadJSON refuses.
func ReadHTML(in io.Reader) (Report, error) {
	b, err := readAll(in)
	if err != nil {
		return Report{}, err
	}
	// The JSON holds no < but those of escapes, so its element ends at the first one.
	all := embeddedReport.FindAllSubmatchIndex(b, -1)
	if len(all) == 0 {
		return Report{}, fmt.Errorf("read report: %w: the page holds no report of splitbench", ErrNotReport)
	}
	at := all[len(all)-1]
	doc, _, ok := bytes.Cut(b[at[1]:], []byte("<"))
	if !ok {
		return Report{}, fmt.Errorf("read report: %w: the page is cut short", ErrNotReport)
	}
	sum := string(b[at[2]:at[3]]) // pages of earlier versions have none
	if sum != "" && sum != fmt.Sprintf(` data-sha256="%s"`, Digest(doc)) {
		return Report{}, fmt.Errorf("read report: %w: the page was changed after it was written: it has no outcome",
			ErrDamaged)
	}
	return ReadJSON(bytes.NewReader(doc))
}

// embeddedReport is the beginning of the element that reportScript names.
var embeddedReport = regexp.MustCompile(
	`<script type="application/json" id="` + reportScript + `"(| data-sha256="[0-9a-f]+")>`)

// Digest is the SHA-256 of a document, as sha256sum prints it.
func Digest(doc []byte) string { return fmt.Sprintf("%x", sha256.Sum256(doc)) }

// IsHTML reports whether a file begins as a page does, from its first bytes.
func IsHTML(head []byte) bool {
	head = bytes.ToLower(bytes.TrimLeft(head, "\ufeff \t\r\n"))
	return bytes.HasPrefix(head, []byte("<!doctype html")) || bytes.HasPrefix(head, []byte("<html"))
}

var jsonHead = regexp.MustCompile(`^\s*\{\s*"apiVersion"\s*:\s*"splitbench\.io/`)

// IsJSON reports whether a file begins as a report in JSON does.
func IsJSON(head []byte) bool {
	return jsonHead.Match(head)
}

// Storable is a deep copy of a document in which all text is such that JSON can hold it, map keys included.
func Storable[T any](document T) T {
	var out T
	copyStorable(reflect.ValueOf(&out).Elem(), reflect.ValueOf(&document).Elem())
	return out
}

func copyStorable(dst, src reflect.Value) {
	switch src.Kind() {
	case reflect.String:
		dst.SetString(strings.ToValidUTF8(src.String(), "\uFFFD"))
	case reflect.Pointer:
		if !src.IsNil() {
			dst.Set(reflect.New(src.Type().Elem()))
			copyStorable(dst.Elem(), src.Elem())
		}
	case reflect.Slice:
		if !src.IsNil() {
			dst.Set(reflect.MakeSlice(src.Type(), src.Len(), src.Len()))
			for i := range src.Len() {
				copyStorable(dst.Index(i), src.Index(i))
			}
		}
	case reflect.Map:
		if !src.IsNil() {
			dst.Set(reflect.MakeMapWithSize(src.Type(), src.Len()))
			for it := src.MapRange(); it.Next(); {
				key, value := reflect.New(src.Type().Key()).Elem(), reflect.New(src.Type().Elem()).Elem()
				copyStorable(key, it.Key())
				copyStorable(value, it.Value())
				dst.SetMapIndex(key, value)
			}
		}
	case reflect.Struct:
		dst.Set(src) // unexported fields, as those of time.Time, are copied as they are
		for i := range src.NumField() {
			if src.Type().Field(i).IsExported() {
				copyStorable(dst.Field(i), src.Field(i))
			}
		}
	default:
		dst.Set(src)
	}
}
