package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/registry"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
)

func newResults(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "results",
		Short: "Look at stored runs",
	}
	cmd.AddCommand(newList(a), newShow(a), newCompare(a), newExport(a), newSign(a), newVerify(a), newPin(a), newPrune(a),
		newImport(a), newPush(a), newPull(a))
	return cmd
}

func newShow(a *app) *cobra.Command {
	var (
		render renderFunc
		runs   storedFlags
	)
	cmd := &cobra.Command{
		Use:               "show [RUN]",
		Short:             "Show a run: whether its folder is whole, and its report",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeRuns(),
	}
	work := func(_ context.Context, args []string) error {
		f, err := runs.open(args)
		if err != nil {
			return err
		}
		v, err := f.Verify()
		if err != nil {
			return err
		}
		a.say("run %s in %s: %s", f.ID, untrusted.Safe(f.Dir), untrusted.Safe(v.String()))
		r, err := storedReport(f)
		if err != nil {
			return err
		}
		return a.print(r, render)
	}
	return a.command(cmd, nil, work, under("Run", &runs), under("Output", a.reportFlag(&render)))
}

func newPin(a *app) *cobra.Command {
	var (
		off  bool
		runs storedFlags
	)
	cmd := &cobra.Command{
		Use:               "pin [RUN...]",
		Short:             "Keep runs from prune",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: quietly(storedRuns),
	}
	work := func(_ context.Context, args []string) error {
		if len(args) == 0 && runs.labels == nil {
			return errors.New("name the runs to pin: latest, an id or its beginning, or -l KEY=VALUE")
		}
		folders, err := runs.all(args)
		if err != nil {
			return err
		}
		word := "pinned"
		if off {
			word = "not pinned"
		}
		for _, f := range folders {
			if err := runs.inHome(f); err != nil {
				return err
			}
			if err := f.Pin(!off); err != nil {
				return err
			}
			a.say("run %s is %s", f.ID, word)
		}
		return nil
	}
	offFlag := bound(func(flags *pflag.FlagSet, _ *bench.Config) {
		flags.BoolVar(&off, "off", false, "let prune delete them again")
	})
	return a.command(cmd, nil, work, under("Runs", &runs, offFlag))
}

func newImport(a *app) *cobra.Command {
	var cfg bench.Config
	cmd := &cobra.Command{
		Use:   "import FOLDER...",
		Short: "Copy run folders from elsewhere, after verifying them",
		Args:  cobra.MinimumNArgs(1),
	}
	work := func(_ context.Context, args []string) error {
		for _, path := range args {
			f, err := store.Import(cfg.ResultsDir, path)
			if err != nil {
				return err
			}
			fmt.Fprintln(a.stdout, f.ID)
		}
		return nil
	}
	return a.command(cmd, &cfg, work, under("Flags", bound(resultsFlag)))
}

// registryFlags say how a registry is spoken to.
type registryFlags struct {
	plainHTTP *bool
	subject   string
}

func (r *registryFlags) register(flags *pflag.FlagSet, _ *bench.Config) {
	flags.BoolFunc("plain-http", "speak HTTP without TLS; default: with a registry on localhost only",
		func(s string) error {
			on, err := strconv.ParseBool(s)
			r.plainHTTP = &on
			return err
		})
}

func (*registryFlags) complete(*bench.Config) error { return nil }

func (r *registryFlags) open(name string) (*registry.Place, error) {
	return registry.Open(name, registry.Options{PlainHTTP: r.plainHTTP, UserAgent: "splitbench/" + agent.Version()})
}

func newPush(a *app) *cobra.Command {
	var (
		runs storedFlags
		reg  registryFlags
	)
	cmd := &cobra.Command{
		Use:   "push [RUN] REGISTRY/REPOSITORY:TAG",
		Short: "Put a run into an OCI registry, beside the release that it belongs to",
		Long: `push makes an artefact of a run that is whole, the latest where none is named: a layer for each file, so
that any OCI client brings the folder back. It prints the artefact's name by digest, which is the same whenever the
same run is pushed. Credentials are those of docker login and docker's helpers. What an interrupted push sent is not
sent again.`,
		Example: `  splitbench results push latest ghcr.io/team/podinfo:v6.7.1-split
  splitbench results push latest ghcr.io/team/podinfo:v6.7.1-split --subject v6.7.1`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: completeRuns(),
	}
	work := func(ctx context.Context, args []string) error {
		run, name := args[:len(args)-1], args[len(args)-1]
		if len(run) == 0 && runs.labels == nil {
			run = []string{"latest"}
		}
		to, err := reg.open(name)
		if err != nil {
			return err
		}
		f, err := runs.open(run)
		if err != nil {
			return err
		}
		s, err := record.Summary(f)
		if err != nil {
			return err
		}
		digest, err := to.Push(ctx, f, registry.Facts(s.Kind, s.Outcome, s.Subject), reg.subject)
		if err != nil {
			return err
		}
		fmt.Fprintln(a.stdout, digest)
		return nil
	}
	subject := bound(func(flags *pflag.FlagSet, _ *bench.Config) {
		flags.StringVar(&reg.subject, "subject", "", "tag or digest of the image in the same repository that the run "+
			"belongs to: the run is then one of its referrers")
	})
	return a.command(cmd, nil, work, under("Run", &runs), under("Registry", &reg, subject))
}

