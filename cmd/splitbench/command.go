package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/bench"
)

// group is a few flags of one concern. A command has the flags of the groups that it registers, and no others.
type group interface {
	// register adds the flags. What needs no reading is bound to the configuration.
	register(flags *pflag.FlagSet, cfg *bench.Config)
	// complete reads and checks the others, and puts what they say into the configuration.
	complete(cfg *bench.Config) error
}

// bound is a group that needs no work after parsing.
type bound func(flags *pflag.FlagSet, cfg *bench.Config)

func (b bound) register(flags *pflag.FlagSet, cfg *bench.Config) { b(flags, cfg) }

func (bound) complete(*bench.Config) error { return nil }

// section is a titled part of a command's help.
type section struct {
	title  string
	groups []group
}

func under(title string, groups ...group) section { return section{title, groups} }

// sectionOf is the annotation that holds the title of a flag's section.
const sectionOf = "splitbench/section"

// command gives cmd its flags, and the order in which every command works: flags are parsed, completed and checked, and
// then the work is done. Sections are shown in the order in which they are given, the common ones first. A
// command that measures nothing passes a nil cfg.
func (a *app) command(
	cmd *cobra.Command, cfg *bench.Config, work func(context.Context, []string) error, sections ...section,
) *cobra.Command {
	cfg = cmp.Or(cfg, &bench.Config{})
	register(cmd.Flags(), cfg, sections)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.inBucket(cmd.Context(), cmd.Flags(), args, func() error {
			if err := a.complete(cmd.Flags(), cfg, sections); err != nil {
				return err
			}
			return work(cmd.Context(), args)
		})
	}
	return cmd
}

// register adds the flags of all groups. It panics where two have the same name: a bug.
func register(flags *pflag.FlagSet, cfg *bench.Config, sections []section) {
	cfg.Options = analyze.DefaultOptions()
	flags.SortFlags = false
	for _, s := range sections {
		part := pflag.NewFlagSet(s.title, pflag.ContinueOnError)
		part.SortFlags = false
		for _, g := range s.groups {
			g.register(part, cfg)
		}
		part.VisitAll(func(f *pflag.Flag) {
			if f.Annotations == nil {
				f.Annotations = map[string][]string{}
			}
			f.Annotations[sectionOf] = []string{s.title}
			flags.AddFlag(f)
		})
	}
}

// complete fills in all that does not depend on a cluster.
func (a *app) complete(flags *pflag.FlagSet, cfg *bench.Config, sections []section) error {
	for _, s := range sections {
		for _, g := range s.groups {
			if err := g.complete(cfg); err != nil {
				return err
			}
			if k, ok := g.(interface{ logRequests(func(string, ...any)) }); ok && a.verbose > 0 {
				k.logRequests(a.say)
			}
		}
	}
	if err := cfg.Options.Validate(); err != nil {
		return fmt.Errorf("--%w", err) // the error begins with the option's name
	}
	cfg.Load.Header = map[string]string{"User-Agent": "splitbench/" + agent.Version()}
	cfg.Command, cfg.Flags = commandLine(os.Args[1:]), resolvedFlags(flags)
	cfg.Tool, cfg.Log = toolVersion(), a.talk()
	if exe, err := os.Executable(); err == nil {
		cfg.Self = exe
	}
	return nil
}

// grouped adds commands that help lists under a title, in this order.
func grouped(root *cobra.Command, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, c := range commands {
		c.GroupID = title
		root.AddCommand(c)
	}
}

// commonFlags are what most command lines need. Help of a command with many flags shows them first.
func commonFlags() []string {
	return []string{
		"context", "remote-context", "namespace", "from", "container", "requests", "rate", "duration", "tolerance", "output",
	}
}

// manyFlags is how many flags a reader finds his way among without help.
const manyFlags = 30

// flagSections returns the flags of a command as its help shows them: one set per section, named by its title.
func flagSections(cmd *cobra.Command) []*pflag.FlagSet {
	const global = "Global flags"
	var out []*pflag.FlagSet
	add := func(title string, f *pflag.Flag) {
		i := slices.IndexFunc(out, func(s *pflag.FlagSet) bool { return s.Name() == title })
		if i < 0 {
			i, out = len(out), append(out, pflag.NewFlagSet(title, pflag.ContinueOnError))
			out[i].SortFlags = false
		}
		out[i].AddFlag(f)
	}
	common, n := commonFlags(), 0
	cmd.LocalFlags().VisitAll(func(*pflag.Flag) { n++ })
	if n < manyFlags {
		common = nil
	}
	for _, name := range common {
		if f := cmd.LocalFlags().Lookup(name); f != nil {
			add("Common flags", f)
		}
	}
	sort := func(f *pflag.Flag) {
		switch title := f.Annotations[sectionOf]; {
		case slices.Contains(common, f.Name):
		case title != nil:
			add(title[0], f)
		default:
			add(global, f)
		}
	}
	cmd.LocalFlags().VisitAll(sort)
	cmd.InheritedFlags().VisitAll(sort)
	return slices.DeleteFunc(out, func(s *pflag.FlagSet) bool { return !s.HasAvailableFlags() })
}

// usage prints how a command is called: cobra's own usage, with commands in groups and flags in sections.
func (a *app) usage(cmd *cobra.Command) error {
	var b strings.Builder
	switch {
	case cmd.HasAvailableSubCommands():
		fmt.Fprintf(&b, "Usage: %s COMMAND [flags], and %[1]s COMMAND --help for more about a command\n", cmd.CommandPath())
	default:
		fmt.Fprintf(&b, "Usage: %s\n", cmd.UseLine())
	}
	if cmd.HasExample() {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
	}
	groups := cmd.Groups()
	if len(groups) == 0 && cmd.HasAvailableSubCommands() {
		groups = []*cobra.Group{{Title: "Commands"}}
	}
	for _, g := range groups {
		fmt.Fprintf(&b, "\n%s:\n", g.Title)
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() && c.GroupID == g.ID {
				fmt.Fprintf(&b, "  %-*s %s\n", c.NamePadding(), c.Name(), c.Short)
			}
		}
	}
	for _, s := range flagSections(cmd) {
		fmt.Fprintf(&b, "\n%s:\n%s", s.Name(), s.FlagUsagesWrapped(a.width(a.stdout)))
	}
	_, err := fmt.Fprint(cmd.OutOrStderr(), b.String())
	return err
}

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
