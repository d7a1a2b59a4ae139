package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/klog/v2"

	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/bucket"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/runner"
	"github.com/splitbench/splitbench/internal/store"
)

// surroundings are the streams and environment of a process; tests bring their own.
type surroundings struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
}

// open opens a file, or stdin where it is named -.
func (s surroundings) open(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(s.stdin), nil
	}
	return os.Open(name)
}

// exitCode ends a command that has already printed everything.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// signalError is the cause of a context cancelled by a signal.
type signalError struct{ sig syscall.Signal }

func (e *signalError) Error() string {
	if e.sig == syscall.SIGTERM {
		return "SIGTERM"
	}
	return "SIGINT"
}

// code returns what shells expect: 128 plus the number of the signal.
func (e *signalError) code() int { return 128 + int(e.sig) }

// process returns the surroundings of this process. It also silences the loggers of the Kubernetes libraries, which log
// errors that they return as well, and of net/http, which writes a line for each stray byte of a server. They are
// global, so run, which tests call concurrently, must not set them.
func process() surroundings {
	klog.SetLogger(logr.Discard())
	log.SetOutput(io.Discard)
	return surroundings{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv}
}

// run is the program: arguments in, exit code out.
func run(ctx context.Context, args []string, s surroundings) int {
	if exe, err := os.Executable(); err == nil && strings.HasPrefix(filepath.Base(exe), ".splitbench-") {
		// Uploaded as the agent, because no agent was embedded when this program was built. It is run by a descriptor.
		return agent.Main(ctx, args[1:], s.stdin, s.stdout, s.stderr, agent.ServeOptions{Executable: exe, Alone: true})
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := onSignal(cancel)
	defer stop()
	if len(args) > 1 && args[1] == runner.Command {
		return runner.Stand(ctx, args[2:], s.stderr)
	}

	args = asCompletion(args)
	a := &app{surroundings: s, called: calledBy(args[0])}
	root := newRoot(a)
	root.SetArgs(args[1:])
	root.SetIn(s.stdin)
	root.SetOut(s.stdout)
	root.SetErr(s.stderr)
	err := cmp.Or(root.ExecuteContext(ctx), a.mistake)
	code := codeOf(err)
	if err == nil || errors.As(err, new(exitCode)) {
		return code // a signal that came when all was decided changes nothing
	}
	if !errors.As(err, new(interrupted)) {
		a.warn("%s", a.withOrigin(err.Error()))
	}
	if sig, ok := errors.AsType[*signalError](context.Cause(ctx)); ok {
		return sig.code()
	}
	return code
}

// endOfSignal returns how a command ends that runs until a signal arrives.
func endOfSignal(ctx context.Context) error {
	if sig, ok := errors.AsType[*signalError](context.Cause(ctx)); ok {
		return exitCode(sig.code())
	}
	return nil
}

// interrupted ends a command whose run a signal cut short. No flag turns that into success.
type interrupted struct{}

func (interrupted) Error() string { return "interrupted" }

// onSignal cancels at the first SIGINT or SIGTERM. A second one kills the process, as by default.
func onSignal(cancel context.CancelCauseFunc) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	var listening sync.WaitGroup
	listening.Go(func() {
		if sig, ok := (<-signals).(syscall.Signal); ok { // nil once it is closed
			signal.Stop(signals)
			cancel(&signalError{sig})
		}
	})
	return func() {
		signal.Stop(signals)
		close(signals)
		listening.Wait()
	}
}

// codeOf maps errors to exit codes. An unclassified error is a wrong command line or a bug: 2, never 1, which means
// that a split was shown to be wrong.
func codeOf(err error) int {
	var code exitCode
	var cluster *mesh.Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, new(*record.UsageError)):
		return report.ExitBug
	case errors.As(err, new(interrupted)), errors.Is(err, store.ErrDamaged), errors.Is(err, report.ErrDamaged):
		return report.ExitInvalid
	case errors.As(err, &cluster) && cluster.Kind != mesh.KindUsage && cluster.Kind != mesh.KindAmbiguous:
		return report.ExitInvalid
	}
	return report.ExitBug
}

