package watches

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/report"
)

// Config is what is watched, and how.
type Config struct {
	Named []mesh.Found // watched all the time, there or not
	// Find names the splits that are there now, of those that are watched while they are; nil: none are.
	Find func(context.Context) ([]mesh.Found, error)
	Rate attack.Rate   // of all together
	For  time.Duration // 0: until the context ends
	Most int           // splits that are watched at a time
	// Each is what a watch of a split is told. Its Rate, State and For are filled in.
	Each func(mesh.Found) bench.WatchConfig
	Say  func(format string, args ...any)
	Page *Page

	pauses pauses                                                          // zero: defaultPauses
	watch  func(context.Context, bench.WatchConfig) (report.Report, error) // nil: bench.Watch
	ask    func(context.Context, bench.Config) (string, error)             // nil: bench.Refusal
}

// pauses are how long nothing is done.
type pauses struct {
	find        time.Duration // between two looks at which splits there are
	first, last time.Duration // before a split is watched anew: doubled while its watches fail or cannot begin
}

func (c *Config) setDefaults() {
	if c.pauses == (pauses{}) {
		c.pauses = pauses{10 * time.Second, 2 * time.Second, 5 * time.Minute}
	}
	if c.watch == nil {
		c.watch, c.ask = bench.Watch, bench.Refusal
	}
}

const (
	// goneAfter is how many times in a row a split must be missing to be gone: an API server that has just started
	// serves no custom resources for some seconds.
	goneAfter = 3
	// maxGone bounds the splits that failed and went away, whose reports are kept to the end.
	maxGone = 100
)

// Result is what the watches of one split came to: the one that failed, if one did, else the last.
type Result struct {
	mesh.Found
	Report report.Report
}

// errGone is why the watch of a split ends that is not there any more.
var errGone = errors.New("the split is gone")

// set is the splits that are watched.
type set struct {
	Config
	budget *budget
	until  time.Time       // zero: without end
	within context.Context // ends with the time; what goes on then says by itself how it ended

	mu      sync.Mutex
	going   map[mesh.Found]*life
	results map[mesh.Found]Result
	lives   sync.WaitGroup
}

// life is a split that is watched.
type life struct {
	end     context.CancelCauseFunc
	missing int // times in a row
}

// Run watches splits until the context or the time ends, and says what each came to, sorted. It ends before with an
// error where a split was named that can never be watched, or where none can be found at the beginning.
func Run(ctx context.Context, c Config) ([]Result, error) {
	c.setDefaults()
	s := &set{Config: c, budget: newBudget(c.Rate), going: map[mesh.Found]*life{}, results: map[mesh.Found]Result{}}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	var wrong error // guarded by once
	var once sync.Once
	giveUp := func(err error) { once.Do(func() { wrong = err; end(err) }) }
	s.within = ctx
	if c.For > 0 {
		s.until = time.Now().Add(c.For)
		var cancel context.CancelFunc
		s.within, cancel = context.WithDeadline(ctx, s.until)
		defer cancel()
	}
	for _, f := range c.Named {
		s.start(ctx, f, giveUp)
	}
	if c.Find != nil {
		s.follow(ctx, giveUp)
	}
	<-s.within.Done()
	s.lives.Wait()
	giveUp(nil) // whoever came first said it
	return slices.SortedFunc(maps.Values(s.results), func(a, b Result) int { return a.Compare(b.Found) }), wrong
}

// follow starts a watch of each split that is there, and ends those of splits that are gone.
func (s *set) follow(ctx context.Context, giveUp func(error)) {
	over, silent := -1, error(nil)
	for first := true; s.within.Err() == nil; first = false {
		found, err := s.Find(s.within)
		switch {
		case s.within.Err() != nil:
			return
		case err != nil && first:
			giveUp(err)
			return
		case err != nil && silent == nil:
			s.Say("which splits there are cannot be read now, so those that are known are watched on: %v", err)
		case err == nil:
			if n := s.adopt(ctx, found); n != over {
				over = n
				s.tellHowMany(n)
			}
		}
		silent = err
		s.wait(ctx, s.pauses.find)
	}
}

// adopt brings what is watched in line with what is there, and counts the splits that are too many.
func (s *set) adopt(ctx context.Context, found []mesh.Found) (over int) {
	s.mu.Lock()
	for f, l := range s.going {
		if l.missing++; slices.Contains(found, f) || slices.Contains(s.Named, f) {
			l.missing = 0
		}
		if l.missing == goneAfter {
			l.end(errGone)
		}
	}
	s.mu.Unlock()
	for _, f := range found {
		if !s.start(ctx, f, nil) {
			over++
		}
	}
	return over
}

