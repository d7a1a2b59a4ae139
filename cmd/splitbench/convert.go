package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/untrusted"
)

func convertCommand(a *app) *cobra.Command {
	var (
		c            cluster
		file, output string
		port         int32
	)
	cmd := &cobra.Command{
		Use:   "convert [SPLIT]",
		Short: "Print the HTTPRoute that splits as a TrafficSplit does",
		Long: `convert prints an HTTPRoute with the law of a TrafficSplit: whole weights of the same ratios, backends on the root
Service's port. What differs all the same stands in comments above it. It reads the cluster, or a file with -f, and
changes nothing.`,
		Example: `  splitbench convert ts/podinfo --context west -n test > httproute.yaml
  splitbench convert -f trafficsplit.yaml --port 9898`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: c.completeSplits,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(output, "yaml", "json"); err != nil {
				return err
			}
			sources, err := conversionSources(cmd, a, &c, file, args)
			if err != nil {
				return err
			}
			var routes []law.Conversion
			for _, s := range sources {
				converted, err := law.Convert(s, port)
				if err != nil {
					return fmt.Errorf("convert %w", err)
				}
				routes = append(routes, converted)
			}
			return a.printRoutes(routes, sources, output)
		},
	}
	c.addConnection(cmd)
	cmd.Flags().StringVarP(&file, "filename", "f", "", "file with TrafficSplits, and their root Services for the ports; - is stdin")
	cmd.Flags().Int32Var(&port, "port", 0, "port of the root Service that the route is for; default: its first")
	cmd.Flags().StringVarP(&output, "output", "o", "yaml", "yaml or json")
	hideRare(cmd.Flags())
	return cmd
}

func conversionSources(cmd *cobra.Command, a *app, c *cluster, file string, args []string) ([]law.Sources, error) {
	if file == "" {
		var cfg bench.Config
		if err := c.prepare(&cfg, args); err != nil {
			return nil, err
		}
		s, err := mesh.ReadForConversion(cmd.Context(), cfg.Local, cfg.Query)
		return []law.Sources{s}, err
	}
	if len(args) > 0 {
		return nil, fmt.Errorf("-f %q: it brings its own splits; leave %q out", file, args[0])
	}
	in := a.stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("-f: %w", err)
		}
		defer f.Close()
		in = f
	}
	sources, err := mesh.ReadConversionFile(in)
	if err != nil {
		return nil, fmt.Errorf("-f %q: %w", file, err)
	}
	if len(sources) == 0 {
		return nil, fmt.Errorf("-f %q: there is no TrafficSplit in it", file)
	}
	return sources, nil
}

// printRoutes prints routes ready to be applied: as YAML with the warnings for comments, as JSON with the warnings on stderr.
func (a *app) printRoutes(routes []law.Conversion, sources []law.Sources, output string) error {
	for i, r := range routes {
		if output == "json" {
			for _, w := range r.Warnings {
				fmt.Fprintf(a.talk(), "splitbench: warning: %s\n", untrusted.Printable(w))
			}
			b, err := json.MarshalIndent(r.Route, "", "  ")
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(a.stdout, "%s\n", b); err != nil {
				return err
			}
			continue
		}
		text, err := r.YAML("Splits as " + sources[i].Name() + " does on Linkerd. What differs:")
		if err != nil {
			return err
		}
		if i > 0 {
			text = append([]byte("---\n"), text...)
		}
		if _, err := a.stdout.Write(text); err != nil {
			return err
		}
	}
	return nil
}