// app holds what all commands share.
type app struct {
	surroundings
	called  string // "splitbench", or "kubectl splitbench" as a plugin
	quiet   bool
	verbose int
	color   string
	telling sync.Mutex        // held while something is written to stderr
	screen  *screen           // of a measurement under way, where stderr is a terminal
	origins map[string]origin // of flags that the command line did not set, by name
	// of files, the nearest first
	defaults []setting
	longOf   func(string) string // the name of a flag by its letter
	bucket   *bucket.Bucket      // that --results-dir names; nil: a folder
	mistake  error               // of a command line that asks for help
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "splitbench",
		Short: "Prove that the traffic split you declared is the split you get",
		Long: `splitbench sends requests from a meshed client pod, sees which backend answered each one, and tests the shares
against the declared weights. Exit codes: 0 pass, 1 fail, 2 wrong command line or local file, 3 inconclusive, 4 could
not be measured, 130/143 interrupted. Every flag has a variable: --results-dir is SPLITBENCH_RESULTS_DIR.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       toolVersion(),
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: cmp.Or(a.called, "splitbench")},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return a.fromElsewhere(cmd.Flags())
		},
	}
	root.SetUsageFunc(a.usage)
	root.SetVersionTemplate(versionLine())
	flags := root.PersistentFlags()
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "say nothing but the exit code (and -o json)")
	flags.CountVarP(&a.verbose, "verbose", "v", "log each request to an API server: how long it took, and its answer")
	choose(flags, "color", "auto", "auto, always or never", &a.color, "auto", "always", "never")
	root.CompletionOptions.DisableDefaultCmd = true
	grouped(root, "Before anything is sent", newCheck(a), newPlan(a), newExplain(a))
	grouped(root, "Measure", newRun(a), newLatency(a), newDrill(a), newMark(a), newWatch(a), newAttack(a), newDemo(a))
	grouped(root, "Stored runs", newReport(a), newAnalyze(a), newResults(a), newServe(a))
	grouped(root, "Set up", newConfig(a), newConvert(a), newRBAC(a), newSelfTest(a), newVersion(a), newCompletion(a))
	completeFlags(root)
	explainMistakes(root)
	root.SetHelpFunc(a.helpOf(root.HelpFunc()))
	return root
}

// kubectlPlugin is what the program is called by as a plugin of kubectl.
const kubectlPlugin = "kubectl splitbench"

// calledBy is the name that the user called the program by.
func calledBy(arg0 string) string {
	if strings.HasPrefix(filepath.Base(arg0), "kubectl-") {
		return kubectlPlugin
	}
	return "splitbench"
}

// colored reports whether to colour output to w.
func (a *app) colored(w io.Writer) bool {
	switch a.color {
	case "always":
		return true
	case "never":
		return false
	}
	if a.getenv("NO_COLOR") != "" {
		return false
	}
	forced := a.getenv("CLICOLOR_FORCE")
	return forced != "" && forced != "0" || isTerminal(w) && a.getenv("TERM") != "dumb"
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// maxColumns bounds the width of reports: the eye loses its place in longer lines.
const maxColumns = 120

// width returns the width to wrap text at: $COLUMNS, that of the terminal, or 0 if unknown.
func (a *app) width(w io.Writer) int {
	if n, err := strconv.Atoi(a.getenv("COLUMNS")); err == nil && n > 0 {
		return min(n, maxColumns)
	}
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

// unicode reports whether the locale allows more than ASCII. Where it says nothing, files and pipes get UTF-8.
func (a *app) unicode(w io.Writer) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToUpper(a.getenv(name)); v != "" {
			return strings.Contains(v, "UTF-8") || strings.Contains(v, "UTF8")
		}
	}
	return !isTerminal(w)
}
