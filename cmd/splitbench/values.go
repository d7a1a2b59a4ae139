package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// readValue is the value of a flag that is parsed as soon as it is set.
type readValue struct {
	pflag.Value
	read func(string) error
}

// Set implements pflag.Value.
func (v readValue) Set(s string) error { return errorOr(v.read(s), v.Value, s) }

// readList is a readValue for flags that may be repeated.
type readList struct {
	pflag.Value
	pflag.SliceValue
	read func(string) error
}

// Set implements pflag.Value.
func (v readList) Set(s string) error { return errorOr(v.read(s), v.Value, s) }

func errorOr(err error, to pflag.Value, s string) error {
	if err != nil {
		return err
	}
	return to.Set(s)
}

// read adds a flag that is parsed as soon as it is set. So is its default, unless that is empty.
func read(flags *pflag.FlagSet, name, byDefault, usage string, read func(string) error) {
	flags.String(name, byDefault, usage)
	f := flags.Lookup(name)
	f.Value = readValue{f.Value, read}
	if byDefault != "" {
		if err := read(byDefault); err != nil {
			panic(err) // a bug of the flag's group
		}
	}
}

// readEach is read for flags that may be repeated.
func readEach(flags *pflag.FlagSet, name, usage string, read func(string) error) {
	flags.StringArray(name, nil, usage)
	f := flags.Lookup(name)
	list, _ := f.Value.(pflag.SliceValue) // which a string array is
	f.Value, f.DefValue = readList{f.Value, list, read}, ""
}

// into parses a text into a variable.
func into[T any](to *T, parse func(string) (T, error)) func(string) error {
	return func(s string) error {
		v, err := parse(s)
		if err == nil {
			*to = v
		}
		return err
	}
}

// oneOf accepts one of some words.
func oneOf[T ~string](to *T, words ...T) func(string) error {
	return func(s string) error {
		if !slices.Contains(words, T(s)) {
			return fmt.Errorf("want %s", enumerate(words, " or "))
		}
		*to = T(s)
		return nil
	}
}

// enumerate joins words with commas, and the last one with another separator.
func enumerate[T ~string](words []T, last string) string {
	var b strings.Builder
	for i, w := range words {
		switch {
		case i == len(words)-1 && i > 0:
			b.WriteString(last)
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(string(w))
	}
	return b.String()
}

// valueError explains a bad value of a flag as the rest of the program does: with the name of the flag first.
func valueError(err error) error {
	var bad *pflag.InvalidValueError
	if !errors.As(err, &bad) {
		return err
	}
	name, value, cause := "--"+bad.GetFlag().Name, strconv.Quote(bad.GetValue()), bad.Unwrap()
	switch {
	case strings.HasPrefix(cause.Error(), "-"):
		return cause // names it already
	case strings.HasPrefix(cause.Error(), value):
		return fmt.Errorf("%s %w", name, cause)
	case strings.Contains(cause.Error(), value):
		return fmt.Errorf("%s: %w", name, cause)
	}
	return fmt.Errorf("%s %s: %w", name, value, cause)
}
