//go:build unix

package attack

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The benchmarks' target runs in a process of its own, so that only the generator's CPU time is counted: this test binary
// again, told so by its environment.
const targetEnv = "ATTACK_BENCH_TARGET"

func TestMain(m *testing.M) {
	if os.Getenv(targetEnv) != "" {
		benchTarget()
		return
	}
	os.Exit(m.Run())
}

// podinfoAnswer is what podinfo answers, 424 bytes of it JSON.
func podinfoAnswer() string {
	body := strings.Replace(podinfoBody, `"east"`, `"`+strings.Repeat("x", 424)+`"`, 1)
	if pad := 424 - len(body); pad > 0 {
		body += strings.Repeat(" ", pad)
	}
	return "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n" +
		"Date: Sun, 22 Nov 2026 10:00:00 GMT\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

// benchTarget answers each request that ends in an empty line, until its standard input ends.
func benchTarget() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println("error", err)
		return
	}
	fmt.Println(l.Addr())
	answer := []byte(podinfoAnswer())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 4096)
				for n := 0; ; {
					k, err := c.Read(buf[n:])
					if err != nil {
						return
					}
					if n += k; strings.HasSuffix(string(buf[:n]), "\r\n\r\n") {
						n = 0
						if _, err := c.Write(answer); err != nil {
							return
						}
					}
				}
			}()
		}
	}()
	os.Stdin.Read(make([]byte, 1))
}

func startTarget(b *testing.B) (url string) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), targetEnv+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); cmd.Wait() })
	var address string
	if _, err := fmt.Fscanln(out, &address); err != nil {
		b.Fatal(err)
	}
	return "http://" + address + "/"
}

// BenchmarkEngines compares the engines in one run on one target: lag of sending, time of service, and CPU time of the
// generator. Rounds are interleaved, since a machine that others use is not the same from one second to the next.
//
//	go test -run '^$' -bench Engines -benchtime 5s ./attack
func BenchmarkEngines(b *testing.B) {
	url := startTarget(b)
	for _, rate := range []uint64{1000, 5000, 0} {
		engines := map[string]ClosableEngine{"h1": NewH1(EngineOptions{}, 8), "vegeta": NewVegeta(EngineOptions{}, 8)}
		for round := range 3 {
			for _, name := range []string{"h1", "vegeta"} {
				what := fmt.Sprintf("rate=%d/engine=%s/round=%d", rate, name, round)
				if rate == 0 {
					what = fmt.Sprintf("rate=full/engine=%s/round=%d", name, round)
				}
				b.Run(what, func(b *testing.B) { benchEngine(b, engines[name], url, rate) })
			}
		}
		for _, e := range engines {
			e.Close()
		}
	}
}

// BenchmarkBareLoop is the floor under every generator in Go: eight goroutines that write and read, and look at nothing.
func BenchmarkBareLoop(b *testing.B) {
	url := startTarget(b)
	address := strings.Trim(strings.TrimPrefix(url, "http://"), "/")
	for round := range 3 {
		b.Run(fmt.Sprintf("round=%d", round), func(b *testing.B) {
			var left atomic.Int64
			left.Store(int64(b.N))
			cpu := cpuTime()
			var loops sync.WaitGroup
			for range 8 {
				loops.Go(func() {
					c, err := net.Dial("tcp", address)
					if err != nil {
						b.Error(err)
						return
					}
					defer c.Close()
					request, buf := []byte("GET / HTTP/1.1\r\nHost: "+address+"\r\nUser-Agent: splitbench\r\n\r\n"), make([]byte, 4096)
					for left.Add(-1) >= 0 {
						if _, err := c.Write(request); err != nil {
							b.Error(err)
							return
						}
						if _, err := c.Read(buf); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			loops.Wait()
			b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(b.N), "cpu-us/req")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
		})
	}
}

// BenchmarkAlarms shows how much later than asked a sleep of 1 ms ends here: the floor under the send lag.
func BenchmarkAlarms(b *testing.B) {
	for name, build := range map[string]func() alarm{"alarm=here": newAlarm, "alarm=portable": func() alarm { return newTimerAlarm() }} {
		b.Run(name, func(b *testing.B) {
			a := build()
			defer a.close()
			late := make([]time.Duration, 0, b.N)
			for b.Loop() {
				start := time.Now()
				a.sleep(time.Millisecond)
				late = append(late, time.Since(start)-time.Millisecond)
			}
			b.ReportMetric(us(quantile(late, 0.5)), "late-p50-us")
			b.ReportMetric(us(quantile(late, 0.99)), "late-p99-us")
		})
	}
}

func benchEngine(b *testing.B, e Engine, url string, rate uint64) {
	p := Plan{
		URL: url, Connections: 8, Rate: Rate{rate, time.Second}, MaxRate: maxPerSecond, MaxRequests: 1e9, Requests: uint64(b.N),
		Rules: []Rule{{Backend: 1, Kind: RuleJSON, Key: "/message", Values: []string{"greetings from east"}}},
	}
	if rate == 0 {
		p.Rate = Rate{maxPerSecond, time.Second} // more than can be: connections never rest
	}
	lags, times := make([]time.Duration, 0, b.N), make([]time.Duration, 0, b.N)
	cpu := cpuTime()
	b.ResetTimer()
	for r, err := range e.Attack(b.Context(), p) {
		if err != nil || r.Backend != 1 {
			b.Fatalf("%+v, %v", r, err)
		}
		lags, times = append(lags, r.SendLag()), append(times, r.ServiceTime())
	}
	b.StopTimer()
	n := float64(b.N)
	b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/n, "cpu-us/req")
	if rate > 0 {
		b.ReportMetric(us(quantile(lags, 0.5)), "lag-p50-us")
		b.ReportMetric(us(quantile(lags, 0.99)), "lag-p99-us")
	} else {
		b.ReportMetric(n/b.Elapsed().Seconds(), "req/s")
	}
	b.ReportMetric(us(quantile(times, 0.5)), "service-p50-us")
}

func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func quantile(d []time.Duration, q float64) time.Duration {
	slices.Sort(d)
	return d[int(q*float64(len(d)-1))]
}
