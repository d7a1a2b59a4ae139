package bench

import (
	"context"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/apipb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
)

// realGRPC is grpc-go's own server. Each answer is of a pod that is drawn from the names: its info service names it in a
// field, its health check only in a header, and only where header is set.
func realGRPC(t *testing.T, header bool, pods ...string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var drawing sync.Mutex
	draws := rand.New(rand.NewPCG(7, 7))
	draw := func() string {
		drawing.Lock()
		defer drawing.Unlock()
		return pods[draws.IntN(len(pods))]
	}
	s := grpc.NewServer(grpc.UnaryInterceptor(
		func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			if header {
				if err := grpc.SetHeader(ctx, metadata.Pairs("x-served-by", draw())); err != nil {
					return nil, err
				}
			}
			return next(ctx, req)
		}))
	grpc_health_v1.RegisterHealthServer(s, health.NewServer())
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "info.InfoService", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
		MethodName: "Info",
		Handler: func(_ any, _ context.Context, read func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			return &apipb.Api{Name: draw(), Version: "6.7.0"}, read(new(emptypb.Empty))
		},
	}}}, struct{}{})
	go s.Serve(listener) // until Stop
	t.Cleanup(s.Stop)
	return listener.Addr().String()
}

// grpcRun points a run at port 9999 of the demo's root, where grpc-go answers as a split of 50/50 would.
func grpcRun(t *testing.T, header bool, n uint64) Config {
	t.Helper()
	forward := map[string]string{}
	w := world(t, demo.Options{Seed: 3, Forward: forward})
	cfg := connect(t, w, n)
	cfg.URL, cfg.Query.Port, cfg.Witness = "http://podinfo:9999/", 9999, "off"
	cfg.Load.Template.Protocol, cfg.Load.Rate = attack.ProtocolGRPC, attack.Rate{Hits: 150, Per: time.Second}
	snap, err := Discover(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	west, east := snap.Backends[0].PodNames()[0], snap.Backends[1].PodNames()[0]
	forward["podinfo:9999"] = realGRPC(t, header, west, east)
	forward["podinfo-east:9999"] = realGRPC(t, header, east)
	return cfg
}

// 300 calls at 50/50 pass a tolerance of 20 points but for 5 runs in 10^6 (0.2-2.33*0.0289 is 4.6 standard deviations
// off), and the draws are of a fixed seed besides. They are few in a second: grpc-go answers beside other tests.
func TestCallsAreLearntAndCounted(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		header    bool
		unary     *attack.Unary
		signature string
	}{
		"by a field of the message": {false, &attack.Unary{Method: "info.InfoService/Info"}, "proto:/1 is one of its "},
		"by a header":               {true, nil, "header:X-Served-By is one of its "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := grpcRun(t, tt.header, 300)
			cfg.Load.Template.Unary, cfg.Load.Template.AllowUnsafe = tt.unary, tt.unary != nil
			cfg.Options.Tolerance.Points = 20
			r, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if r.Verdict.Outcome != report.Pass || r.Unattributed.Requests != 0 {
				t.Errorf("%s, %d unattributed: %v %v", r.Verdict.Outcome, r.Unattributed.Requests, r.Verdict.Reasons, r.Warnings)
			}
			if !strings.HasPrefix(r.Backends[1].Signature, tt.signature) {
				t.Errorf("signature %q", r.Backends[1].Signature)
			}
			if probe := r.Split.Law.Probe; probe != "the gRPC call "+strings.TrimPrefix(tt.unary.Path(), "/") {
				t.Errorf("the law was asked for %q", probe)
			}
		})
	}
}

// The health check alone names nobody: nothing is counted, and the refusal says what there was and what to do.
func TestCallsThatNameNobody(t *testing.T) {
	t.Parallel()
	r, err := Run(t.Context(), grpcRun(t, false, 500))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(r.Verdict.Reasons, "\n")
	if r.Verdict.Outcome != report.Invalid || !strings.Contains(text, "status 200 and a message of 2 bytes that holds no text") ||
		!strings.Contains(text, "--grpc-method") {
		t.Errorf("%s: %s", r.Verdict.Outcome, text)
	}
}