func newPull(a *app) *cobra.Command {
	var (
		cfg bench.Config
		reg registryFlags
	)
	cmd := &cobra.Command{
		Use:   "pull REGISTRY/REPOSITORY:TAG...",
		Short: "Bring runs from an OCI registry, after verifying them",
		Args:  cobra.MinimumNArgs(1),
	}
	work := func(ctx context.Context, args []string) error {
		for _, name := range args {
			from, err := reg.open(name)
			if err != nil {
				return err
			}
			f, err := from.Pull(ctx, cfg.ResultsDir)
			if err != nil {
				return err
			}
			fmt.Fprintln(a.stdout, f.ID)
		}
		return nil
	}
	return a.command(cmd, &cfg, work, under("Flags", bound(resultsFlag)), under("Registry", &reg))
}

func newMark(a *app) *cobra.Command {
	var cfg bench.Config
	cmd := &cobra.Command{
		Use:               "mark RUN TEXT",
		Short:             "Write a mark into the timeline of a drill or run that is under way",
		Example:           `  splitbench mark latest "scaled podinfo to 0"`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeRuns(),
	}
	work := func(_ context.Context, args []string) error {
		f, err := store.OpenRunning(cfg.ResultsDir, args[0])
		if err != nil {
			return err
		}
		if err := bench.MarkRun(f, args[1]); err != nil {
			return err
		}
		a.say("marked run %s", f.ID)
		return nil
	}
	return a.command(cmd, &cfg, work, under("Flags", bound(folderFlag)))
}

// keyFlag names a file with a key.
func keyFlag(file *string, usage string) group {
	return bound(func(flags *pflag.FlagSet, _ *bench.Config) { flags.StringVar(file, "key", "", usage) })
}

func newSign(a *app) *cobra.Command {
	var (
		runs    storedFlags
		keyFile string
	)
	cmd := &cobra.Command{
		Use:   "sign RUN|FILE...",
		Short: "Sign runs, or files such as a page, with an SSH key",
		Long: `sign writes SHA256SUMS.sig into the folder of a run that is whole, or FILE.sig beside a file: an SSH signature,
as ssh-keygen -Y sign -n splitbench makes it. results verify --key says whose it is. A run's signature covers all of its
files. A key with a passphrase, in an agent or on a token is for ssh-keygen to use; its signatures count as well.`,
		Example: `  splitbench results sign latest --key ~/.ssh/id_ed25519
  splitbench results verify latest --key team.pub`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: quietly(storedRuns),
	}
	work := func(_ context.Context, args []string) error {
		if keyFile == "" {
			return errors.New("--key: name the private key to sign with, such as ~/.ssh/id_ed25519")
		}
		key, err := os.ReadFile(keyFile)
		if err != nil {
			return fmt.Errorf("--key: %w", err)
		}
		for _, name := range args {
			if isFile(name) {
				err = store.SignFile(name, key)
			} else if f, openErr := runs.open([]string{name}); openErr != nil {
				err = openErr
			} else {
				err = f.Sign(key)
			}
			if err != nil {
				return err
			}
			a.say("signed %s", untrusted.Safe(name))
		}
		return nil
	}
	return a.command(cmd, nil, work,
		under("Runs", &runs), under("Signature", keyFlag(&keyFile, "file of the SSH private key to sign with")))
}

// trust holds a run to the keys that are trusted.
type trust struct {
	file string
	keys store.Keys
}

func (t *trust) read() error {
	if t.file == "" {
		return nil
	}
	b, err := os.ReadFile(t.file)
	if err == nil {
		t.keys, err = store.ReadKeys(b)
	}
	if err != nil {
		return fmt.Errorf("--key %q: %w", t.file, err)
	}
	return nil
}

// stateUnsigned is of what is whole, where nothing shows that it is of whom it is said to be.
const stateUnsigned = "unsigned"

