package bench

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/record"
)

// The manifest says what the figures were measured on: which pods, in both clusters, of which images, through which
// proxy, and how far each cluster's clock was off.
func TestManifestHoldsProvenance(t *testing.T) {
	t.Parallel()
	cfg := connect(t, world(t, demo.Options{}), 200)
	cfg.Simulated = "" // as by a kubeconfig of `demo --serve`
	_, m, _ := live(t, cfg)
	if !strings.Contains(m.Simulated, "demo --serve") {
		t.Errorf("a run on simulated clusters says %q", m.Simulated)
	}
	digest := func(what, id string) {
		t.Helper()
		if !strings.Contains(id, "@sha256:") {
			t.Errorf("%s: image %q, want its digest", what, id)
		}
	}
	for _, c := range m.Before.Clusters {
		if c.SkewMs == nil || c.Version == "" {
			t.Errorf("cluster %s: skew %v, version %q", c.Role, c.SkewMs, c.Version)
		}
	}
	source := m.Before.Source
	if len(m.Before.Clusters) != 2 || source.UID == "" {
		t.Errorf("%d clusters, UID %q of the source pod", len(m.Before.Clusters), source.UID)
	}
	digest("source pod", source.ImageID)
	digest("proxy of the source pod", source.ProxyImageID)
	for _, b := range m.Before.Backends {
		if len(b.Pods.Built) == 0 || len(b.Pods.Built) != b.Pods.Looked {
			t.Errorf("%s: %d pods recorded, %d looked at", b.Name, len(b.Pods.Built), b.Pods.Looked)
		}
		for _, pod := range b.Pods.Built {
			if pod.UID == "" || len(pod.ImageIDs) == 0 {
				t.Errorf("%s: %+v", b.Name, pod)
			}
			for container, id := range pod.ImageIDs {
				digest(pod.Name+" "+container, id)
			}
			digest("proxy of "+pod.Name, pod.ProxyImageID)
		}
	}
	if len(m.Before.Backends) != 2 {
		t.Errorf("%d backends", len(m.Before.Backends))
	}
}

// A run that sends a credential keeps that it did, and not the credential: folders are handed to others.
func TestTheManifestKeepsNoSecrets(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 21})
	cfg := connect(t, w, 40)
	cfg.Load.Template.Header = map[string]string{"Authorization": "Bearer SECRET", "X-Canary": "SECRET", "Accept": "text/plain"}
	_, _, f := live(t, cfg)
	files, err := os.ReadDir(f.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(filepath.Join(f.Dir, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte("SECRET")) {
			t.Errorf("%s holds the credential", file.Name())
		}
		if file.Name() == record.ManifestFile && (!bytes.Contains(b, []byte(`"Authorization": "***"`)) || !bytes.Contains(b,
			[]byte(`"Accept": "text/plain"`))) {
			t.Errorf("%s does not say which headers were sent", file.Name())
		}
	}
}
