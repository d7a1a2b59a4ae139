package main

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// secretFlags returns the flags whose values must not be kept.
func secretFlags() []string { return []string{"--token", "--password"} }

const masked = untrusted.Mask

// commandLine returns the command as a run keeps it. Secrets are masked: reports end up in pull requests.
func commandLine(args []string) []string {
	out := []string{"splitbench"}
	before := "" // the flag that the argument before was, where its value is still to come
	for _, arg := range args {
		name, value, joined := strings.Cut(arg, "=")
		switch {
		case before != "":
			arg, before = withoutSecret(before, arg), ""
		case joined && strings.HasPrefix(name, "--"):
			arg = name + "=" + withoutSecret(name, value)
		case slices.Contains(secretFlags(), name), name == headerFlag:
			before = name
		default:
			arg = untrusted.Masked(arg)
		}
		out = append(out, arg)
	}
	return out
}

// headerFlag is the flag whose value is kept or not depending on the name of the header.
const headerFlag = "--header"

// withoutSecret returns the value of a flag as it may be kept.
func withoutSecret(flag, value string) string {
	if slices.Contains(secretFlags(), flag) {
		return masked
	}
	if name, own, ok := strings.Cut(value, ":"); flag == headerFlag {
		if !ok {
			return masked
		}
		return name + ": " + record.HeaderValue(name, strings.TrimSpace(own))
	}
	return untrusted.Masked(value)
}

// resolvedFlags returns the effective values of all flags, whatever their source, without the empty ones. Secrets are
// masked.
func resolvedFlags(flags *pflag.FlagSet) map[string]string {
	out := map[string]string{}
	flags.VisitAll(func(f *pflag.Flag) {
		value := f.Value.String()
		if f.Name == "help" || value == "" || value == "[]" {
			return
		}
		name := "--" + f.Name
		if several, ok := f.Value.(pflag.SliceValue); ok {
			values := slices.Clone(several.GetSlice())
			for i, v := range values {
				values[i] = withoutSecret(name, v)
			}
			out[f.Name] = "[" + strings.Join(values, ",") + "]"
			return
		}
		out[f.Name] = withoutSecret(name, value)
	})
	return out
}
