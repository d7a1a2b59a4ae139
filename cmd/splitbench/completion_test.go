package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/creack/pty"

	"github.com/splitbench/splitbench/internal/demo"
)

// demoKubeconfig starts the demo's clusters and returns the file that names them.
func demoKubeconfig(t *testing.T) string {
	t.Helper()
	world, err := demo.Start(t.Context(), demo.Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { world.Close() })
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, world.Kubeconfig(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// carriedOut is what the program prints and how it ends, with an environment.
func carriedOut(t *testing.T, env map[string]string, line string) (stdout, stderr string, code int) {
	t.Helper()
	var out, said bytes.Buffer
	code = run(t.Context(), append([]string{"splitbench"}, strings.Fields(line)...), surroundings{
		stdin: strings.NewReader(""), stdout: &out, stderr: &said, getenv: func(k string) string { return env[k] },
	})
	return out.String(), said.String(), code
}

// TestHelpIsShort: all commands on one screen of 40 lines, and the flags that most people need before the rest.
func TestHelpIsShort(t *testing.T) {
	help, _, _ := carriedOut(t, nil, "help")
	if n := strings.Count(help, "\n"); n > 40 {
		t.Errorf("help has %d lines, want 40 at most\n%s", n, help)
	}
	for _, want := range []string{"Measure:\n", "Stored runs:\n", "  run ", "Exit codes: 0 pass, 1 fail", "--version", "-v, --verbose"} {
		if !strings.Contains(help, want) {
			t.Errorf("help lacks %q\n%s", want, help)
		}
	}
	of, _, _ := carriedOut(t, nil, "run --help")
	titles := regexp.MustCompile(`(?m)^[A-Z][A-Za-z ,]+:$`).FindAllString(of, -1)
	if len(titles) < 8 || titles[0] != "Examples:" || titles[1] != "Common flags:" || titles[len(titles)-2] != "Connection, as for kubectl:" {
		t.Errorf("sections %q", titles)
	}
	_, common, _ := strings.Cut(of, "Common flags:\n")
	common, _, _ = strings.Cut(common, "\n\n")
	for _, flag := range commonFlags() {
		if !strings.Contains(common, "--"+flag+" ") || strings.Count(of, "--"+flag+" ") < 1 {
			t.Errorf("the common flags lack --%s\n%s", flag, common)
		}
	}
	if n := strings.Count(common, "--") - strings.Count(common, "--alpha"); n < 10 || len(commonFlags()) != 10 {
		t.Errorf("%d common flags", n)
	}
	for _, flag := range []string{"--as string", "--request-timeout string"} {
		if !strings.Contains(of, flag) {
			t.Errorf("%s is not shown", flag)
		}
	}
}

// TestCompletion asks for completions as shells do.
func TestCompletion(t *testing.T) {
	file, dir := demoKubeconfig(t), t.TempDir()
	env := map[string]string{"SPLITBENCH_KUBECONFIG": file, "SPLITBENCH_RESULTS_DIR": dir, "SPLITBENCH_CONTEXT": "west"}
	for _, line := range []string{
		"demo -q --requests 300 --tolerance 40pt --label change=CHG-1",
		"demo -q --requests 3000 --seed 4 --true-weights podinfo=99,podinfo-east=1",
	} {
		carriedOut(t, env, line)
	}
	for _, row := range []struct {
		line string // the word that is completed is PREFIX, or nothing
		want []string
		not  string
	}{
		{line: "run -n test --from ", want: []string{"deploy/frontend", "deploy/podinfo", "pod/frontend-"}, not: "svc/"},
		{line: "run -n test --from PREFIXdeploy/f", want: []string{"deploy/frontend"}, not: "deploy/podinfo"},
		{line: "run -n test --from deploy/frontend -c ", want: []string{"nginx"}, not: "linkerd-proxy"},
		{line: "run -n test --through ", want: []string{"svc/frontend"}},
		{line: "latency -n test ", want: []string{"svc/podinfo-east", "svc/podinfo"}},
		{line: "latency svc/podinfo -n test --against ", want: []string{"svc/podinfo-east"}},
		{line: "run -o ", want: []string{"json", "yaml", "text", "markdown=short", "jsonpath="}},
		{line: "check -o ", want: []string{"json", "short", "junit"}},
		{line: "run --gate ", want: []string{"tolerance", "chisquare"}},
		{line: "run --http ", want: []string{"grpc", "h2c"}},
		{line: "watch --fail-on ", want: []string{"inconclusive", "never"}},
		{line: "run --ignore-check PREFIXSB00", want: []string{"SB008\t"}, not: "SB012"},
		{line: "explain PREFIXSB01", want: []string{"SB012\t"}},
		{line: "run --baseline ", want: []string{"latest\t", "\tpass split test/podinfo", "\tfail split test/podinfo"}},
		{line: "report ", want: []string{"\tpass split test/podinfo", "\tfail split test/podinfo"}},
		{line: "results list -l ", want: []string{"change=CHG-1"}},
		{line: "run --label PREFIXch", want: []string{"change=CHG-1"}},
		{line: "run -n test ", want: []string{"ts/podinfo"}},
		{line: "rbac ", want: []string{"check", "run", "view"}},
		{line: "rbac run -n test ", want: []string{"ts/podinfo"}},
		{line: "run --remote-context ", want: []string{"east", "west"}},
		{line: "run --color ", want: []string{"auto", "never"}},
		{line: "results export --to ", want: []string{"benchfmt", "prom"}},
		{line: "run -n test --server https://127.0.0.1:1 ", not: "ts/podinfo"}, // nobody answers: nothing, and no error
	} {
		before, prefix, _ := strings.Cut(row.line, "PREFIX")
		var stdout, stderr bytes.Buffer
		args := append(append([]string{"splitbench", "__complete"}, strings.Fields(before)...), prefix)
		code := run(t.Context(), args, surroundings{
			stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, getenv: func(k string) string { return env[k] },
		})
		for _, want := range row.want {
			if !strings.Contains("\n"+stdout.String(), cmpPrefix(want)) {
				t.Errorf("%q: lacks %q\n%s%s", row.line, want, stdout.String(), stderr.String())
			}
		}
		if code != 0 || row.not != "" && strings.Contains(stdout.String(), row.not) {
			t.Errorf("%q: exit code %d, or has %q\n%s", row.line, code, row.not, stdout.String())
		}
	}
}

// cmpPrefix is a candidate at the beginning of its line, or a description where it is.
func cmpPrefix(want string) string {
	if strings.HasPrefix(want, "\t") {
		return want
	}
	return "\n" + want
}

// TestShellsComplete types into bash and zsh themselves, on a terminal, and presses the tab key.
func TestShellsComplete(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("terminals of Linux are driven here")
	}
	bin := t.TempDir()
	self, err := os.Executable() // which is the program where it is called so: see TestMain
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, bin+"/splitbench"); err != nil {
		t.Fatal(err)
	}
	file := demoKubeconfig(t)
	for _, shell := range []struct {
		name  string
		args  []string
		setUp string
	}{
		{"bash", []string{"--norc", "--noprofile", "-i"}, "bind 'set show-all-if-ambiguous on'; bind 'set enable-bracketed-paste off'; " +
			"PS1=; source <(splitbench completion bash)"},
		{"zsh", []string{"-f", "-i"}, "PS1=; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -D; source <(splitbench completion zsh)"},
	} {
		t.Run(shell.name, func(t *testing.T) {
			program, err := exec.LookPath(shell.name)
			if err != nil {
				t.Skipf("there is no %s here (apt-get install %[1]s): its completion is not tested", shell.name)
			}
			cmd := exec.Command(program, shell.args...)
			cmd.Dir = t.TempDir()
			cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "KUBECONFIG="+file, "HOME="+cmd.Dir, "TERM=dumb", "LC_ALL=C.UTF-8")
			tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 200})
			if err != nil {
				t.Fatal(err)
			}
			s := newTerminal(tty)
			defer func() { cmd.Process.Kill(); cmd.Wait(); tty.Close() }()
			fmt.Fprintf(tty, "%s; echo re''ady\n", shell.setUp)
			s.await(t, "ready")
			for _, row := range []struct{ typed, want string }{
				{"splitbench run --gate \t", "chisquare"},
				{"splitbench check --context west -n test --from deploy/f\t", "deploy/frontend"},
				{"splitbench explain SB01\t", "SB012"},
				{"splitbench run --context west -n test t\t", "ts/podinfo"},
			} {
				s.forget()
				fmt.Fprint(tty, row.typed)
				s.await(t, row.want)
				fmt.Fprint(tty, "\x15") // the line is given up
			}
		})
	}
}
