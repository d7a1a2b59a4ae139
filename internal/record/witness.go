package record

import (
	"errors"
	"strconv"
	"strings"

	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/witness"
)

// The pages of the first pod's proxy in a run's folder; those of the others have the pod's number before the dot.
const (
	PageBefore = "witness.before.txt"
	PageAfter  = "witness.after.txt"
)

// WitnessFacts is how the proxies of the pods that send were asked for their counters.
type WitnessFacts struct {
	Kind witness.Kind `json:"kind"`
	URL  string       `json:"url"`
	Why  string       `json:"why,omitempty"` // why there is no witness; empty: there are two pages of each pod
	Pods []ProxyPages `json:"pods,omitempty"`
}

// ProxyPages are the two pages of one pod's proxy, which are files of the run's folder.
type ProxyPages struct {
	Pod       string `json:"pod"`
	ElapsedMs int64  `json:"elapsedMs"` // between them
	Before    []byte `json:"-"`
	After     []byte `json:"-"`
}

// PageFile is the name of a page of pod n.
func PageFile(name string, n int) string {
	if n == 0 {
		return name
	}
	return strings.TrimSuffix(name, ".txt") + "." + strconv.Itoa(n) + ".txt"
}

// readPages reads the stored pages back, for a later look at the run.
func (w *WitnessFacts) readPages(f store.Folder) {
	if w == nil || w.Why != "" {
		return
	}
	for n := range w.Pods {
		var err1, err2 error
		w.Pods[n].Before, err1 = f.ReadFile(PageFile(PageBefore, n))
		w.Pods[n].After, err2 = f.ReadFile(PageFile(PageAfter, n))
		if err := errors.Join(err1, err2); err != nil {
			w.Why = "the stored pages of its counters cannot be read: " + untrusted.Safe(err.Error())
			return
		}
	}
}
