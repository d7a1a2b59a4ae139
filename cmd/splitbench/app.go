package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
	"k8s.io/klog/v2"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// surroundings is what a process gets from outside, so that a test can give it.
type surroundings struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
}

// exitCode ends a command that has said everything already.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// signalError is the cause of a context that a signal cancelled.
type signalError struct{ sig syscall.Signal }

func (e *signalError) Error() string {
	if e.sig == syscall.SIGTERM {
		return "SIGTERM"
	}
	return "SIGINT"
}

// code is what shells expect: 128 and the signal's number.
func (e *signalError) code() int { return 128 + int(e.sig) }

// process is the surroundings of a process of its own. The logger of Kubernetes' libraries is the process's too: they log what they
// return as errors, and stderr is for what a user can act on. It is not for run to set, since tests run several commands at a time.
func process() surroundings {
	klog.SetLogger(logr.Discard())
	return surroundings{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv}
}

// run is the program: arguments in, exit code out.
func run(ctx context.Context, args []string, s surroundings) int {
	if strings.HasPrefix(filepath.Base(args[0]), ".splitbench-") {
		// Uploaded as the agent, because no agent was embedded when this program was built.
		exe, err := os.Executable()
		if err != nil {
			exe = ""
		}
		return agent.Main(ctx, args[1:], s.stdin, s.stdout, s.stderr, agent.ServeOptions{Executable: exe, Alone: true})
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := onSignal(cancel)
	defer stop()

	args = asCompletion(args)
	root := newRoot(&app{surroundings: s})
	root.SetArgs(args[1:])
	root.SetIn(s.stdin)
	root.SetOut(s.stdout)
	root.SetErr(s.stderr)
	err := root.ExecuteContext(ctx)
	code := codeOf(err)
	var done exitCode
	if err == nil || errors.As(err, &done) {
		return code // a signal that came when all was decided changes nothing
	}
	var cut interrupted
	if !errors.As(err, &cut) {
		fmt.Fprintf(s.stderr, "splitbench: %s\n", untrusted.Printable(err.Error()))
	}
	var sig *signalError
	if errors.As(context.Cause(ctx), &sig) {
		return sig.code()
	}
	return code
}

// interrupted ends a command whose run was cut short by a signal, and said so: no flag makes that green.
type interrupted struct{}

func (interrupted) Error() string { return "interrupted" }

// onSignal cancels with the first SIGINT or SIGTERM; a second one ends the process as if nobody had listened.
func onSignal(cancel context.CancelCauseFunc) (stop func()) {
	signals := make(chan os.Signal, 1)
	ended := make(chan struct{})
	finished := make(chan struct{})
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		defer close(finished)
		select {
		case sig := <-signals:
			signal.Stop(signals)
			if s, ok := sig.(syscall.Signal); ok {
				cancel(&signalError{s})
			}
		case <-ended:
		}
	}()
	return func() {
		signal.Stop(signals)
		close(ended)
		<-finished
	}
}

// codeOf maps errors to exit codes. Whatever nobody classed is the command line's fault or a bug: 2, never 1, which means
// that a split was shown to be wrong.
func codeOf(err error) int {
	var code exitCode
	var cluster *mesh.Error
	var usage *bench.UsageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &usage):
		return report.ExitBug
	case errors.As(err, new(interrupted)):
		return report.ExitInvalid
	case errors.As(err, &cluster) && cluster.Kind != mesh.KindUsage && cluster.Kind != mesh.KindAmbiguous:
		return report.ExitInvalid
	}
	return report.ExitBug
}