func (s *set) tellHowMany(over int) {
	s.mu.Lock()
	n := len(s.going)
	s.mu.Unlock()
	s.Page.unwatched(over)
	switch {
	case over > 0:
		s.Say("%d splits are watched, and %d more are there that are not: at most %d are (--max-splits)", n, over, s.Most)
	case n == 0:
		s.Say("there is no split yet; those that come are watched")
	}
}

// start begins to watch a split, if nobody does; false: there are too many.
func (s *set) start(ctx context.Context, f mesh.Found, giveUp func(error)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.going[f] != nil {
		return true
	}
	if len(s.going) >= s.Most {
		return false
	}
	ctx, end := context.WithCancelCause(ctx)
	s.going[f] = &life{end: end}
	p := s.budget.join()
	s.lives.Go(func() {
		defer end(nil)
		err := s.keep(ctx, f, p)
		p.leave()
		s.forget(ctx, f)
		if err != nil && giveUp != nil {
			giveUp(err)
		}
	})
	return true
}

// forget takes a split that is gone off the page. That it failed is kept.
func (s *set) forget(ctx context.Context, f mesh.Found) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.going, f)
	if context.Cause(ctx) != errGone { //nolint:errorlint // it is the cause itself
		return
	}
	s.Page.drop(f)
	s.Say("%s/%s: %v; it is not watched any more", f.Namespace, f.Split, errGone)
	if s.results[f].Report.Verdict.Outcome != report.Fail || len(s.results) > s.Most+maxGone {
		delete(s.results, f)
	}
}

// keep watches one split again and again. An error is that it can never be watched.
func (s *set) keep(ctx context.Context, f mesh.Found, p *part) error {
	for again := s.pauses.first; !s.over(ctx); {
		began := time.Now()
		r, err := s.once(ctx, f, p)
		p.release()
		if err != nil {
			s.Page.end(f, report.Invalid)
			if slices.Contains(s.Named, f) {
				return err
			}
			s.Say("%s/%s: %v", f.Namespace, f.Split, err)
			r = report.Report{Verdict: report.Verdict{Outcome: report.Invalid, Reasons: []string{err.Error()}}}
		}
		s.note(f, r)
		if s.over(ctx) {
			break
		}
		measured := r.Watch != nil && r.Watch.Looks > 0
		if measured && r.Verdict.Outcome != report.Fail || time.Since(began) > s.pauses.last {
			again = s.pauses.first // it was changed, or went well for a time
		}
		s.Say("%s/%s: %s: %s; watched anew in %s", f.Namespace, f.Split, r.Verdict.Outcome, firstOf(r.Verdict.Reasons), again)
		again = s.pause(ctx, f, again, measured)
	}
	return nil
}

// over reports whether a split is not to be watched any more.
func (s *set) over(ctx context.Context) bool { return ctx.Err() != nil || s.within.Err() != nil }

// once is one watch of a split, from its first request to its verdict.
func (s *set) once(ctx context.Context, f mesh.Found, p *part) (report.Report, error) {
	cfg := s.Each(f)
	cfg.Rate, cfg.Load.Rate = p.take, p.of.fair()
	cfg.State = func(x bench.WatchState) {
		if !x.Up {
			p.release() // nothing is sent in a gap, and others may wait for it
		}
		s.Page.Set(f, x)
	}
	if !s.until.IsZero() {
		cfg.For = max(time.Until(s.until), time.Millisecond)
	}
	return s.watch(ctx, cfg)
}

// pause waits before a split is watched anew, and says how long to wait the next time. Where the last watch was refused
// it asks whether the next one would be, so that not every refusal is kept as a run.
func (s *set) pause(ctx context.Context, f mesh.Found, again time.Duration, measured bool) time.Duration {
	for {
		s.wait(ctx, again)
		again = min(2*again, s.pauses.last)
		if measured || s.over(ctx) {
			return again
		}
		if why, err := s.ask(ctx, s.Each(f).Config); err == nil && why == "" {
			return again
		}
	}
}

// note keeps what a watch came to. A failure outlives what comes after it.
func (s *set) note(f mesh.Found, r report.Report) {
	s.Page.end(f, r.Verdict.Outcome)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.results[f].Report.Verdict.Outcome != report.Fail {
		s.results[f] = Result{f, r}
	}
}

func firstOf(reasons []string) string {
	if len(reasons) == 0 {
		return "no reason was given"
	}
	return reasons[0]
}

// wait waits, or until the context or the time ends.
func (s *set) wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	case <-s.within.Done():
	}
}
