package report

import (
	"testing"
	"time"
)

func TestWatchFailuresAndGapsAsSentences(t *testing.T) {
	for want, got := range map[string]string{
		"podinfo-east has weight 0 and answered 1 request":                                                           WatchFailure{Backend: "podinfo-east", Side: SideLeak, Observed: 1, Requests: 40}.String(),
		"podinfo answered 300 of the 1,000 requests of the last 20s (30 %), below the 45 % where its tolerance ends": WatchFailure{Backend: "podinfo", Side: SideBelow, Edge: 0.45, Seconds: 20, Requests: 1000, Observed: 300}.String(),
		"2026-11-22T07:30:00Z, 4.2s, until the end of the watch, pod a: gone":                                        WatchGap{At: time.Date(2026, 11, 22, 7, 30, 0, 0, time.UTC), Seconds: 4.2, From: "a", Why: "gone"}.String(),
		"2026-11-22T07:30:00Z, 4.2s, pod a: the API server went away":                                                WatchGap{At: time.Date(2026, 11, 22, 7, 30, 0, 0, time.UTC), Seconds: 4.2, From: "a", To: "a", Why: "the API server went away"}.String(),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