// app is what the commands share.
type app struct {
	surroundings
	quiet bool
	color string
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "splitbench",
		Short: "Prove that the traffic split you declared is the split you get",
		Long: `splitbench runs request bursts from a meshed client pod, sees which cluster's backend answered each one, and tests
the observed shares against the declared weights.

Exit codes: 0 pass, 1 fail, 2 wrong command line or local file, 3 inconclusive, 4 could not be measured,
130/143 interrupted (what was measured is kept). Every flag can be set by a variable: --results-dir is
SPLITBENCH_RESULTS_DIR.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: displayName()},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := fromEnvironment(cmd.Flags(), a.getenv); err != nil {
				return err
			}
			if err := refuseNoUse(cmd); err != nil {
				return err
			}
			if a.color != "auto" && a.color != "always" && a.color != "never" {
				return fmt.Errorf("--color %q: want auto, always or never", a.color)
			}
			return nil
		},
	}
	root.PersistentFlags().BoolVarP(&a.quiet, "quiet", "q", false, "say nothing but the exit code (and -o json)")
	root.PersistentFlags().StringVar(&a.color, "color", "auto", "auto, always or never")
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(
		demoCommand(a), checkCommand(a), planCommand(a), runCommand(a), analyzeCommand(a), reportCommand(a), resultsCommand(a),
		attackCommand(a), selfTestCommand(a),
		explainCommand(a), convertCommand(a), serveCommand(a), versionCommand(a), completionCommand(),
	)
	root.AddCommand(latencyCommand(a), drillCommand(a), markCommand(a), watchCommand(a))
	root.AddCommand(rbacCommand(a))
	return root
}

// displayName is how the help names the program: as the user called it.
func displayName() string {
	if strings.HasPrefix(filepath.Base(os.Args[0]), "kubectl-") {
		return "kubectl splitbench"
	}
	return "splitbench"
}

// fromEnvironment sets every flag that was not given from its variable.
func fromEnvironment(flags *pflag.FlagSet, getenv func(string) string) error {
	var err error
	flags.VisitAll(func(f *pflag.Flag) {
		if _, unused := f.Annotations[noUseOf]; unused {
			return
		}
		name := "SPLITBENCH_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if v := getenv(name); v != "" && !f.Changed && err == nil && f.Name != "help" {
			if setErr := flags.Set(f.Name, v); setErr != nil {
				err = fmt.Errorf("%s=%q: %w", name, v, setErr)
			}
		}
	})
	return err
}

// colored says whether to colour what goes to w.
func (a *app) colored(w io.Writer) bool {
	switch a.color {
	case "always":
		return true
	case "never":
		return false
	}
	return isTerminal(w) && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb"
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Reports are read in lines of at most this many columns: longer ones are hard to find back in.
const maxColumns = 120

// width is how wide text may be: what the terminal has, 0 where that is not known.
func (a *app) width(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil || columns <= 0 {
		return 0
	}
	return min(columns, maxColumns)
}

// unicode says whether the terminal's locale promises more than ASCII. What goes to a file or a pipe is UTF-8.
func (a *app) unicode(w io.Writer) bool {
	if !isTerminal(w) {
		return true
	}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := a.getenv(name); v != "" {
			v = strings.ToUpper(v)
			return strings.Contains(v, "UTF-8") || strings.Contains(v, "UTF8")
		}
	}
	return false
}

func checkOutput(o string, allowed ...string) error {
	for _, x := range allowed {
		if o == x {
			return nil
		}
	}
	return fmt.Errorf("-o %q: want %s", o, strings.Join(allowed, ", "))
}

// ended turns a run's report into the command's end.
func ended(ctx context.Context, r report.Report, failOn report.FailOn) error {
	if r.Run != nil && r.Run.CutShort != "" && ctx.Err() != nil {
		return interrupted{}
	}
	return done(r.Verdict.Outcome, failOn)
}

// done turns an outcome into the command's end.
func done(outcome string, failOn report.FailOn) error {
	if code := report.ExitCode(outcome, failOn); code != 0 {
		return exitCode(code)
	}
	return nil
}

// judging are the flags of the decision.
type judging struct {
	gate, tolerance, failOn string
	alpha, power            float64
	seed                    uint64
}

func (j *judging) add(flags *pflag.FlagSet) {
	d := analyze.DefaultOptions()
	flags.StringVar(&j.gate, "gate", string(d.Gate), "what decides: tolerance, or chisquare for the classical test")
	flags.StringVar(&j.tolerance, "tolerance", "5pt,50%", "how far a share may be off: points (2pt), share of the weight (20%), or the smaller of both")
	flags.Float64Var(&j.alpha, "alpha", d.Alpha, "error rate of the verdict, above 0 and below 0.5")
	flags.Float64Var(&j.power, "power", d.Power, "chance that the planned requests suffice, above 0 and below 1")
	flags.StringVar(&j.failOn, "fail-on", string(report.FailOnInconclusive), "mildest outcome with an exit code above 0: inconclusive, fail, invalid or never")
	flags.Uint64Var(&j.seed, "seed", d.Seed, "seed of everything that is drawn at random here")
}

func (j *judging) options() (analyze.Options, report.FailOn, error) {
	o := analyze.DefaultOptions()
	failOn, err := report.ParseFailOn(j.failOn)
	if err != nil {
		return o, "", err
	}
	if o.Tolerance, err = analyze.ParseTolerance(j.tolerance); err != nil {
		return o, "", fmt.Errorf("--tolerance: %w", err)
	}
	o.Gate, o.Alpha, o.Power, o.Seed = analyze.Gate(j.gate), j.alpha, j.power, j.seed
	if o.Gate != analyze.GateTolerance && o.Gate != analyze.GateChiSquare {
		return o, "", fmt.Errorf("--gate %q: want tolerance or chisquare", j.gate)
	}
	if err := o.Validate(); err != nil {
		return o, "", fmt.Errorf("--%w", err) // the error begins with the option's name
	}
	return o, failOn, nil
}