// judge says what is missing of trust in what is signed so, "" where nothing is.
func (t *trust) judge(signedBy string, trusted bool) string {
	switch {
	case t.file == "" || trusted:
		return ""
	case signedBy == "":
		return "it has no signature: nothing shows who wrote it"
	}
	return fmt.Sprintf("it was signed by %s, which is no key of %s", signedBy, t.file)
}

// verified is one run in the output of verify.
type verified struct {
	ID       string          `json:"id"`
	State    string          `json:"state"` // complete, partial, damaged or unsigned
	SignedBy string          `json:"signedBy,omitempty"`
	Text     string          `json:"text"`
	Problems []store.Problem `json:"problems"`
	Extra    []string        `json:"extraFiles"`
}

func newVerify(a *app) *cobra.Command {
	var (
		runs   storedFlags
		output form
		by     trust
	)
	cmd := &cobra.Command{
		Use:   "verify [RUN|FILE...]",
		Short: "Check whether runs are complete, partial or damaged, and which file is, and who signed them",
		Long: `verify compares every file of the runs with their SHA256SUMS; without an argument, of all runs. Exit code 4
where one is damaged, 2 where one is no run at all; a partial run was cut short and is as it was written. With --key
what no key of that file signed is unsigned, and exit code 4 too; FILE is then what results sign FILE signed.`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: quietly(storedRuns),
	}
	work := func(ctx context.Context, args []string) error {
		if err := by.read(); err != nil {
			return err
		}
		files := slices.DeleteFunc(slices.Clone(args), func(name string) bool { return !isFile(name) })
		if len(files) > 0 && by.file == "" {
			return fmt.Errorf("%s is a file: say with --key whose signature %s.sig is to be", files[0], files[0])
		}
		var lines []verified
		for _, name := range files {
			lines = append(lines, by.verifyFile(name))
		}
		if names := slices.DeleteFunc(slices.Clone(args), isFile); len(names) > 0 || len(files) == 0 {
			folders, err := runs.all(names)
			if err != nil {
				return err
			}
			for _, f := range folders {
				line, err := a.verifyRun(ctx, f, &by)
				if err != nil {
					return err
				}
				lines = append(lines, line)
			}
		}
		return a.verified(lines, output)
	}
	return a.command(cmd, nil, work, under("Runs", &runs), under("Output", outputFlag(&output, "text", "json")),
		under("Signature", keyFlag(&by.file, "file of the SSH public keys of whom to trust, one a line")))
}

func (a *app) verifyRun(ctx context.Context, f store.Folder, t *trust) (verified, error) {
	v, err := f.Verify()
	if err == nil && a.bucket != nil && v.State != store.Damaged && !v.Running {
		v.Problems, err = a.bucket.Check(ctx, f)
		if len(v.Problems) > 0 {
			v.State = store.Damaged
		}
	}
	line := verified{
		ID: f.ID, State: string(v.State), SignedBy: store.Fingerprint(v.Signer), Text: untrusted.Printable(v.String()),
		Problems: append([]store.Problem{}, v.Problems...), Extra: v.Extra,
	}
	line.settle(t.judge(line.SignedBy, t.keys.Have(v.Signer)))
	return line, err
}

func (t *trust) verifyFile(name string) verified {
	line := verified{
		ID: name, State: string(store.VerifiedComplete), Text: "as it was signed", Problems: []store.Problem{},
	}
	key, err := store.Signer(name)
	if err != nil {
		why := untrusted.Printable(err.Error())
		line.State, line.Text = string(store.Damaged), "damaged: "+name+".sig "+why
		line.Problems = []store.Problem{{File: name + ".sig", Why: why}}
	}
	line.SignedBy = store.Fingerprint(key)
	line.settle(t.judge(line.SignedBy, t.keys.Have(key)))
	return line
}

// settle takes account of the signature.
func (v *verified) settle(missing string) {
	switch {
	case v.State == string(store.Damaged):
	case missing != "":
		v.State, v.Text = stateUnsigned, stateUnsigned+": "+missing
	case v.SignedBy != "":
		v.Text += ", signed by " + v.SignedBy
	}
}

func (a *app) verified(lines []verified, output form) error {
	bad := func(v verified) bool { return v.State == string(store.Damaged) || v.State == stateUnsigned }
	if lines == nil {
		lines = []verified{}
	}
	err := a.write(output, document{
		"text": func(w io.Writer) error {
			for _, line := range lines {
				fmt.Fprintf(w, "%s  %s\n", untrusted.Safe(line.ID), line.Text)
			}
			return nil
		},
		"json": jsonOf(runsDocument[verified]{report.APIVersion, "RunVerification", lines}),
	})
	if err == nil && slices.ContainsFunc(lines, bad) {
		return exitCode(report.ExitInvalid)
	}
	return err
}
