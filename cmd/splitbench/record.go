package main

import (
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/record"
)

// secretFlags returns the flags whose values must not be kept.
func secretFlags() []string { return []string{"--token", "--password"} }

const masked = record.Masked

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
			arg = withoutUser(arg)
		}
		out = append(out, arg)
	}
	return out
}

// headerFlag is the flag whose value is a secret or not depending on the name of the header.
const headerFlag = "--header"

// withoutSecret returns the value of a flag as it may be kept.
func withoutSecret(flag, value string) string {
	if slices.Contains(secretFlags(), flag) {
		return masked
	}
	if name, _, ok := strings.Cut(value, ":"); ok && flag == headerFlag && record.SecretHeader(name) {
		return name + ": " + masked
	}
	return withoutUser(value)
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
