package store

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestNewID(t *testing.T) {
	at := time.Date(2026, 11, 22, 8, 15, 2, 999, time.FixedZone("CET", 3600)) // 07:15:02 UTC
	for _, c := range []struct{ ns, split, want string }{
		{"test", "podinfo", "20261122t071502z-test-podinfo-aeba"}, // 0x01 0x02 0x03 in base32: AEBAG, of which 4
		{"", "", "20261122t071502z-x-x-aeba"},
		{"Team_A", "--Pod.info--", "20261122t071502z-team-a-pod-info-aeba"},
		{"ns\x1b[31m", "../../etc", "20261122t071502z-ns--31m-etc-aeba"},
		{"test", strings.Repeat("s", 63), "20261122t071502z-test-" + strings.Repeat("s", 36) + "-aeba"},
		{strings.Repeat("n", 63), strings.Repeat("s", 63), "20261122t071502z-nnnnnnnn-" + strings.Repeat("s", 32) + "-aeba"},
		{strings.Repeat("n", 63), "podinfo", "20261122t071502z-" + strings.Repeat("n", 33) + "-podinfo-aeba"},
		{"test", strings.Repeat("s", 35) + "-tail", "20261122t071502z-test-" + strings.Repeat("s", 35) + "-aeba"}, // no double dash at the cut
	} {
		got, err := NewID(at, c.ns, c.split, bytes.NewReader([]byte{1, 2, 3}))
		if err != nil || got != c.want {
			t.Errorf("NewID(%q, %q) = %q, %v, want %q", c.ns, c.split, got, err, c.want)
		}
		if err := checkID(got); err != nil {
			t.Errorf("NewID(%q, %q): %v", c.ns, c.split, err)
		}
	}
	if id, err := NewID(at, "a", "b", iotest.ErrReader(errors.New("no entropy"))); err == nil {
		t.Errorf("NewID without entropy = %q, want an error", id)
	}
}

func FuzzNewID(f *testing.F) {
	f.Add("test", "podinfo", []byte{0, 0, 0}, int64(0))
	f.Add("\xff", "é", []byte{255, 255, 255}, int64(1<<40))
	f.Fuzz(func(t *testing.T, ns, split string, random []byte, seconds int64) {
		at := time.Unix(seconds, 0).UTC()
		if at.Year() < 1000 || at.Year() > 9999 || len(random) < 3 {
			return
		}
		id, err := NewID(at, ns, split, bytes.NewReader(random))
		if err != nil {
			t.Fatal(err)
		}
		if err := checkID(id); err != nil {
			t.Error(err)
		}
	})
}

func FuzzParseSums(f *testing.F) {
	f.Add([]byte(strings.Repeat("0", 64) + "  status\n"))
	f.Add([]byte("x  y\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		sums, damage := parseSums(b)
		if damage != "" {
			return
		}
		for name := range sums {
			if err := checkName(name); err != nil {
				t.Error(err)
			}
		}
		again, damage := parseSums(formatSums(sums))
		if len(sums) > 0 && (damage != "" || len(again) != len(sums)) {
			t.Errorf("sums do not survive: %s", damage)
		}
	})
}
