package main

import (
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// secretFlags are flags whose values must not be kept.
func secretFlags() []string { return []string{"--token", "--password"} }

const masked = "***"

// commandLine is the command as a run keeps it: reports are made for pull requests, so secrets are masked.
func commandLine(args []string) []string {
	out := []string{"splitbench"}
	hide := false
	for _, arg := range args {
		name, value, joined := strings.Cut(arg, "=")
		switch {
		case hide:
			arg, hide = masked, false
		case slices.Contains(secretFlags(), name) && joined:
			arg = name + "=" + masked
		case slices.Contains(secretFlags(), name):
			hide = true
		case joined && strings.HasPrefix(name, "--"):
			arg = name + "=" + withoutUser(value)
		default:
			arg = withoutUser(arg)
		}
		out = append(out, arg)
	}
	return out
}

// resolvedFlags are the values of all flags as they hold for this run, wherever they came from, secrets masked; empty ones
// are left out.
func resolvedFlags(flags *pflag.FlagSet) map[string]string {
	out := map[string]string{}
	flags.VisitAll(func(f *pflag.Flag) {
		value := f.Value.String()
		switch {
		case f.Name == "help" || value == "" || value == "[]":
		case slices.Contains(secretFlags(), "--"+f.Name):
			out[f.Name] = masked
		default:
			out[f.Name] = withoutUser(value)
		}
	})
	return out
}

// withoutUser masks a user name and password in a URL; other text stays as it is.
func withoutUser(s string) string {
	if !strings.Contains(s, "://") || !strings.Contains(s, "@") {
		return s
	}
	u, err := url.Parse(s)
	if err != nil || u.User == nil {
		return s
	}
	u.User = nil
	return strings.Replace(u.String(), "://", "://"+masked+"@", 1)
}
