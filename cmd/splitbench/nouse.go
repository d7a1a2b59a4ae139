package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// noUseOf is the annotation of a flag that a command shares with others and has no use for: what to use instead.
const noUseOf = "splitbench/no-use"

// noUse takes flags away from a command: they are hidden, refused where they are given, and not set by their variables, which
// are there for the commands that have a use for them.
func noUse(flags *pflag.FlagSet, instead string, names ...string) {
	for _, name := range names {
		if f := flags.Lookup(name); f != nil {
			f.Hidden = true
			if f.Annotations == nil {
				f.Annotations = map[string][]string{}
			}
			f.Annotations[noUseOf] = []string{instead}
		}
	}
}

// refuseNoUse refuses what the command has no use for.
func refuseNoUse(cmd *cobra.Command) error {
	var err error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if instead, ok := f.Annotations[noUseOf]; ok && err == nil {
			err = fmt.Errorf("--%s: has no meaning for %s%s", f.Name, cmd.Name(), instead[0])
		}
	})
	return err
}
