package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// podinfo is what podinfo answers, 424 bytes.
var podinfo = func() string {
	const body = `{"hostname":"podinfo-7b9f4d5c6-abcde","version":"6.7.0","color":"#007bff","message":"greetings from east","pad":"%s"}`
	return fmt.Sprintf(body, strings.Repeat("x", 424-len(body)+len("%s")))
}()

const nginxConf = `daemon off;
worker_processes 1;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  default_type application/json;
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi;
  scgi_temp_path %[1]s/scgi;
  server { listen %[2]s; location / { return 200 '%[3]s'; } }
}
`

type nginx struct {
	url string
	cmd *exec.Cmd
}

// startNginx starts one on a free port of loopback and waits until it answers.
func startNginx(ctx context.Context, dir string) (*nginx, error) {
	path, err := exec.LookPath("nginx")
	if err != nil {
		return nil, fmt.Errorf("nginx: %w: make peers installs it (Debian)", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, address, podinfo), 0o600); err != nil {
		return nil, err
	}
	n := &nginx{url: "http://" + address + "/", cmd: exec.CommandContext(ctx, path, "-c", conf, "-p", dir)}
	n.cmd.Cancel = func() error { return n.cmd.Process.Signal(os.Interrupt) }
	n.cmd.WaitDelay = 5 * time.Second
	if err := n.cmd.Start(); err != nil {
		return nil, fmt.Errorf("nginx: %w", err)
	}
	for deadline := time.Now().Add(5 * time.Second); ; {
		body, err := get(ctx, n.url)
		if err == nil && body != podinfo {
			err = fmt.Errorf("it answers %q", body)
		}
		if err == nil {
			return n, nil
		}
		if time.Now().After(deadline) {
			n.stop()
			log, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			return nil, errors.Join(fmt.Errorf("nginx does not answer: %w", err), errors.New(string(log)))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (n *nginx) stop() {
	_ = n.cmd.Process.Signal(os.Interrupt)
	_ = n.cmd.Wait()
}

func get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}
