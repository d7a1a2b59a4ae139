package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/splitbench/splitbench/internal/demo"
)

// canary is planted wherever a secret may stand, followed by a word that says where.
const canary = "CANARY-7c1f-"

// secrets is a world with canaries in it, and all that was written and printed there.
type secrets struct {
	t          *testing.T
	dir        string
	kubeconfig string
	tokens     []string // of the kubeconfig
	proxied    atomic.Int64
	collector  string
	pushed     atomic.Int64
}

func plantSecrets(t *testing.T) *secrets {
	t.Helper()
	world, err := demo.Start(t.Context(), demo.Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { world.Close() })
	s := &secrets{t: t, dir: t.TempDir()}
	config, err := clientcmd.Load(world.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(http.HandlerFunc(s.proxy))
	t.Cleanup(proxy.Close)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.pushed.Add(1) // and tells what it was sent, as some do
		http.Error(w, r.URL.String(), http.StatusForbidden)
	}))
	t.Cleanup(receiver.Close)
	s.collector = receiver.Listener.Addr().String()
	plugin := func(name, script string) *api.AuthInfo {
		file := filepath.Join(s.dir, name)
		if err := os.WriteFile(file, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
			t.Fatal(err)
		}
		return &api.AuthInfo{Exec: &api.ExecConfig{
			APIVersion: "client.authentication.k8s.io/v1", Command: file, InteractiveMode: api.NeverExecInteractiveMode,
			Env: []api.ExecEnvVar{{Name: "PLUGIN_SECRET", Value: canary + "pluginenv"}}, Args: []string{"--secret=" + canary + "pluginarg"},
		}}
	}
	credential := func(token string) string {
		return fmt.Sprintf(`echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s"}}'`, token)
	}
	for name, c := range config.Clusters {
		c.ProxyURL = "http://me:" + canary + "proxy@" + proxy.Listener.Addr().String()
		token := config.AuthInfos[name].Token
		s.tokens = append(s.tokens, token)
		if name == demoEast { // one cluster by a token, the other by a plugin
			config.AuthInfos[name] = plugin("plugin", credential(token))
		}
	}
	for name, user := range map[string]*api.AuthInfo{
		"denied": {Token: canary + "token"}, "basic": {Username: "me", Password: canary + "password"},
		"garbage": plugin("garbage", "echo "+canary+"pluginout; exit 0"), "broken": plugin("broken", "echo "+canary+"pluginout; exit 3"),
		"badjson": plugin("badjson", credential(canary+`pluginout","x`)), "data": {ClientCertificateData: []byte(canary + "cert"), ClientKeyData: []byte(canary + "key")},
	} {
		config.AuthInfos[name], config.Contexts[name] = user, &api.Context{Cluster: demoWest, AuthInfo: name}
	}
	for name, c := range map[string]api.Cluster{
		"noproxy": {ProxyURL: "http://me:" + canary + "proxy@127.0.0.1:1"}, "unparsed": {ProxyURL: "http://me:" + canary + "pro xy%zz@127.0.0.1:1"},
		"authority": {CertificateAuthorityData: []byte(canary + "ca")}, "scheme": {ProxyURL: "ftp://me:" + canary + "proxy@127.0.0.1:1"},
	} {
		c.Server = config.Clusters[demoWest].Server
		config.Clusters[name], config.Contexts[name] = &c, &api.Context{Cluster: name, AuthInfo: demoWest}
	}
	config.Clusters["user"] = &api.Cluster{Server: "https://me:" + canary + "server@127.0.0.1:1/?token=" + canary + "server"}
	config.Contexts["user"] = &api.Context{Cluster: "user", AuthInfo: demoWest}
	s.kubeconfig = filepath.Join(s.dir, "kubeconfig")
	if err := clientcmd.WriteToFile(*config, s.kubeconfig); err != nil {
		t.Fatal(err)
	}
	return s
}

// proxy is an HTTP proxy that lets in who has the password.
func (s *secrets) proxy(w http.ResponseWriter, r *http.Request) {
	if _, password, _ := (&http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}).BasicAuth(); password != canary+"proxy" {
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	there, err := net.Dial("tcp", r.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	s.proxied.Add(1)
	w.WriteHeader(http.StatusOK)
	here, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.t.Error(err)
		return
	}
	go func() { io.Copy(there, here); there.Close() }()
	go func() { io.Copy(here, there); here.Close() }()
}

// do carries out a command, and searches what it printed.
func (s *secrets) do(words ...string) int {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	env := map[string]string{
		"SPLITBENCH_RESULTS_DIR": filepath.Join(s.dir, "results"), "SPLITBENCH_KUBECONFIG": s.kubeconfig,
		"GITHUB_STEP_SUMMARY": filepath.Join(s.dir, "summary.md"),
	}
	code := run(s.t.Context(), append([]string{"splitbench"}, words...), surroundings{
		stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, getenv: func(k string) string { return env[k] },
	})
	s.search("stdout of "+strings.Join(words, " "), stdout.Bytes())
	s.search("stderr of "+strings.Join(words, " "), stderr.Bytes())
	s.t.Logf("%s: %d\n%s", strings.Join(words, " "), code, stderr.String())
	return code
}

