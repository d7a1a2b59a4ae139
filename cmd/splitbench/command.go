package main

import (
	"context"
	"fmt"
	"os"
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
	if cfg == nil {
		cfg = &bench.Config{}
	}
	register(cmd.Flags(), cfg, sections)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.complete(cmd.Flags(), cfg, sections); err != nil {
			return err
		}
		return work(cmd.Context(), args)
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
