package packaging

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// flaggerCanary is what the gate needs to know of a Canary.
type flaggerCanary struct {
	Metadata struct{ Name, Namespace string }
	Spec     struct {
		Analysis struct {
			Interval string
			Webhooks []struct {
				Type, URL string
				Retries   int
				Metadata  map[string]string
			}
		}
	}
}

// flaggerObject is what the test needs of the objects beside it.
type flaggerObject struct {
	Kind     string
	Metadata struct{ Name string }
	Spec     struct {
		Ports       []struct{ Port int }
		Template    struct{ Spec flaggerPod }
		JobTemplate struct {
			Spec struct {
				BackoffLimit *int
				Template     struct{ Spec flaggerPod }
			}
		}
	}
}

type flaggerPod struct{ Containers []struct{ Args []string } }

// The manifests of Flagger's gate fit one another, the program takes the arguments of the CronJob and of the Deployment, and what
// the Canary would post is a call that the gate knows: without a run it is told to wait.
func TestFlaggerGate(t *testing.T) {
	var canary flaggerCanary
	if err := yaml.Unmarshal(file(t, "examples/gates/flagger-canary.yaml"), &canary); err != nil {
		t.Fatal(err)
	}
	objects := map[string]flaggerObject{}
	for doc := range bytes.SplitSeq(file(t, "examples/gates/flagger.yaml"), []byte("\n---\n")) {
		var o flaggerObject
		if err := yaml.Unmarshal(doc, &o); err != nil {
			t.Fatal(err)
		}
		objects[o.Kind] = o
	}
	hook := canary.Spec.Analysis.Webhooks[0]
	at, err := url.Parse(hook.URL)
	if err != nil {
		t.Fatal(err)
	}
	service := objects["Service"]
	if want := fmt.Sprintf("%s.%s:%d", service.Metadata.Name, canary.Metadata.Namespace, service.Spec.Ports[0].Port); at.Host != want || hook.Type != "rollout" {
		t.Errorf("webhook %+v leads to %s, want %s", hook, at.Host, want)
	}
	interval, err1 := time.ParseDuration(canary.Spec.Analysis.Interval)
	maxAge, err2 := time.ParseDuration(hook.Metadata["maxAge"])
	const between = 5 * time.Second // Retry-After of the gate
	if err1 != nil || err2 != nil || maxAge >= interval-time.Duration(hook.Retries)*between {
		t.Errorf("a run of before the last step could pass: interval %s, maxAge %s, %v, %v", interval, maxAge, err1, err2)
	}
	job := objects["CronJob"].Spec.JobTemplate.Spec
	if job.BackoffLimit == nil || *job.BackoffLimit != 0 {
		t.Error("a failure would be measured again")
	}
	path := program(t)
	command(t, t.TempDir(), append([]string{path}, append(job.Template.Spec.Containers[0].Args, "--help")...)...)
	body, err := json.Marshal(map[string]any{
		"name": canary.Metadata.Name, "namespace": canary.Metadata.Namespace, "phase": "Progressing", "metadata": hook.Metadata,
	})
	if err != nil {
		t.Fatal(err)
	}
	status, text := askGate(t, path, objects["Deployment"].Spec.Template.Spec.Containers[0].Args, at, body)
	if status != http.StatusServiceUnavailable || !strings.HasPrefix(text, "no run yet: none of test/podinfo ") {
		t.Errorf("%d %q", status, text)
	}
}

// askGate starts the gate by a Deployment's arguments, but on a free port of loopback and over an empty folder, and posts the
// body to it.
func askGate(t *testing.T, path string, args []string, at *url.URL, body []byte) (int, string) {
	t.Helper()
	const token = "0123456789abcdef"
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	args = slices.Clone(args)
	for given, here := range map[string]string{":8080": "127.0.0.1:0", "/run/secrets/splitbench/token": tokenFile, "/results": t.TempDir()} {
		i := slices.Index(args, given)
		if i < 0 {
			t.Fatalf("arguments %q have no %s", args, given)
		}
		args[i] = here
	}
	server := exec.CommandContext(t.Context(), path, args...)
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = server.Process.Signal(os.Interrupt) // one that has ended already is waited for all the same
		_ = server.Wait()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	listening, err := url.Parse(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	at.Host, at.User = listening.Host, url.UserPassword(at.User.Username(), token)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at.String(), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}
