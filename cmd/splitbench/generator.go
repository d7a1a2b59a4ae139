package main

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/runner"
	"github.com/splitbench/splitbench/internal/witness"
	"github.com/splitbench/splitbench/podexec"
)

// engineFlags choose the engine and how it keeps time.
type engineFlags struct{}

func (engineFlags) register(flags *pflag.FlagSet, cfg *bench.Config) {
	p := &cfg.Load.Template
	flags.StringVar(&p.Engine, "engine", "", "h1, std or vegeta; default: h1 for HTTP/1.1 without TLS, std for all else")
	flags.IntVar(&p.Streams, "streams", 1, "requests in flight over one HTTP/2 connection")
	flags.StringVar((*string)(&p.Saturation), "saturation", string(attack.SaturationQueue),
		"what to do with a request that is due while every connection is busy: queue, drop or abort")
	flags.BoolVar(&p.Spin, "spin", false,
		"wait for each instant without sleeping: on time to some microseconds, at the price of a processor")
	offer(flags, "engine", attack.EngineH1, attack.EngineStd, attack.EngineVegeta)
	offer(flags, "saturation", attack.SaturationQueue, attack.SaturationDrop, attack.SaturationAbort)
}

func (engineFlags) complete(cfg *bench.Config) error {
	p := &cfg.Load.Template
	if p.Streams == 1 { // a plan does not name its defaults
		p.Streams = 0
	}
	if p.Saturation == attack.SaturationQueue {
		p.Saturation = ""
	}
	return nil
}

// put adds a pair to a map that may be nil.
func put(to *map[string]string, key, value string) {
	if *to == nil {
		*to = map[string]string{}
	}
	(*to)[key] = value
}

// reuseFlags choose the connection of the next request, and when to replace it.
type reuseFlags struct{ reuse attack.Reuse }

func (r *reuseFlags) register(flags *pflag.FlagSet, cfg *bench.Config) {
	flags.DurationVar(&r.reuse.MaxAge, "connection-age", 0,
		"age at which a connection is replaced by a new one; 0: any age")
	flags.StringVar((*string)(&cfg.Load.Template.Order), "connection-order", string(attack.OrderLIFO),
		"which idle connection to use next: lifo, fifo or random")
	offer(flags, "connection-order", attack.OrderLIFO, attack.OrderFIFO, attack.OrderRandom)
}

func (r *reuseFlags) complete(cfg *bench.Config) error {
	p := &cfg.Load.Template
	if p.Order == attack.OrderLIFO {
		p.Order = ""
	}
	if r.reuse != (attack.Reuse{}) || p.Order == attack.OrderRandom {
		r.reuse.Seed = cfg.Options.Seed
		p.Reuse = &r.reuse
	}
	return nil
}

// turnoverFlags are reuseFlags plus how many requests a connection carries.
type turnoverFlags struct {
	reuseFlags
	requests string // by default, in words
}

func (t *turnoverFlags) register(flags *pflag.FlagSet, cfg *bench.Config) {
	read(flags, "requests-per-connection", "",
		"requests that a connection carries before a new one is dialled, N or MIN:MAX; default: "+
			cmp.Or(t.requests, "a 128th of --requests"),
		func(s string) (err error) {
			t.reuse.MinRequests, t.reuse.MaxRequests, err = attack.ParseReuse(s)
			return err
		})
	t.reuseFlags.register(flags, cfg)
}

// dialFlags choose the address to dial and the certificates to trust.
type dialFlags struct{ tls attack.TLS }

func (d *dialFlags) register(flags *pflag.FlagSet, cfg *bench.Config) {
	readEach(flags, "connect-to", "HOST:PORT=ADDRESS:PORT: dial the second instead of the first; repeatable",
		func(s string) error {
			from, to, ok := strings.Cut(s, "=")
			if !ok {
				return errors.New("want HOST:PORT=ADDRESS:PORT")
			}
			put(&cfg.Load.Template.ConnectTo, strings.ToLower(from), to)
			return nil
		})
	read(flags, "cacert", "", "PEM file of the authorities to trust instead of the system's", into(&d.tls.CA, os.ReadFile))
	flags.StringVar(&d.tls.ServerName, "tls-name", "",
		"name to expect in the server's certificate; default: the URL's host")
	flags.BoolVar(&d.tls.Insecure, "insecure", false, "do not verify the server's certificate")
}

func (d *dialFlags) complete(cfg *bench.Config) error {
	if d.tls.CA != nil || d.tls.ServerName != "" || d.tls.Insecure {
		cfg.Load.Template.TLS = &d.tls
	}
	return nil
}

