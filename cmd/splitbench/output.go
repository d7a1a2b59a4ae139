package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/render"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/telemetry"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// form is a value of -o.
type form string

// outputFlag registers -o with the forms of a document, the first by default. What has JSON is also printed by
// kubectl's own printers, so that templates mean what kubectl's users expect.
func outputFlag(to *form, forms ...form) bound {
	names := slices.Clone(forms)
	for _, f := range printed {
		if slices.Contains(forms, "json") && !slices.Contains(forms, f) {
			names = append(names, f)
		}
	}
	return func(flags *pflag.FlagSet, _ *bench.Config) {
		flags.StringP("output", "o", string(forms[0]), enumerate(names, " or "))
		f := flags.Lookup("output")
		f.Value = readValue{f.Value, func(s string) error {
			*to = form(s)
			if slices.Contains(forms, *to) {
				return nil
			}
			if _, err := printerOf(s); len(names) > len(forms) && !errors.Is(err, errNoPrinter) {
				return err // of a template
			}
			return fmt.Errorf("-o %q: want %s", s, enumerate(names, ", "))
		}}
		*to = forms[0]
		offer(flags, "output", names...)
	}
}

// printed are the forms that kubectl's printers give any document that has JSON.
//
//nolint:gochecknoglobals // a table that never changes
var printed = []form{"yaml", "jsonpath=", "go-template="}

var errNoPrinter = errors.New("no printer")

// printerOf is kubectl's printer for a value of -o, errNoPrinter where it has none for it.
func printerOf(s string) (printers.ResourcePrinter, error) {
	kind, _, _ := strings.Cut(s, "=")
	flags := genericclioptions.NewPrintFlags("")
	toPrinter := flags.TemplatePrinterFlags.ToPrinter
	switch {
	case kind == "yaml":
		toPrinter = flags.JSONYamlPrintFlags.ToPrinter
	case !strings.HasPrefix(kind, "jsonpath") && !strings.HasPrefix(kind, "go-template"):
		return nil, errNoPrinter
	}
	printer, err := toPrinter(s)
	if err != nil {
		return nil, fmt.Errorf("-o %q: %w", s, err)
	}
	return printer, nil
}

func hasPrinter(s string) bool {
	_, err := printerOf(s)
	return err == nil
}

// document writes itself in each of its forms.
type document map[form]func(io.Writer) error

// write prints a document in the form that -o names. --quiet suppresses the forms for people.
func (a *app) write(f form, d document) error {
	if a.quiet && (f == "text" || f == "short") {
		return nil
	}
	if write, ok := d[f]; ok {
		return write(a.stdout)
	}
	printer, err := printerOf(string(f))
	if err != nil {
		return err
	}
	return printObject(a.stdout, printer, d["json"])
}

// jsonOf writes a document as JSON.
func jsonOf(doc any) func(io.Writer) error {
	return func(w io.Writer) error { return report.WriteJSON(w, doc) }
}

// outlined returns the forms of a document that has an outline.
func (a *app) outlined(doc interface{ Outline() report.Outline }) document {
	return document{
		"text":     func(w io.Writer) error { return a.text(w, doc.Outline()) },
		"json":     jsonOf(doc),
		"markdown": func(w io.Writer) error { return render.Markdown(w, doc.Outline(), render.Long) },
		"html":     func(w io.Writer) error { return render.HTML(w, doc.Outline(), doc) },
	}
}

// text writes an outline as w can show it. Commands in it are those that the user can paste.
func (a *app) text(w io.Writer, o report.Outline) error { return a.textOf(w, o, false) }

func (a *app) textOf(w io.Writer, o report.Outline, wide bool) error {
	var b bytes.Buffer
	options := render.TextOptions{Color: a.colored(w), ASCII: !a.unicode(w), Width: a.width(w), Wide: wide}
	if err := render.Text(&b, o, options); err != nil {
		return err
	}
	_, err := io.WriteString(w, a.asCalled(b.String()))
	return err
}

// ownCommand finds commands of this program in a text.
var ownCommand = regexp.MustCompile(`\b(?:kubectl )?splitbench (analyze|attack|check|completion|config|convert|demo|` +
	`drill|explain|latency|mark|plan|rbac|report|results|run|selftest|serve|version|watch)\b`)

// asCalled has the commands in a text begin as the user calls the program.
func (a *app) asCalled(text string) string {
	if a.called != kubectlPlugin {
		return text
	}
	return ownCommand.ReplaceAllString(text, a.called+" $1")
}

// renderFunc writes a report in one form.
type renderFunc func(io.Writer, report.Report) error

// reportForms are the values of -o for reports, but for text and wide, which need to know the terminal, and templates.
//
//nolint:gochecknoglobals // a table that never changes
var reportForms = map[string]renderFunc{
	"json":            func(w io.Writer, r report.Report) error { return report.WriteJSON(w, r) },
	"markdown":        markdown(render.Long),
	"html":            func(w io.Writer, r report.Report) error { return render.HTML(w, r.Outline(), r) },
	"markdown=medium": markdown(render.Medium),
	"markdown=short":  markdown(render.Short),
	"openmetrics":     telemetry.WriteOpenMetrics,
	"junit":           func(w io.Writer, r report.Report) error { return render.JUnit(w, "splitbench", r.Suite()) },
}