// `check --probe` calls too: the root and each backend.
func TestProbesAreCalls(t *testing.T) {
	t.Parallel()
	cfg := grpcRun(t, false, 1)
	snap, err := Discover(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	probed, err := ProbePod(t.Context(), cfg, preflight.View{Snapshot: snap})
	if err != nil {
		t.Fatal(err)
	}
	for name, answers := range map[string][]preflight.Answer{"root": probed.Root, "podinfo-east": probed.Direct["podinfo-east"]} {
		if len(answers) == 0 || answers[0].Status != 200 || string(answers[0].Body) != "\x08\x01" {
			t.Errorf("%s: %+v", name, answers)
		}
	}
	cfg.Load.Template.Unary = &attack.Unary{Method: "info.InfoService/Info"}
	if _, err := ProbePod(t.Context(), cfg, preflight.View{Snapshot: snap}); err == nil || !strings.Contains(err.Error(), "--allow-unsafe") {
		t.Errorf("a call that may change something: %v", err)
	}
}

// counted points a run at port 9999 of the demo's podinfo, whose health check names nobody.
func counted(t *testing.T, o demo.Options) Config {
	t.Helper()
	cfg := connect(t, world(t, o), 400)
	cfg.URL, cfg.Query.Port = "http://podinfo:9999/", 9999
	cfg.Load.Template.Protocol, cfg.Load.Rate = attack.ProtocolGRPC, attack.Rate{Hits: 200, Per: time.Second}
	cfg.Options.Tolerance.Points, cfg.CountBy = 20, record.CountedByProxy
	return cfg
}

// 405 draws at 50/50 pass a tolerance of 20 points but for one run in 10^8 (0.2-2.33*0.0248 is 5.7 standard deviations
// off), and draws at 95/5 fail it as surely (0.45-0.2-2.33*0.0108 is 21); seeds are fixed.
func TestTheProxyCountsWhereAnswersNameNobody(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		world   demo.Options
		change  func(*Config)
		outcome string
		says    string
	}{
		"it is offered": {
			demo.Options{Seed: 4}, func(c *Config) { c.CountBy = "" }, report.Invalid, "count with --count-by proxy",
		},
		"by the weights": {demo.Options{Seed: 4}, nil, report.Pass, "Traffic follows"},
		"by others": {
			demo.Options{Seed: 4, TrueWeights: map[string]int64{"podinfo": 95, "podinfo-east": 5}},
			nil, report.Fail,
			"Traffic does NOT follow",
		},
		"of nobody":        {demo.Options{Seed: 4, StalePath: true}, nil, report.Invalid, "podinfo"},
		"without a page":   {demo.Options{Seed: 4, NoCounters: true}, nil, report.Invalid, report.SayProxyDidNotCount},
		"outside the mesh": {demo.Options{Seed: 4, OffMesh: true}, nil, report.Invalid, "are meshed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := counted(t, tt.world)
			if tt.change != nil {
				tt.change(&cfg)
			}
			r, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			text := strings.Join(r.Verdict.Reasons, "\n")
			if r.Verdict.Outcome != tt.outcome || !strings.Contains(text, tt.says) {
				t.Errorf("%s: %s\n%v", r.Verdict.Outcome, text, r.Warnings)
			}
			if tt.outcome == report.Invalid {
				return
			}
			if !slices.Contains(r.Warnings, report.SayCountedByProxy) || r.Witness.UnitWhy != report.SayCountedByProxy ||
				r.Backends[0].Signature != "counted by the client's proxy" {
				t.Errorf("it is not said who counted: %v %q %q", r.Warnings, r.Witness.UnitWhy, r.Backends[0].Signature)
			}
			again, err := judge.Analyze(latest(t, cfg.ResultsDir), nil)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(r, again, cmpopts.EquateApproxTime(0)); d != "" {
				t.Errorf("live and stored differ (-live +stored):\n%s", d)
			}
		})
	}
}

// What only answers can do is refused before anything is sent.
func TestCountingByTheProxyExcludes(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{})
	for says, change := range map[string]func(*Config){
		"--witness off": func(c *Config) { c.Witness = "off" },
		"--sequential":  func(c *Config) { c.Sequential = &record.Sequential{} },
		"--wait-for":    func(c *Config) { c.Expect = &Expect{Text: "1/1", Weights: []int64{1, 1}, Wait: time.Second} },
		"--classify":    func(c *Config) { c.Rules = make([]judge.ClassifyRule, 1) },
	} {
		cfg := connect(t, w, 100)
		cfg.CountBy = record.CountedByProxy
		change(&cfg)
		if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}
