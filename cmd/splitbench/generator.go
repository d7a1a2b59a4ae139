package main

import (
	"encoding/base64"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/attack"
)

// generator are the flags that say how requests are sent, whatever the load is.
type generator struct {
	engine, protocol, saturation, order, perConn string
	caFile, serverName                           string
	connectTo, headers                           []string
	streams                                      int
	connAge                                      time.Duration
	insecure, spin                               bool
}

func (g *generator) add(flags *pflag.FlagSet, perConnDefault string) {
	flags.StringVar(&g.engine, "engine", "", "h1, std or vegeta; default: h1 for HTTP/1.1 without TLS, std for all else")
	flags.StringVar(&g.protocol, "http", string(attack.ProtocolHTTP1), "what connections speak: http1, h2 (over TLS), h2c or grpc")
	flags.IntVar(&g.streams, "streams", 1, "requests in flight over one HTTP/2 connection")
	flags.StringVar(&g.perConn, "requests-per-connection", "", "requests that a connection carries before a new one is dialled, N or MIN:MAX; default: "+perConnDefault)
	flags.DurationVar(&g.connAge, "connection-age", 0, "how old a connection may get before a new one is dialled; 0: any age")
	flags.StringVar(&g.order, "connection-order", string(attack.OrderLIFO), "which connection at rest is used next: lifo, fifo or random")
	flags.StringVar(&g.saturation, "saturation", string(attack.SaturationQueue), "what becomes of a request that is due while every connection is busy: queue, drop or abort")
	flags.StringArrayVar(&g.connectTo, "connect-to", nil, "HOST:PORT=ADDRESS:PORT: dial the second in place of the first; repeatable")
	flags.StringArrayVar(&g.headers, "header", nil, "'Name: value' sent with every request; repeatable")
	flags.BoolVar(&g.spin, "spin", false, "wait for each instant without sleeping: on time to some microseconds, at the price of a processor")
	flags.StringVar(&g.caFile, "cacert", "", "PEM file of the authorities to trust in place of the system's")
	flags.StringVar(&g.serverName, "tls-name", "", "name to expect in the server's certificate; default: the URL's host")
	flags.BoolVar(&g.insecure, "insecure", false, "do not verify the server's certificate")
}

// apply puts the flags into a plan.
func (g *generator) apply(p *attack.Plan, seed uint64) error {
	p.Engine, p.Protocol, p.Streams, p.Spin = g.engine, attack.Protocol(g.protocol), g.streams, g.spin
	p.Saturation, p.Order = attack.Saturation(g.saturation), attack.Order(g.order)
	if p.Protocol == attack.ProtocolHTTP1 {
		p.Protocol = ""
	}
	if p.Streams == 1 {
		p.Streams = 0
	}
	if p.Saturation == attack.SaturationQueue {
		p.Saturation = ""
	}
	if p.Order == attack.OrderLIFO {
		p.Order = ""
	}
	if g.perConn != "" || g.connAge != 0 || p.Order == attack.OrderRandom {
		p.Reuse = &attack.Reuse{MaxAge: g.connAge, Seed: seed}
	}
	if g.perConn != "" {
		var err error
		if p.Reuse.MinRequests, p.Reuse.MaxRequests, err = attack.ParseReuse(g.perConn); err != nil {
			return fmt.Errorf("--requests-per-connection %w", err)
		}
	}
	for _, x := range g.connectTo {
		from, to, ok := strings.Cut(x, "=")
		if !ok {
			return fmt.Errorf("--connect-to %q: want HOST:PORT=ADDRESS:PORT", x)
		}
		if p.ConnectTo == nil {
			p.ConnectTo = map[string]string{}
		}
		p.ConnectTo[strings.ToLower(from)] = to
	}
	for _, x := range g.headers {
		name, value, ok := strings.Cut(x, ":")
		if !ok || name == "" {
			return fmt.Errorf("--header %q: want 'Name: value'", x)
		}
		if p.Header == nil {
			p.Header = map[string]string{}
		}
		p.Header[name] = strings.TrimSpace(value)
	}
	return g.trust(p)
}

func (g *generator) trust(p *attack.Plan) error {
	if g.caFile == "" && g.serverName == "" && !g.insecure {
		return nil
	}
	p.TLS = &attack.TLS{Insecure: g.insecure, ServerName: g.serverName}
	if g.caFile != "" {
		var err error
		if p.TLS.CA, err = os.ReadFile(g.caFile); err != nil {
			return fmt.Errorf("--cacert: %w", err)
		}
	}
	return nil
}

// limiting are the flags that end a burst early.
type limiting struct {
	errorShare, window        string
	dialFailures              uint64
	responseTime, late, total time.Duration
	bytes                     int64
}

