package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/splitbench/splitbench/internal/store"
)

// Bring makes the folder have what the bucket has: all runs, or of those that are not here the ones that names may mean
// (ids, their beginnings, latest~1 and so on). A run that is gone from the bucket goes from here. Runs that are
// damaged there stay there: they are the errors that are store.ErrDamaged, and the others have come all the same.
func (b *Bucket) Bring(ctx context.Context, names []string) error {
	there, err := b.list(ctx, "")
	if err != nil {
		return err
	}
	maps.DeleteFunc(there, func(_ string, h held) bool { return !h.whole() })
	here, err := store.List(b.Dir)
	if err != nil {
		return err
	}
	lacking := maps.Clone(there)
	for _, f := range here {
		last, ours := sent(f)
		now := there[f.ID].state()
		switch {
		case !ours || there[f.ID] != nil && last == now:
			delete(lacking, f.ID)
		case there[f.ID] == nil || last.signed != now.signed: // gone, or to be held to its signature anew
			if err := errors.Join(f.Pin(false), store.Remove(b.Dir, f)); err != nil {
				return err
			}
		default:
			delete(lacking, f.ID)
			if err := errors.Join(f.Pin(now.pinned), agree(f, now)); err != nil {
				return err
			}
		}
	}
	ids := meant(slices.Sorted(maps.Keys(there)), names)
	ids = slices.DeleteFunc(ids, func(id string) bool { return lacking[id] == nil })
	errs := make([]error, len(ids))
	store.Each(ids, func(i int, id string) { errs[i] = b.bring(ctx, id, there[id]) })
	return errors.Join(errs...)
}

// meant are those of the ids, the oldest first, that names may mean; without names all.
func meant(ids, names []string) []string {
	if len(names) == 0 {
		return ids
	}
	back := 0
	for _, name := range names {
		if name == "latest" {
			back = max(back, 1)
		} else if n, ok := strings.CutPrefix(name, "latest~"); ok {
			n, _ := strconv.Atoi(n)
			back = max(back, n+1)
		}
	}
	newest := len(ids) - back
	var out []string
	for i, id := range ids {
		if i >= newest || slices.ContainsFunc(names, func(n string) bool { return n != "" && strings.HasPrefix(id, n) }) {
			out = append(out, id)
		}
	}
	return out
}

// bring takes in one run as hostile: only what its sums name is fetched, and it appears whole and as its writer wrote
// it, or not at all.
func (b *Bucket) bring(ctx context.Context, id string, there held) error {
	in, err := store.Receive(b.Dir, id)
	if errors.Is(err, store.ErrExists) {
		return nil // another process was faster
	}
	if err != nil {
		return err
	}
	if err := b.receive(ctx, in, id, there); err != nil {
		return errors.Join(fmt.Errorf("run %s of %s is not shown: %w", id, b.name, err), in.Drop())
	}
	f, err := in.Reveal()
	switch {
	case errors.Is(err, store.ErrExists):
		return nil
	case errors.Is(err, store.ErrForeign): // it has no status, or none that is one
		err = fmt.Errorf("%w: %w", store.ErrDamaged, err)
	}
	if err != nil {
		return fmt.Errorf("run %s of %s is not shown: %w", id, b.name, err)
	}
	return errors.Join(f.Pin(there.state().pinned), agree(f, there.state()))
}

// maxSums bounds what is read before a run is.
const maxSums = 1 << 20

func (b *Bucket) receive(ctx context.Context, in *store.Incoming, id string, there held) error {
	if n := there[store.SumsFile].size; n > maxSums {
		return fmt.Errorf("%w: its %s has %d bytes, and no run's has more than %d",
			store.ErrDamaged, store.SumsFile, n, maxSums)
	}
	if err := b.fetch(ctx, in, id, store.SumsFile, there); err != nil {
		return err
	}
	names, err := in.Wanted()
	if err != nil {
		return err
	}
	for _, name := range append(names, store.SignatureFile) {
		if _, ok := there[name]; !ok || name == store.SumsFile {
			continue // what is missing, the sums tell
		}
		if err := b.fetch(ctx, in, id, name, there); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bucket) fetch(ctx context.Context, in *store.Incoming, id, name string, there held) error {
	body, done, err := b.open(ctx, id, name, there[name].size)
	if err != nil {
		return err
	}
	defer done()
	return in.Add(name, body)
}

// open reads an object; done lets go of it.
func (b *Bucket) open(ctx context.Context, id, name string, size int64) (body io.Reader, done func(), err error) {
	ctx, cancel := within(ctx, size)
	r, err := b.blobs.NewReader(ctx, id+"/"+name, nil)
	if err != nil {
		cancel()
		return nil, nil, b.failed("read", err)
	}
	return r, func() { _ = r.Close(); cancel() }, nil
}

// abandoned is how old an unfinished upload must be before it is taken for a dead writer's.
const abandoned = 24 * time.Hour

// Sweep deletes what uploads and removals left behind that were killed and not resumed within a day.
func (b *Bucket) Sweep(ctx context.Context) error {
	there, err := b.list(ctx, "")
	if err != nil {
		return err
	}
	for id, h := range there {
		old := func(o object) bool { return time.Since(o.at) > abandoned }
		if h.whole() || len(slices.DeleteFunc(slices.Collect(maps.Values(h)), old)) > 0 {
			continue
		}
		if err := b.remove(ctx, id, h); err != nil {
			return err
		}
	}
	if b.root == "" {
		return nil
	}
	entries, err := os.ReadDir(b.root)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), formatObject+".") || !strings.HasSuffix(e.Name(), ".tmp") {
			continue // it is no mark that was not finished
		}
		if info, statErr := e.Info(); statErr == nil && time.Since(info.ModTime()) > abandoned {
			err = errors.Join(err, os.Remove(filepath.Join(b.root, e.Name())))
		}
	}
	return err
}

// Fresh brings what came into the bucket since before h answers, but not more often than every so often, and in one
// request at a time: the others have what is here. say is told what went wrong.
func (b *Bucket) Fresh(h http.Handler, every time.Duration, say func(error)) http.Handler {
	var busy sync.Mutex
	last := time.Now()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" && busy.TryLock() {
			if time.Since(last) > every {
				if err := b.Bring(r.Context(), nil); err != nil {
					say(err)
				}
				last = time.Now()
			}
			busy.Unlock()
		}
		h.ServeHTTP(w, r)
	})
}
