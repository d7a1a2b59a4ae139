package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/serve"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// serveCommand holds the flags of `serve`.
type serveCommand struct {
	*app
	cfg               bench.Config
	margins           marginFlags
	listen, tokenFile string
	token             string
	flagger           bool
}

func newServe(a *app) *cobra.Command {
	c := &serveCommand{app: a}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Show stored runs in a browser: list, filter, open, compare, history of a split",
		Long: `serve shows the runs of a results folder on a local page, read-only, until interrupted. It listens on this
machine only; to listen elsewhere it needs a token, which browsers pass once as ?token=TOKEN, and programs as a bearer
token. The token is read from --token-file or SPLITBENCH_SERVE_TOKEN, never from the command line, which others can
see. /runs.json is the list for programs, filtered as the page is; /healthz says ok, to everybody.

With --gate-flagger it also answers Flagger's webhook at POST /v1/flagger from the newest stored run of the named
split: 200 if it passed, 412 with the reason if not, 503 if there is none. It starts no run. The token is the password
in the webhook's URL.`,
		Example: `  splitbench serve
  splitbench serve --gate-flagger
  splitbench serve --listen :8080 --token-file /run/secrets/splitbench`,
		Args: cobra.NoArgs,
	}
	return a.command(cmd, &c.cfg, c.run,
		under("Page", c, bound(storedFlag)), under("Comparison of runs", &c.margins))
}

func (c *serveCommand) register(flags *pflag.FlagSet, _ *bench.Config) {
	flags.StringVar(&c.listen, "listen", "127.0.0.1:7878", "HOST:PORT to listen at; port 0: a free one")
	flags.StringVar(&c.tokenFile, "token-file", "", "file that holds the token")
	flags.BoolVar(&c.flagger, "gate-flagger", false, "answer Flagger's webhook at POST /v1/flagger from the stored runs")
}

// complete reads the token, and refuses to show runs to others without one.
func (c *serveCommand) complete(*bench.Config) (err error) {
	if c.token, err = c.serveToken(c.tokenFile); err != nil {
		return err
	}
	local, err := serve.Loopback(c.listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if !local && c.token == "" {
		return fmt.Errorf("--listen %q: others could read the runs: set a token with --token-file or "+
			"SPLITBENCH_SERVE_TOKEN, "+
			"or listen on 127.0.0.1", c.listen)
	}
	return nil
}

func (c *serveCommand) run(ctx context.Context, _ []string) error {
	dir := c.cfg.ResultsDir
	if _, err := store.List(dir); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return c.serve(ctx, c.listen, serve.Options{
		Dir: dir, Token: c.token, Summarize: record.Summary, Report: storedReport, Flagger: c.flagger,
		Compare: func(base, latest store.Folder) (report.RunComparison, error) {
			return judge.Compare(base, []store.Folder{latest}, c.margins.options)
		},
	})
}

// leastToken is the least length of a token: a shorter one can be guessed over a network.
const leastToken = 16

func (a *app) serveToken(file string) (string, error) {
	token := a.getenv("SPLITBENCH_SERVE_TOKEN")
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("--token-file: %w", err)
		}
		token = strings.TrimRight(string(b), "\r\n")
		if token == "" {
			return "", fmt.Errorf("--token-file %q: it is empty", file)
		}
	}
	if token != "" && len(token) < leastToken {
		return "", fmt.Errorf("the token has %d characters: want %d at least, for example from: openssl rand -hex 16",
			len(token), leastToken)
	}
	return token, nil
}

// Bounds of one connection to a page of this program.
const (
	serveReadLimit  = 10 * time.Second
	serveWriteLimit = time.Minute
	serveGrace      = 3 * time.Second
	serveMaxHeader  = 16 << 10
)

// server answers from when it listens until it is closed.
type server struct {
	http.Server
	address net.Addr   // with the port that was free
	ended   chan error // one, nil where it was closed
}

// listen starts a server.
func listen(ctx context.Context, address string, h http.Handler) (*server, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	s := &server{address: l.Addr(), ended: make(chan error, 1), Server: http.Server{
		Handler: h, ReadTimeout: serveReadLimit, WriteTimeout: serveWriteLimit, MaxHeaderBytes: serveMaxHeader,
	}}
	go func() {
		err := s.Serve(l)
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		s.ended <- err
	}()
	return s, nil
}

// bringEvery is how old a page may be of runs that lie in a bucket.
const bringEvery = 10 * time.Second

// serve answers until the context ends. The address goes to stdout, so that a script can read it.
func (a *app) serve(ctx context.Context, address string, o serve.Options) error {
	h, shown := serve.Handler(o), o.Dir
	if a.bucket != nil {
		h, shown = a.bucket.Fresh(h, bringEvery, func(err error) { a.warn("%v", err) }), a.bucket.Name()
	}
	s, err := listen(ctx, address, h)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	fmt.Fprintf(a.stdout, "http://%s/\n", s.address)
	a.say("showing %s, read-only, until interrupted", untrusted.Safe(shown))
	select {
	case err := <-s.ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), serveGrace)
	defer cancel()
	err = s.Shutdown(grace)
	return cmp.Or(endOfSignal(ctx), errors.Join(err, <-s.ended))
}
