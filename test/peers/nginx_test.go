package peers

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
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

// startNginx starts one on a free port of loopback, waits until it answers, and returns its URL.
func startNginx(b *testing.B, dir string) string {
	path, err := exec.LookPath("nginx")
	if err != nil {
		b.Fatalf("%v: make peers installs it (Debian)", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address, conf := l.Addr().String(), filepath.Join(dir, "nginx.conf")
	l.Close()
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, address, podinfo), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(path, "-c", conf, "-p", dir)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	url := "http://" + address + "/"
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		body, err := get(b.Context(), url)
		if err == nil && body == podinfo {
			return url
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			b.Fatalf("nginx does not answer as it should: %q, %v\n%s", body, err, log)
		}
	}
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