// add registers the flags. An attack stops by itself where half of all fails; a run measures a backend that fails.
func (l *limiting) add(flags *pflag.FlagSet, errorShare string) {
	flags.StringVar(&l.errorShare, "max-errors", errorShare, "share of requests that may fail before it stops; 100%: all")
	flags.StringVar(&l.window, "max-errors-within", attack.DefaultErrorWindow.String(), "time over which --max-errors and --max-response-time are judged")
	flags.Uint64Var(&l.dialFailures, "max-dial-failures", 0, "requests in a row that may get no connection; 0: any number")
	flags.DurationVar(&l.responseTime, "max-response-time", 0, "that 99 of 100 responses must keep; 0: any")
	flags.DurationVar(&l.late, "max-late", 0, "how late a request may be sent; 0: any")
	flags.DurationVar(&l.total, "max-time", 0, "after which it stops; 0: any")
	flags.Int64Var(&l.bytes, "max-bytes", 0, "read and written in all; 0: any number")
}

func (l *limiting) limits() (*attack.Limits, error) {
	share, err := parsePercent(l.errorShare)
	if err != nil {
		return nil, fmt.Errorf("--max-errors %w", err)
	}
	window, err := time.ParseDuration(l.window)
	if err != nil || window <= 0 {
		return nil, fmt.Errorf("--max-errors-within %q: want a time above 0, such as 2s", l.window)
	}
	for name, value := range map[string]int64{
		"max-response-time": int64(l.responseTime), "max-late": int64(l.late), "max-time": int64(l.total), "max-bytes": l.bytes,
	} {
		if value < 0 {
			return nil, fmt.Errorf("--%s: want 0 or above", name)
		}
	}
	switch share { // of a limit, 0 is none
	case 1:
		share = 0
	case 0:
		share = math.SmallestNonzeroFloat64
	}
	if share == 0 && l.dialFailures == 0 && l.responseTime == 0 && l.late == 0 && l.total == 0 && l.bytes == 0 {
		return nil, nil
	}
	return &attack.Limits{
		ErrorShare: share, ErrorWindow: window, DialFailures: l.dialFailures, ResponseTime: l.responseTime, Lateness: l.late,
		Time: l.total, Bytes: l.bytes,
	}, nil
}

// parsePercent reads 5% as 0.05.
func parsePercent(s string) (float64, error) {
	var x float64
	var rest string
	if n, err := fmt.Sscanf(s+" .", "%f%% %s", &x, &rest); n != 2 || err != nil || rest != "." || !(x >= 0 && x <= 100) {
		return 0, fmt.Errorf("%q: want 0%% to 100%%", s)
	}
	return x / 100, nil
}

// payload are the flags of a request's content.
type payload struct {
	method, body, bodyFile, grpcMethod, grpcMessage string
	allowUnsafe                                     bool
}

func (c *payload) add(flags *pflag.FlagSet) {
	flags.StringVar(&c.method, "method", "GET", "GET, HEAD or OPTIONS; others with --allow-unsafe")
	flags.StringVar(&c.body, "body", "", "of every request")
	flags.StringVar(&c.bodyFile, "body-file", "", "file that holds the body")
	flags.BoolVar(&c.allowUnsafe, "allow-unsafe", false, "permit methods that may change something")
	flags.StringVar(&c.grpcMethod, "grpc-method", "", "package.Service/Method to call with --http grpc; default: the health check")
	flags.StringVar(&c.grpcMessage, "grpc-message", "", "the call's message: protobuf bytes in base64")
}

func (c *payload) apply(p *attack.Plan) error {
	p.Method, p.AllowUnsafe = strings.ToUpper(c.method), c.allowUnsafe
	switch {
	case c.body != "" && c.bodyFile != "":
		return fmt.Errorf("--body and --body-file: leave one out")
	case c.body != "":
		p.Body = []byte(c.body)
	case c.bodyFile != "":
		var err error
		if p.Body, err = os.ReadFile(c.bodyFile); err != nil {
			return fmt.Errorf("--body-file: %w", err)
		}
	}
	if p.Protocol != attack.ProtocolGRPC {
		if c.grpcMethod != "" || c.grpcMessage != "" {
			return fmt.Errorf("--grpc-method, --grpc-message: want --http grpc")
		}
		return nil
	}
	message, err := base64.StdEncoding.DecodeString(c.grpcMessage)
	if err != nil {
		return fmt.Errorf("--grpc-message: %w", err)
	}
	p.Unary = &attack.Unary{Method: c.grpcMethod, Message: message}
	return nil
}
