package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCommandLineKeepsNoSecrets(t *testing.T) {
	got := commandLine([]string{
		"run", "ts/podinfo", "--token", "SECRET", "--token=SECRET", "--password", "SECRET", "-n", "test",
		"--server", "https://me:SECRET@api:6443/x", "--server=https://me:SECRET@api:6443", "--url=http://podinfo:9898/?a=b", "--label", "by=me@example.com",
	})
	want := []string{
		"splitbench", "run", "ts/podinfo", "--token", "***", "--token=***", "--password", "***", "-n", "test",
		"--server", "https://***@api:6443/x", "--server=https://***@api:6443", "--url=http://podinfo:9898/?a=b", "--label", "by=me@example.com",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
