package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/nearest"
)

// explainMistakes has every command of the tree explain what it does not understand: a subcommand that is not there,
// arguments that are too many or too few, a flag that it lacks.
func explainMistakes(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(flagError)
	subs, want := cmd.Commands(), cmd.Args
	if len(subs) > 0 {
		cmd.Args = oneOfCommands
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	} else if want != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := want(cmd, args); err != nil {
				return argumentError(cmd, args)
			}
			return nil
		}
	}
	for _, sub := range subs {
		explainMistakes(sub)
	}
}

func oneOfCommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
		for _, sub := range c.Commands() {
			if sub.Name() == args[0] {
				return fmt.Errorf("%s %q: no such command; did you mean %s?", cmd.CommandPath(), args[0], sub.CommandPath())
			}
		}
	}
	return fmt.Errorf("%s %q: no such command; %s", cmd.CommandPath(), args[0], orHelp(cmd, args[0], names))
}

// helpOf has --help of a command that is not there be the mistake that it is, which the help of cobra cannot return.
func (a *app) helpOf(help func(*cobra.Command, []string)) func(*cobra.Command, []string) {
	return func(cmd *cobra.Command, args []string) {
		if cmd.HasSubCommands() {
			a.mistake = oneOfCommands(cmd, cmd.Flags().Args())
		}
		if a.mistake == nil {
			help(cmd, args)
		}
	}
}

// orHelp is the nearest candidate, else where to look for it.
func orHelp(cmd *cobra.Command, word string, candidates []string) string {
	return cmp.Or(nearest.Question(word, candidates), "see "+cmd.CommandPath()+" --help")
}

func argumentError(cmd *cobra.Command, args []string) error {
	usage := strings.TrimSuffix(cmd.UseLine(), " [flags]")
	switch wrong := cmd.ValidArgs; {
	case len(wrong) > 0 && len(args) == 1:
		return fmt.Errorf("%s %q: want %s", cmd.CommandPath(), args[0], enumerate(wrong, " or "))
	case len(args) == 0:
		return fmt.Errorf("%s: an argument is missing; write %s", cmd.CommandPath(), usage)
	}
	return fmt.Errorf("%s %q: the arguments are too many or too few; write %s", cmd.CommandPath(), args, usage)
}

// oneSplit takes SPLIT, which users of kubectl also write in two words: ts podinfo.
func oneSplit(_ *cobra.Command, args []string) error {
	if len(args) > 2 || len(args) == 2 && law.KindOf(args[0]) == "" {
		return errors.New("one split at most")
	}
	return nil
}

// flagError explains a bad value, and says of a flag that only other commands have just that: its user would
// search an unknown one for a typing error.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return valueError(err)
	}
	name := unknown.GetSpecifiedName()
	if unknown.GetSpecifiedShortnames() != "" {
		return fmt.Errorf("-%s: %s has no such flag; see %s --help", name, cmd.Name(), cmd.CommandPath())
	}
	if knows(cmd.Root(), name) {
		return fmt.Errorf("--%s: has no meaning for %s; see %s --help", name, cmd.Name(), cmd.CommandPath())
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	return fmt.Errorf("--%s: %s has no such flag; %s", name, cmd.Name(), orHelp(cmd, "--"+name, names))
}

// knows reports whether the command or one of its subcommands has the flag.
func knows(cmd *cobra.Command, name string) bool {
	return cmd.Flags().Lookup(name) != nil ||
		slices.ContainsFunc(cmd.Commands(), func(c *cobra.Command) bool { return knows(c, name) })
}

// wantOf is what a flag of a type takes, for values that the flag package has its own words about.
func wantOf(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "duration":
		return "want a time with its unit, such as 500ms, 10s or 5m"
	case "float64":
		return "want a decimal number, such as 0.01"
	case "int", "int32", "int64", "uint64", "count":
		return "want a whole number"
	case "bool":
		return "want true or false"
	}
	return ""
}

// valueError explains a bad value of a flag as the rest of the program does: with the name of the flag first.
func valueError(err error) error {
	var bad *pflag.InvalidValueError
	if !errors.As(err, &bad) {
		return err
	}
	f, cause := bad.GetFlag(), bad.Unwrap()
	name := "--" + f.Name
	value := strconv.Quote(withoutSecret(name, bad.GetValue()))
	switch want := wantOf(f); {
	case want != "":
		return fmt.Errorf("%s %s: %s", name, value, want)
	case strings.HasPrefix(cause.Error(), "-"):
		return cause // names it already
	case strings.HasPrefix(cause.Error(), f.Name+" "+value):
		return fmt.Errorf("--%w", cause)
	case strings.HasPrefix(cause.Error(), value):
		return fmt.Errorf("%s %w", name, cause)
	case strings.Contains(cause.Error(), value), value == strconv.Quote(masked):
		return fmt.Errorf("%s: %w", name, cause)
	}
	return fmt.Errorf("%s %s: %w", name, value, cause)
}