// podFlags choose how many pods send, and how to get the load generator into them.
type podFlags struct{}

func (podFlags) register(flags *pflag.FlagSet, cfg *bench.Config) {
	podsFlag(flags, cfg)
	flags.BoolVar(&cfg.Resume, "resume", false,
		"resume a run whose stream broke, as a further segment; what may have been sent is not sent again")
	choose(flags, "via", string(bench.ViaAuto),
		"how to get the load generator into the pod: "+enumerate(bench.Vias(), " or "),
		&cfg.Via, bench.Vias()...)
	flags.StringVar(&cfg.Image, "ephemeral-image", "",
		"image with a shell for --via ephemeral, which adds a container to the pod that stays in its spec")
}

func (podFlags) complete(cfg *bench.Config) error {
	switch {
	case cfg.Via == bench.ViaEphemeral && cfg.Image == "":
		return fmt.Errorf("--via ephemeral: name an image that has a shell with --ephemeral-image, such as busybox:1.36")
	case cfg.Via != bench.ViaEphemeral && cfg.Image != "":
		return fmt.Errorf("--ephemeral-image: goes with --via ephemeral only")
	}
	return nil
}

// podsFlag is the flag of how many pods send.
func podsFlag(flags *pflag.FlagSet, cfg *bench.Config) {
	read(flags, "pods", "1",
		fmt.Sprintf("how many pods of --from or -l send at once: a number up to %d, or all that are ready", law.MaxPods),
		into(&cfg.Query.Pods, parsePods))
}

// runnerFlags have pods that are made for the run send in the place of the workload's.
type runnerFlags struct{}

func (runnerFlags) register(flags *pflag.FlagSet, cfg *bench.Config) {
	read(flags, "runners", "0", fmt.Sprintf("send from so many pods, up to %d, of a Job that is made for it and taken "+
		"away, in the place of the pods of --from", law.MaxPods), into(&cfg.Runners.Pods, parseRunners))
	flags.StringVar(&cfg.Runners.Image, "runner-image", releasedImage(agent.Version()),
		"image of runner pods, of this program's own version; default: the released one")
	read(flags, "runner-requests", "cpu=100m,memory=64Mi", "what each runner pod asks for",
		into(&cfg.Runners.Requests, runner.ParseResources))
	read(flags, "runner-limits", "memory=256Mi", "what each runner pod may have at most",
		into(&cfg.Runners.Limits, runner.ParseResources))
}

func (runnerFlags) complete(cfg *bench.Config) error {
	cfg.Query.Runners = cfg.Runners.Pods > 0
	switch {
	case !cfg.Query.Runners:
		return nil
	case cfg.Runners.Image == "":
		return errors.New("--runner-image: this program is no released version, so there is no image of it to take; name " +
			"one, as make image builds it")
	case cfg.Query.Pods != 0:
		return errors.New("--runners and --pods: either pods that are made send, or the workload's; leave one of them out")
	case cfg.Via != "" && cfg.Via != bench.ViaAuto && cfg.Via != bench.ViaPresent:
		return fmt.Errorf("--via %s: runner pods have the load generator inside; leave it out", cfg.Via)
	}
	return nil
}

func parseRunners(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > law.MaxPods {
		return 0, fmt.Errorf("want 1 to %d", law.MaxPods)
	}
	return n, nil
}

// release is a version that a release has, as Go writes it.
var release = regexp.MustCompile(`^v(\d+\.\d+\.\d+(-(alpha|beta|rc)[.\d]*)?)$`)

// releasedImage is the image of a version; "" where none was released.
func releasedImage(version string) string {
	if m := release.FindStringSubmatch(version); m != nil {
		return "ghcr.io/splitbench/splitbench:" + m[1]
	}
	return ""
}

// parsePods reads a number of pods. One is 0: a run of one pod is not a run of several.
func parsePods(s string) (int, error) {
	n, err := strconv.Atoi(s)
	switch {
	case s == "all":
		return mesh.AllPods, nil
	case err != nil || n < 1 || n > law.MaxPods:
		return 0, fmt.Errorf("want 1 to %d, or all", law.MaxPods)
	case n == 1:
		return 0, nil
	}
	return n, nil
}

func parseCountBy(s string) (string, error) {
	switch s {
	case "answers":
		return "", nil
	case record.CountedByProxy:
		return s, nil
	}
	return "", fmt.Errorf("want answers or %s", record.CountedByProxy)
}

