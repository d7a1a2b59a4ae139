package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/telemetry"
)

// renderFunc writes a report in one form.
type renderFunc func(io.Writer, report.Report) error

// forms are the values of -o for reports, but for text, which needs to know the terminal, and for templates.
//
//nolint:gochecknoglobals // a table that never changes
var forms = map[string]renderFunc{
	"json":        report.WriteJSON,
	"markdown":    report.WriteMarkdown,
	"html":        report.WriteHTML,
	"openmetrics": telemetry.WriteOpenMetrics,
	"junit":       func(w io.Writer, r report.Report) error { return report.WriteJUnit(w, r) },
}

// outputHelp is the help of -o for reports.
const outputHelp = "text, json, yaml, markdown, html, junit, openmetrics, jsonpath=TEMPLATE or go-template=TEMPLATE"

// checkReportOutput refuses what print could not write, templates that cannot be read included: before anything is sent.
func checkReportOutput(o string) error {
	_, err := rendererOf(o)
	return err
}

// rendererOf is nil for text.
func rendererOf(o string) (renderFunc, error) {
	if f, ok := forms[o]; ok || o == "text" {
		return f, nil
	}
	form, _, _ := strings.Cut(o, "=")
	if form != "yaml" && !strings.HasPrefix(form, "jsonpath") && !strings.HasPrefix(form, "go-template") {
		return nil, fmt.Errorf("-o %q: want %s", o, outputHelp)
	}
	// kubectl's own printers, so that templates mean what kubectl's users expect.
	flags := genericclioptions.NewPrintFlags("")
	flags.OutputFormat = &o
	flags.TypeSetterPrinter = nil
	printer, err := templatePrinter(flags, o)
	if err != nil {
		return nil, fmt.Errorf("-o %q: %w", o, err)
	}
	return func(w io.Writer, r report.Report) error { return printObject(w, printer, r) }, nil
}

func templatePrinter(flags *genericclioptions.PrintFlags, o string) (printers.ResourcePrinter, error) {
	if o == "yaml" {
		return flags.JSONYamlPrintFlags.ToPrinter(o)
	}
	return flags.TemplatePrinterFlags.ToPrinter(o)
}

// printObject hands the report to a printer as the object that its JSON is.
func printObject(w io.Writer, p printers.ResourcePrinter, r report.Report) error {
	var doc, out bytes.Buffer
	if err := report.WriteJSON(&doc, r); err != nil {
		return err
	}
	var o unstructured.Unstructured
	if err := o.UnmarshalJSON(doc.Bytes()); err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	if err := p.PrintObj(&o, &out); err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	if isTerminal(w) {
		return printers.WriteEscaped(w, out.String()) // a template prints what came from a cluster as it is
	}
	_, err := w.Write(out.Bytes())
	return err
}

// print writes a report to stdout in the form that -o names.
func (a *app) print(r report.Report, output string) error {
	render, err := rendererOf(output)
	switch {
	case err != nil:
		return err
	case render != nil:
		return render(a.stdout, r)
	case a.quiet:
		return nil
	}
	return report.WriteText(a.stdout, r, report.TextOptions{Color: a.colored(a.stdout), ASCII: !a.unicode(a.stdout), Width: a.width(a.stdout)})
}
