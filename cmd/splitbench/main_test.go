package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/splitbench/splitbench/internal/demo"
)

var update = flag.Bool("update", false, "rewrite what the scripts compare with")

func TestMain(m *testing.M) {
	// Sessions wait more than they compute: as many at a time as there are processors would leave these idle.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){
		"splitbench": func() {
			os.Exit(run(context.Background(), append([]string{"splitbench"}, os.Args[1:]...), process()))
		},
	})
}

// TestScripts runs testdata/*.txtar: each is a session with the program as its user has it. KUBECONFIG names two
// healthy demo clusters, seed 1, that live as long as the script; SERVER is the URL of a plain server, ADDRESS its
// address.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			world, err := demo.Start(context.Background(), demo.Options{Seed: 1})
			if err != nil {
				return err
			}
			env.Defer(func() { world.Close() })
			server := httptest.NewServer(http.HandlerFunc(plainServer))
			env.Defer(server.Close)
			env.Setenv("SERVER", server.URL)
			env.Setenv("ADDRESS", server.Listener.Addr().String())
			file := filepath.Join(env.WorkDir, "kubeconfig")
			env.Setenv("KUBECONFIG", file)
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("NO_COLOR", "1")
			repository, err := filepath.Abs("../..")
			if err != nil {
				return err
			}
			env.Setenv("REPOSITORY", repository)
			return os.WriteFile(file, world.Kubeconfig(), 0o600)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exitcode": exitCodeIs,
		},
	})
}

// plainServer is a target for the generator alone.
func plainServer(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/host":
		fmt.Fprintf(w, "host %s", r.Host)
	case "/agent":
		fmt.Fprintf(w, "%s %s", r.UserAgent(), r.Header.Get("X-Splitbench-Run"))
	case "/fail":
		w.WriteHeader(http.StatusServiceUnavailable)
	case "/slow":
		time.Sleep(50 * time.Millisecond) // the server's work
	case "/stray":
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			defer conn.Close()
			fmt.Fprint(conn, "HTTP/1.1 204 No Content\r\nX-Backend: west\r\n\r\nstray body")
		}
	case "/endless":
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 32<<10)); err != nil {
				return
			}
		}
	default:
		fmt.Fprint(w, `{"message": "hello"}`)
	}
}

// exitCodeIs runs a command and checks its exit code: exitcode CODE splitbench ARGS...
func exitCodeIs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exitcode CODE COMMAND ARGS...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}