// execFlag is the flag of the protocol that runs programs in containers.
func execFlag(flags *pflag.FlagSet, cfg *bench.Config) {
	choose(flags, "exec-protocol", string(podexec.Auto), "auto, websocket or spdy",
		&cfg.Protocol, podexec.Auto, podexec.WebSocket, podexec.SPDY)
}

// witnessFlags choose the proxy whose counters are compared with the answers, or stand in for them.
func witnessFlags(flags *pflag.FlagSet, cfg *bench.Config) {
	read(flags, "witness", witness.Auto,
		"counters of the client's proxy: auto, linkerd, envoy, off, or their http address in the pod",
		into(&cfg.Witness, func(s string) (string, error) { return s, witness.CheckWord(s) }))
	offer(flags, "witness", witness.Auto, "linkerd", "envoy", "off")
	read(flags, "count-by", "answers", "what says which backend a request went to: answers, or the client's proxy by its "+
		"counters, where answers name nobody", into(&cfg.CountBy, parseCountBy))
	offer(flags, "count-by", "answers", record.CountedByProxy)
}

// urlFlag is the flag of where a request goes.
type urlFlag struct{}

func (urlFlag) register(flags *pflag.FlagSet, cfg *bench.Config) {
	flags.StringVar(&cfg.URL, "url", "", "what to request; default: the root Service and its port")
}

// complete takes the port that the URL names, unless other pods choose the backend.
func (urlFlag) complete(cfg *bench.Config) error {
	if cfg.URL == "" {
		return nil
	}
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return fmt.Errorf("--url: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return fmt.Errorf("--url %q: want http://HOST:PORT/PATH", cfg.URL)
	}
	if u.Port() == "" || cfg.Query.Through != "" {
		return nil
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || port == 0 {
		return fmt.Errorf("--url %q: port %q is out of range", cfg.URL, u.Port())
	}
	cfg.Query.Port = int32(port)
	return nil
}

// throughFlag is the flag of a Service between the client and the root Service.
func throughFlag(flags *pflag.FlagSet, cfg *bench.Config) {
	flags.StringVar(&cfg.Query.Through, "through", "",
		"svc/NAME whose pods choose the backend, where requests do not go to the root Service itself")
}

// requestFlags are what a request says: what the law is asked for, what probes send and what a burst repeats. Every
// command that has to do with a request has all of them.
type requestFlags struct {
	body string
	file []byte
	call attack.Unary
}

func (r *requestFlags) register(flags *pflag.FlagSet, cfg *bench.Config) {
	p := &cfg.Load.Template
	choose(flags, "http", "",
		"protocol: http1, h2 (over TLS), h2c or grpc; default: grpc for a GRPCRoute or with --grpc-method, else http1",
		&p.Protocol, attack.ProtocolHTTP1, attack.ProtocolH2, attack.ProtocolH2C, attack.ProtocolGRPC)
	flags.StringVar(&p.Method, "method", "GET", "GET, HEAD or OPTIONS; others with --allow-unsafe")
	readEach(flags, "header", "'Name: value' to send with every request; repeatable", func(s string) error {
		name, value, ok := strings.Cut(s, ":")
		if !ok || name == "" {
			return errors.New("want 'Name: value'")
		}
		put(&p.Header, name, strings.TrimSpace(value))
		return nil
	})
	flags.StringVar(&r.body, "body", "", "body of every request")
	read(flags, "body-file", "", "file that holds the body", into(&r.file, os.ReadFile))
	read(flags, "grpc-method", "", "package.Service/Method to call; default: the health check",
		into(&r.call.Method, attack.ParseUnaryMethod))
	read(flags, "grpc-message", "", "the call's message: protobuf bytes in base64",
		into(&r.call.Message, base64.StdEncoding.DecodeString))
	flags.BoolVar(&p.AllowUnsafe, "allow-unsafe", false,
		"permit methods that may change something, gRPC's but the health check included")
}

func (r *requestFlags) complete(cfg *bench.Config) error {
	p := &cfg.Load.Template
	p.Method = strings.ToUpper(p.Method)
	p.Body = r.file
	if r.body != "" {
		p.Body = []byte(r.body)
	}
	called := r.call.Method != "" || r.call.Message != nil
	switch {
	case r.body != "" && r.file != nil:
		return fmt.Errorf("--body and --body-file: leave one out")
	case called && p.Protocol != "" && p.Protocol != attack.ProtocolGRPC:
		return fmt.Errorf("--grpc-method, --grpc-message: want --http grpc")
	case called:
		p.Protocol, p.Unary = attack.ProtocolGRPC, &r.call
	}
	return nil
}
