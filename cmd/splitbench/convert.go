package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
)

// convertCommand holds the flags of `convert`.
type convertCommand struct {
	*app
	cfg    bench.Config
	kube   kubeFlags
	file   string
	port   int32
	output form
}

func newConvert(a *app) *cobra.Command {
	c := &convertCommand{app: a}
	cmd := &cobra.Command{
		Use:   "convert [SPLIT]",
		Short: "Print the HTTPRoute that splits as a TrafficSplit does",
		Long: `convert prints an HTTPRoute that splits like a TrafficSplit: whole weights of the same ratios, backends on
the root Service's port. Remaining differences are listed in comments above it. It reads the cluster, or a file with
-f, and changes nothing.`,
		Example: `  splitbench convert ts/podinfo --context west -n test > httproute.yaml
  splitbench convert -f trafficsplit.yaml --port 9898`,
		Args:              oneSplit,
		ValidArgsFunction: c.kube.completeSplits,
	}
	return c.kube.completions(a.command(cmd, &c.cfg, c.convert,
		under("Cluster", &c.kube),
		under("Request", urlFlag{}),
		under("Conversion", bound(c.fileFlags), outputFlag(&c.output, "yaml", "json", "name")),
		c.kube.kubectl(),
	))
}

func (c *convertCommand) fileFlags(flags *pflag.FlagSet, _ *bench.Config) {
	flags.StringVarP(&c.file, "filename", "f", "",
		"file with TrafficSplits, and their root Services for the ports; - is stdin")
	flags.Int32Var(&c.port, "port", 0,
		"port of the root Service that the route is for; default: that of --url, else its first")
}

func (c *convertCommand) convert(ctx context.Context, args []string) error {
	sources, err := c.sources(ctx, args)
	if err != nil {
		return err
	}
	asked := c.cfg.Query.Port
	if c.port != 0 && asked != 0 && c.port != asked {
		return fmt.Errorf("--port %d: --url names port %d; leave one of them out", c.port, asked)
	}
	var routes []law.Conversion
	for _, s := range sources {
		converted, err := law.Convert(s, cmp.Or(c.port, asked))
		if err != nil {
			return fmt.Errorf("convert %w", err)
		}
		routes = append(routes, converted)
	}
	return c.printRoutes(routes, sources)
}

func (c *convertCommand) sources(ctx context.Context, args []string) ([]law.Sources, error) {
	if c.file == "" {
		if err := c.kube.connect(&c.cfg); err != nil {
			return nil, err
		}
		c.cfg.Query.Split = strings.Join(args, "/")
		s, err := mesh.ReadForConversion(ctx, c.cfg.Local, c.cfg.Query)
		return []law.Sources{s}, err
	}
	if len(args) > 0 {
		return nil, fmt.Errorf("-f %q: it brings its own splits; leave %q out", c.file, args[0])
	}
	in, err := c.open(c.file)
	if err != nil {
		return nil, fmt.Errorf("-f: %w", err)
	}
	defer in.Close()
	sources, err := mesh.ReadConversionFile(in)
	if err != nil {
		return nil, fmt.Errorf("-f %q: %w", c.file, err)
	}
	if len(sources) == 0 {
		return nil, fmt.Errorf("-f %q: there is no TrafficSplit in it", c.file)
	}
	return sources, nil
}

// printRoutes prints routes ready to be applied: as YAML with the warnings for comments, else with the warnings on
// stderr.
func (c *convertCommand) printRoutes(routes []law.Conversion, sources []law.Sources) error {
	var objects []map[string]any
	for _, r := range routes {
		objects = append(objects, r.Route)
		for _, w := range r.Warnings {
			if c.output != "yaml" {
				c.say("warning: %s", w)
			}
		}
	}
	d := objectsDocument(objects)
	d["yaml"] = func(w io.Writer) error {
		for i, r := range routes {
			text, err := r.YAML("Splits as " + sources[i].Name() + " does on Linkerd. What differs:")
			if err != nil {
				return err
			}
			if i > 0 {
				text = append([]byte("---\n"), text...)
			}
			if _, err := w.Write(text); err != nil {
				return err
			}
		}
		return nil
	}
	return c.write(c.output, d)
}