// markdown writes a report as Markdown of a size.
func markdown(size render.Size) renderFunc {
	return func(w io.Writer, r report.Report) error { return render.Markdown(w, r.Outline(), size) }
}

const reportFormNames = "text, wide, json, yaml, markdown, markdown=medium, markdown=short, html, junit, " +
	"openmetrics, jsonpath=TEMPLATE or go-template=TEMPLATE"

// reportFlag registers -o of a report; nil is text. What could not be written is refused before anything is sent,
// templates that cannot be read included.
func (a *app) reportFlag(to *renderFunc) bound {
	return func(flags *pflag.FlagSet, _ *bench.Config) {
		flags.StringP("output", "o", "text", reportFormNames)
		f := flags.Lookup("output")
		f.Value = readValue{f.Value, into(to, a.parseReportForm)}
		offer(flags, "output", append(sorted(reportForms), "text", "wide", "yaml", "jsonpath=", "go-template=")...)
	}
}

func (a *app) parseReportForm(s string) (renderFunc, error) {
	if f, ok := reportForms[s]; ok || s == "text" {
		return f, nil
	}
	if s == "wide" {
		return a.wide, nil
	}
	printer, err := printerOf(s)
	if errors.Is(err, errNoPrinter) {
		return nil, fmt.Errorf("-o %q: want %s", s, reportFormNames)
	}
	return func(w io.Writer, r report.Report) error { return printObject(w, printer, jsonOf(r)) }, err
}

// unprintable is what JSON holds and YAML does not.
var unprintable = regexp.MustCompile(`[\x7f-\x{84}\x{86}-\x{9f}\x{fffe}\x{ffff}]`)

// shown is a document with what is unprintable shown by its escape.
func shown(v any) any {
	switch v := v.(type) {
	case string:
		escaped := func(s string) string { return strings.Trim(strconv.QuoteToASCII(s), `"`) }
		return unprintable.ReplaceAllStringFunc(v, escaped)
	case []any:
		for i := range v {
			v[i] = shown(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = shown(v[k])
		}
	}
	return v
}

// printObject hands a document to a printer as the object that its JSON is.
func printObject(w io.Writer, p printers.ResourcePrinter, json func(io.Writer) error) error {
	var doc, out bytes.Buffer
	if err := json(&doc); err != nil {
		return err
	}
	var o unstructured.Unstructured
	if err := o.UnmarshalJSON(doc.Bytes()); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	o.Object, _ = shown(o.Object).(map[string]any) // which it was
	if err := p.PrintObj(&o, &out); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	if isTerminal(w) {
		return printers.WriteEscaped(w, out.String()) // a template prints what came from a cluster as it is
	}
	_, err := w.Write(out.Bytes())
	return err
}

// print writes a report to stdout.
func (a *app) print(r report.Report, write renderFunc) error {
	switch {
	case write != nil:
		return write(a.stdout, r)
	case a.quiet:
		return nil
	case r.Refused():
		return a.text(a.stdout, r.RefusalOutline())
	}
	return a.text(a.stdout, r.Outline())
}

// resultFlags choose where a report goes and which outcomes fail the command.
type resultFlags struct {
	render renderFunc
	failOn report.FailOn
	sinks  sinkFlags
}

// measure shows the progress of a measurement and concludes with its report.
func (a *app) measure(
	ctx context.Context, cfg *bench.Config, f resultFlags, do func(context.Context) (report.Report, error),
) error {
	p := a.newProgress()
	cfg.Progress = p.show
	r, err := do(ctx)
	p.end()
	if err != nil {
		return err
	}
	return a.conclude(ctx, r, f)
}

// conclude prints and delivers a report, and ends the command as its outcome says.
func (a *app) conclude(ctx context.Context, r report.Report, f resultFlags) error {
	if err := a.print(r, f.render); err != nil {
		return err
	}
	if r.Refused() {
		if why := r.Verdict.Reasons[0]; a.withOrigin(why) != why {
			a.say("note: %s", a.withOrigin(why))
		}
	}
	delivered := a.deliver(ctx, f.sinks, r)
	if r.Run != nil && r.Run.CutShort != "" && ctx.Err() != nil {
		return interrupted{}
	}
	return cmp.Or(outcomeError(r.Verdict.Outcome, f.failOn), delivered)
}

// objectsDocument writes Kubernetes objects as kubectl does: one by itself, several in a List.
func objectsDocument(objects []map[string]any) document {
	var doc any = map[string]any{"apiVersion": "v1", "kind": "List", "items": objects}
	if len(objects) == 1 {
		doc = objects[0]
	}
	return document{
		"json": jsonOf(doc),
		"name": func(w io.Writer) error {
			for _, o := range objects {
				u := unstructured.Unstructured{Object: o}
				gvk := u.GroupVersionKind()
				kind := strings.ToLower(gvk.GroupKind().String())
				if _, err := fmt.Fprintf(w, "%s/%s\n", kind, untrusted.Safe(u.GetName())); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// wide writes what text does and what a comment shows too.
func (a *app) wide(w io.Writer, r report.Report) error {
	if a.quiet {
		return nil
	}
	return a.textOf(w, r.Outline(), true)
}

// outcomeError returns the exit code of an outcome as an error.
func outcomeError(outcome string, failOn report.FailOn) error {
	if code := report.ExitCode(outcome, failOn); code != 0 {
		return exitCode(code)
	}
	return nil
}
