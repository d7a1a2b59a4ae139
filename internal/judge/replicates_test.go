package judge

import (
	"errors"
	"strings"
	"testing"

	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
)

// A watch keeps no samples, and says so.
func TestAWatchIsNoLoadTest(t *testing.T) {
	t.Parallel()
	var usage *record.UsageError
	if err := oneLoadTest(record.Manifest{Kind: report.KindWatch, ID: "x"}); !errors.As(err, &usage) || !strings.Contains(err.Error(), "keeps no samples") {
		t.Errorf("a watch: %v", err)
	}
}
