package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/bench"
)

func TestCommandLineKeepsNoSecrets(t *testing.T) {
	got := commandLine([]string{
		"run", "ts/podinfo", "--token", "SECRET", "--token=SECRET", "--password", "SECRET", "-n", "test",
		"--server", "https://me:SECRET@api:6443/x", "--server=https://me:SECRET@api:6443", "--url=http://podinfo:9898/?a=b", "--label", "by=me@example.com",
		"--header", "Authorization: Bearer SECRET", "--header=Cookie: a=SECRET", "--header", "x-canary: always", "--header", "Accept: text/plain", "--header", "X-Api-Key:SECRET",
	})
	want := []string{
		"splitbench", "run", "ts/podinfo", "--token", "***", "--token=***", "--password", "***", "-n", "test",
		"--server", "https://***@api:6443/x", "--server=https://***@api:6443", "--url=http://podinfo:9898/?a=***", "--label", "by=me@example.com",
		"--header", "Authorization: ***", "--header=Cookie: ***", "--header", "x-canary: ***", "--header", "Accept: text/plain", "--header", "X-Api-Key: ***",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestResolvedFlagsKeepNoSecrets(t *testing.T) {
	flags := pflag.NewFlagSet("run", pflag.ContinueOnError)
	(&requestFlags{}).register(flags, &bench.Config{})
	flags.String("token", "", "")
	flags.StringArray("through", nil, "")
	err := flags.Parse([]string{
		"--header", "Authorization: Bearer SECRET", "--header", "x-canary: always", "--header", "accept:a", "--token", "SECRET", "--through", "http://me:SECRET@host/x",
	})
	if err != nil {
		t.Fatal(err)
	}
	got := resolvedFlags(flags)
	for name, want := range map[string]string{
		"header": "[Authorization: ***,x-canary: ***,accept: a]", "token": "***", "through": "[http://***@host/x]",
	} {
		if got[name] != want {
			t.Errorf("--%s is kept as %q, want %q", name, got[name], want)
		}
	}
}