func (s *secrets) search(what string, b []byte) {
	s.t.Helper()
	for _, secret := range append(s.tokens, canary) {
		for _, form := range []string{secret, url.QueryEscape(secret)} {
			if i := bytes.Index(b, []byte(form)); i >= 0 {
				s.t.Errorf("%s holds a secret: %q", what, b[max(0, i-60):min(len(b), i+60)])
			}
		}
	}
}

// TestNoSecretIsShown plants a canary wherever a secret may stand, and searches everything that is printed and written.
func TestNoSecretIsShown(t *testing.T) {
	t.Parallel()
	s := plantSecrets(t)
	target := []string{
		"ts/podinfo", "--context", demoWest, "-n", demoNamespace, "--from", demoFrom, "-c", demoContainer, "-v",
		"--header", "X-Custom: " + canary + "header", "--header=Authorization: Bearer " + canary + "bearer",
		"--url", "http://podinfo:9898/?access_token=" + canary + "query",
	}
	sinks := []string{
		"--push-gateway", "http://me:" + canary + "push@" + s.collector + "/?token=" + canary + "push",
		"--otlp", "http://me:" + canary + "otlp@" + s.collector + "/v1/metrics",
		"--junit", filepath.Join(s.dir, "junit.xml"),
	}
	load := []string{"--rate", "500", "--requests", "2500", "--remote-context", demoEast}
	with := func(command string, more ...[]string) []string {
		words := append([]string{command}, target...)
		for _, m := range more {
			words = append(words, m...)
		}
		return words
	}
	if code := s.do(with("run", load, sinks, []string{"-o", "json"})...); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if s.proxied.Load() == 0 || s.pushed.Load() < 2 {
		t.Fatalf("%d connections by the proxy, %d deliveries: the secrets were not used", s.proxied.Load(), s.pushed.Load())
	}
	s.do(with("run", load, []string{"--dry-run"})...)
	s.do(with("check", []string{"--probe", "-o", "json"})...)
	s.do(with("plan")...)
	s.do(with("watch", []string{"--for", "2s", "--rate", "200", "--fail-on", "never"})...)
	s.do(with("drill", []string{"--duration", "2s", "--rate", "200", "--fail-on", "never"})...)
	for _, format := range []string{"text", "markdown", "html", "json", "yaml", "junit", "openmetrics", "jsonpath={.run}"} {
		s.do("report", "latest", "-o", format)
	}
	s.do("results", "export", "latest", "--to", "vegeta", "--out", filepath.Join(s.dir, "export.gob"))
	for _, context := range []string{
		"denied", "basic", "garbage", "broken", "badjson", "data", "noproxy", "unparsed", "authority", "scheme", "user", demoEast,
	} {
		if code := s.do("check", "ts/podinfo", "--context", context, "-n", demoNamespace); code == 0 && context != demoEast {
			t.Errorf("context %s works: nothing was tested", context)
		}
	}
	for _, words := range [][]string{
		{"run", "ts/podinfo", "--header", canary + "noColon"},
		{"run", "ts/podinfo", "--url", "http://me:" + canary + "pa ss%zz@podinfo:9898/"},
		{"run", "ts/podinfo", "--url", "ftp://me:" + canary + "@podinfo/?a=" + canary},
		{"run", "ts/podinfo", "--url", "http://me:" + canary + "@podinfo:99999/"},
		{"run", "ts/podinfo", "--push-gateway", "http://me:" + canary + "pa/ss@h"},
		{"run", "ts/podinfo", "--otlp", "ftp://me:" + canary + "@h?token=" + canary},
		{"run", "ts/podinfo", "--otlp", "http://me:" + canary + "@h/v1/metrics?token=" + canary},
		{"attack", "http://me:" + canary + "@" + s.collector + "/"},
		{"attack", "http://127.0.0.1:1/?access_token=" + canary, "--requests", "5"},
		{"attack", "http://" + s.collector + "/?access_token=" + canary + "#" + canary, "--requests", "5", "--header", "X: " + canary, "-o", "json", "--out", filepath.Join(s.dir, "attack.json"), "--to", "json"},
		{"run", "ts/podinfo", "--context", demoWest, "-n", demoNamespace, "--from", demoFrom, "--url", "http://me:" + canary + "@podinfo:9898/"},
		{"check", "ts/podinfo", "--context", demoWest, "--server", "https://me:" + canary + "@127.0.0.1:1", "--token", canary},
		{"check", "ts/podinfo", "--context", demoWest, "--server", "https://me:" + canary + "a b@127.0.0.1:1"},
	} {
		s.do(words...)
	}
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || filepath.Dir(path) == s.dir && (path == s.kubeconfig || filepath.Ext(path) == "") {
			return err // what was planted
		}
		b, err := os.ReadFile(path)
		s.search(path, b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
