package attack

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The portable timers and the goroutines on Go's poller compile where there is no epoll.
func TestCompilesElsewhere(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(t.TempDir(), "attack.a"), ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=darwin", "GOARCH=arm64")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
