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

// flagSections returns the flags of a command as its help shows them: one set per section, named by its title.
func flagSections(cmd *cobra.Command) []*pflag.FlagSet {
	const global = "Global flags"
	var out []*pflag.FlagSet
	add := func(f *pflag.Flag) {
		title := global
		if t := f.Annotations[sectionOf]; t != nil {
			title = t[0]
		}
		i := slices.IndexFunc(out, func(s *pflag.FlagSet) bool { return s.Name() == title })
		if i < 0 {
			i, out = len(out), append(out, pflag.NewFlagSet(title, pflag.ContinueOnError))
			out[i].SortFlags = false
		}
		out[i].AddFlag(f)
	}
	cmd.LocalFlags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	return slices.DeleteFunc(out, func(s *pflag.FlagSet) bool { return !s.HasAvailableFlags() })
}

// usage prints how a command is called: cobra's own usage, with the flags in sections.
func (a *app) usage(cmd *cobra.Command) error {
	var b strings.Builder
	b.WriteString("Usage:\n")
	if cmd.Runnable() {
		fmt.Fprintf(&b, "  %s\n", cmd.UseLine())
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "  %s [command]\n", cmd.CommandPath())
	}
	if cmd.HasExample() {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\nCommands:\n")
	}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			fmt.Fprintf(&b, "  %-*s %s\n", c.NamePadding(), c.Name(), c.Short)
		}
	}
	for _, s := range flagSections(cmd) {
		fmt.Fprintf(&b, "\n%s:\n%s", s.Name(), s.FlagUsagesWrapped(a.width(a.stdout)))
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\nUse \"%s [command] --help\" for more about a command.\n", cmd.CommandPath())
	}
	_, err := fmt.Fprint(cmd.OutOrStderr(), b.String())
	return err
}
