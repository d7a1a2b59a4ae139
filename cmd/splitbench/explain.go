package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/render"
	"github.com/splitbench/splitbench/internal/report"
)

// explainCommand needs no cluster: a check's id is what a report, a log or a colleague says.
func newExplain(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "explain [CHECK]",
		Short: "Explain what a check looks at, why it fails and what to do; without an id, list all checks",
		Example: `  splitbench explain SB012
  splitbench explain`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var ids []string
			for _, c := range preflight.Checks() {
				ids = append(ids, c.ID+"\t"+c.Name)
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			o := a.textOptions()
			if len(args) == 0 {
				return render.Text(a.stdout, report.CheckIndexOutline(preflight.Checks()), o)
			}
			c, ok := preflight.Explain(strings.ToUpper(args[0]))
			if !ok {
				return fmt.Errorf("explain %q: there is no such check; splitbench explain lists them", args[0])
			}
			return render.Text(a.stdout, report.ExplanationOutline(c), o)
		},
	}
}
