package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/bench"
)

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
