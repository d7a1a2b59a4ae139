package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
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

// choose is read for a flag that takes one of some words, which completion offers.
func choose[T ~string](flags *pflag.FlagSet, name, byDefault, usage string, to *T, words ...T) {
	read(flags, name, byDefault, usage, oneOf(to, words...))
	offer(flags, name, words...)
}

// offered is the annotation that holds the words which completion offers for a flag.
const offered = "splitbench/offered"

func offer[T ~string](flags *pflag.FlagSet, name string, words ...T) {
	annotation := make([]string, len(words))
	for i, w := range words {
		annotation[i] = string(w)
	}
	if err := flags.SetAnnotation(name, offered, annotation); err != nil {
		panic(err) // there is no such flag: a bug
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

// origin is the variable, or the place in a file, that set a flag which the command line did not.
type origin string

// variableOf is the name of the variable that sets a flag.
func variableOf(flag string) string {
	return "SPLITBENCH_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// fromElsewhere sets the flags that the command line left alone from variables, and from files of defaults.
func (a *app) fromElsewhere(flags *pflag.FlagSet) error {
	a.origins, a.longOf = map[string]origin{}, func(name string) string {
		f := flags.Lookup(name)
		if len(name) == 1 {
			f = flags.ShorthandLookup(name)
		}
		if f == nil {
			return ""
		}
		return f.Name
	}
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		name := variableOf(f.Name)
		if v := a.getenv(name); v != "" && !f.Changed && f.Name != "help" && f.Name != "version" {
			a.origins[f.Name] = origin(name)
			errs = append(errs, flags.Set(f.Name, v))
		}
	})
	for i, err := range errs {
		if err != nil {
			errs[i] = valueError(err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	var err error
	if a.defaults, err = a.readDefaults(); err != nil {
		return err
	}
	return a.applyDefaults(flags)
}

// flagInText finds the flags that a sentence names.
var flagInText = regexp.MustCompile(`(?:^|[ (])(--[a-z][a-z-]*|-[a-zA-Z]\b)`)

// withOrigin says of the first flag that a sentence names who set it, where that was not the command line: its user
// would look for the flag there.
func (a *app) withOrigin(text string) string {
	// What checks the values themselves knows no flags: method "POST": ...
	if word, _, ok := strings.Cut(text, ` "`); ok && a.longOf != nil && a.longOf(word) != "" {
		text = "--" + text
	}
	m := flagInText.FindStringSubmatch(text)
	if m == nil || a.longOf == nil {
		return text
	}
	if from, ok := a.origins[a.longOf(strings.TrimLeft(m[1], "-"))]; ok {
		return fmt.Sprintf("%s: %s", from, text)
	}
	return text
}
