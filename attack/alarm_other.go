//go:build !linux

package attack

func newAlarm() alarm { return newTimerAlarm() }
