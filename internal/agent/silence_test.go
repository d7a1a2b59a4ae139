package agent

import (
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/wire"
)

// A disk that takes nothing for a minute, or a consumer that has no processor, is no silence of the agent's: what it has
// said meanwhile waits to be read.
func TestASlowReaderDoesNotTakeTheAgentForDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := attack.Result{Sent: time.Millisecond, Done: 2 * time.Millisecond, Status: 200, Backend: attack.Unattributed}
		block := wire.AppendSamples(nil, []attack.Result{answer})
		var tally wire.Tally
		tally.Add(answer)
		totals, _ := json.Marshal(wire.Totals{
			Reason: wire.ReasonDone, Requests: 1, Samples: 1, Blocks: 1, SamplesCRC: wire.Checksum(0, block), Tally: tally.Entries(),
		})
		c, err := Open(t.Context(), scripted(func(w *wire.Writer, orders *wire.Reader) error {
			for f, err := orders.Next(); f.Type != wire.Plan; f, err = orders.Next() {
				if err != nil {
					return err
				}
			}
			if err := errors.Join(w.Write(wire.Samples, block), w.Write(wire.End, totals)); err != nil {
				return err
			}
			untilHungUp(orders)
			return nil
		}), serveArgv, ClientOptions{Verified: func(wire.Type, []byte) error {
			time.Sleep(time.Minute) // on the bubble's clock
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		p := plan("http://x", 1)
		if rs, _, err := run(c, t.Context(), p); err != nil || len(rs) != 1 {
			t.Errorf("%d results, %v", len(rs), err)
		}
		c.abandon()
	})
}

// An end that was itself held up counts that as one beat, however late it came, and has the other nine to read what came
// meanwhile.
func TestAHeldUpEndReadsBeforeItGivesUp(t *testing.T) {
	dead := 0
	s := newSilence(10*time.Hour, func() { dead++ }) // no beat comes by itself
	for _, heard := range []bool{true, true, false} {
		s.listen()
		for range silentBeats - 1 {
			s.miss()
		}
		if dead != 0 {
			t.Fatal("given up before its time")
		}
		if heard {
			s.rest()
			s.miss() // it was on its way
		}
	}
	s.miss()
	s.miss()
	if dead != 1 {
		t.Errorf("given up %d times", dead)
	}
}
