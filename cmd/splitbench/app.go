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
	"golang.org/x/term"
	"k8s.io/klog/v2"

	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
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

// process is the surroundings of a process of its own. The logger of Kubernetes' libraries is the process's too: they
// log what they return as errors, and stderr is for what a user can act on. It is not for run to set, since tests run
// several commands at a time.
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
	a := &app{surroundings: s}
	root := newRoot(a)
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
		a.warn("%v", err)
	}
	var sig *signalError
	if errors.As(context.Cause(ctx), &sig) {
		return sig.code()
	}
	return code
}

// endOfSignal ends a command that goes on until a signal comes.
func endOfSignal(ctx context.Context) error {
	var sig *signalError
	if errors.As(context.Cause(ctx), &sig) {
		return exitCode(sig.code())
	}
	return nil
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

// codeOf maps errors to exit codes. Whatever nobody classed is the command line's fault or a bug: 2, never 1, which
// means that a split was shown to be wrong.
func codeOf(err error) int {
	var code exitCode
	var cluster *mesh.Error
	var usage *record.UsageError
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
		Long: `splitbench runs request bursts from a meshed client pod, sees which cluster's backend answered each one, and
tests the observed shares against the declared weights.

Exit codes: 0 pass, 1 fail, 2 wrong command line or local file, 3 inconclusive, 4 could not be measured, 130/143
interrupted (what was measured is kept). Every flag can be set by a variable: --results-dir is SPLITBENCH_RESULTS_DIR.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: displayName()},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := fromEnvironment(cmd.Flags(), a.getenv); err != nil {
				return err
			}
			if a.color != "auto" && a.color != "always" && a.color != "never" {
				return fmt.Errorf("--color %q: want auto, always or never", a.color)
			}
			return nil
		},
	}
	root.SetUsageFunc(a.usage)
	root.SetFlagErrorFunc(flagError)
	root.PersistentFlags().BoolVarP(&a.quiet, "quiet", "q", false, "say nothing but the exit code (and -o json)")
	root.PersistentFlags().StringVar(&a.color, "color", "auto", "auto, always or never")
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(
		newDemo(a), newCheck(a), newPlan(a), newRun(a), newAnalyze(a), newReport(a), newResults(a), newLatency(a),
		newDrill(a), newMark(a), newWatch(a), newAttack(a), newSelfTest(a), newExplain(a), newConvert(a), newRBAC(a),
		newServe(a), newVersion(a), newCompletion(),
	)
	return root
}

// displayName is how the help names the program: as the user called it.
func displayName() string {
	if strings.HasPrefix(filepath.Base(os.Args[0]), "kubectl-") {
		return "kubectl splitbench"
	}
	return "splitbench"
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
