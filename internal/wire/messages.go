package wire

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/splitbench/splitbench/attack"
)

// HelloMessage is what the agent says of itself, first of all.
type HelloMessage struct {
	Protocol int    `json:"protocol"`
	Version  string `json:"version"` // of the program, e.g. v0.1.0 or a commit
	SHA256   string `json:"sha256"`  // of the agent's own file; empty where it could not be read
	UID      int    `json:"uid"`
	GID      int    `json:"gid"`
	PID      int    `json:"pid"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	CPUs     int    `json:"cpus"` // that it may use at once
	// Limits of its surroundings; 0: none, or not known.
	CPUQuota    float64 `json:"cpuQuota,omitempty"`         // processors that the container may use
	MemoryLimit int64   `json:"memoryLimitBytes,omitempty"` // of the container
	OpenFiles   uint64  `json:"openFiles,omitempty"`        // descriptors that the agent may have
}

// FetchRequest asks for one URL.
type FetchRequest struct {
	URL    string            `json:"url"`
	Header map[string]string `json:"header,omitempty"`
	// Like is the plan whose requests this one is like: their method and body, protocol and call, TLS and addresses. nil:
	// a GET over HTTP/1.1, which is also what an agent that is older than this sends.
	Like      *attack.Plan `json:"like,omitempty"`
	TimeoutMs int64        `json:"timeoutMs"`
	MaxBytes  int64        `json:"maxBytes"` // of the body; the rest is not read
	// Keep, where it is set, leaves only lines of the body that hold all strings of one of its sets; lines of more than 64
	// KiB are left out. An agent that is older than this sends the whole body.
	Keep [][]string `json:"keep,omitempty"`
}

// FetchResult says how a fetch ended; the body came in Body frames before it.
type FetchResult struct {
	Status    int                 `json:"status"` // 0: no answer
	Header    map[string][]string `json:"header,omitempty"`
	Truncated bool                `json:"truncated"` // there was more than MaxBytes
	Class     string              `json:"class"`     // error class, as attack names them; "ok"
	Error     string              `json:"error,omitempty"`
	Remote    string              `json:"remote,omitempty"` // ADDRESS:PORT of the connection; "" where none was made
	ElapsedUs int64               `json:"elapsedUs"`
	UnixNs    int64               `json:"unixNs,omitempty"` // the pod's clock when this was written
}

// PlanRequest is the payload of PLAN: a burst, and how it starts.
type PlanRequest struct {
	attack.Plan
	// Hold makes the agent say READY after the warm-up and wait for GO, so that several start together.
	Hold bool `json:"hold,omitempty"`
	// DelayNs is from GO, or from the end of the warm-up, to the burst's instant 0, in nanoseconds.
	DelayNs int64 `json:"delayNs,omitempty"`
}

// Progress is a sign of life with the burst's counters so far.
type Progress struct {
	Requests uint64         `json:"requests"` // results so far, warm-up included
	Answered uint64         `json:"answered"`
	Burst    *BurstProgress `json:"burst,omitempty"` // of the counted burst, while there is one
}

// BurstProgress is where a counted burst is: counters from its start, exact, and histograms of what came since the TICK
// before. The histograms of all of a burst's TICKs together hold every result, those too whose samples were dropped.
type BurstProgress struct {
	ElapsedUs   int64          `json:"elapsedUs"` // since the burst's instant 0
	Requests    uint64         `json:"requests"`
	Dropped     uint64         `json:"dropped"`
	Tally       []TallyEntry   `json:"tally"`
	SendLag     Histogram      `json:"sendLag"` // of all results
	Latency     []BackendTimes `json:"latency"` // of complete answers, the first MaxTimedBackends backends and -1
	CPUUs       int64          `json:"cpuUs"`   // of the agent, user and system
	ThrottledUs int64          `json:"throttledUs"`
}

// BackendTimes are the times of one backend's complete answers.
type BackendTimes struct {
	Backend  int16     `json:"backend"`
	Service  Histogram `json:"serviceTime"`
	Response Histogram `json:"responseTime"`
}

// End reasons of a burst.
const (
	ReasonDone       = "done"       // every planned request was sent and has its result
	ReasonStopped    = "stopped"    // the client said STOP
	ReasonGaveUp     = "gaveUp"     // too many requests in a row had no answer
	ReasonLimit      = "limit"      // the burst reached a limit of its plan; the error says which
	ReasonClientGone = "clientGone" // stdin closed, or no sign of life
	ReasonDeadline   = "deadline"   // the agent's own deadline
	ReasonError      = "error"      // the plan could not be carried out
)

// TallyEntry is how many results had the same backend, status and error class.
type TallyEntry struct {
	Backend int16  `json:"backend"` // -1: unattributed
	Status  uint16 `json:"status"`
	Class   string `json:"class"`
	N       uint64 `json:"n"`
}

// Totals is the payload of END. What arrived must add up to it.
type Totals struct {
	Reason         string       `json:"reason"`
	Error          string       `json:"error,omitempty"`
	Requests       uint64       `json:"requests"`   // results in all
	Samples        uint64       `json:"samples"`    // of them, in SAMPLES frames
	Dropped        uint64       `json:"dropped"`    // of them, not sent because stdout was too slow
	Blocks         uint64       `json:"blocks"`     // SAMPLES frames
	SamplesCRC     uint32       `json:"samplesCrc"` // CRC-32C over their payloads, one after the other
	Tally          []TallyEntry `json:"tally"`      // of all results, dropped ones too
	WarmUp         uint64       `json:"warmUp"`
	WarmUpAnswered uint64       `json:"warmUpAnswered"`
	Connections    int64        `json:"connections"` // dialled, warm-up included
	StartedUnixNs  int64        `json:"startedUnixNs"`
	CPUUs          int64        `json:"cpuUs"`                 // user and system time of the burst
	ThrottledUs    int64        `json:"throttledUs,omitempty"` // the container was kept from running, over the burst
	MaxRSSBytes    int64        `json:"maxRssBytes,omitempty"` // most memory that the agent ever held
	Kept
	Arrived   uint64            `json:"arrived,omitempty"` // results whose end is when the kernel had the answer
	Specimens []attack.Specimen `json:"specimens,omitempty"`
	Engine    string            `json:"engine"` // attack.EngineH1, EngineStd or EngineVegeta

	// Times are those of the TICKs, filled in by the reader: of every request, also where samples were dropped.
	Times Times `json:"-"`
}

// Kept is how the agent was kept from running over a burst. An agent that is older than this sends none of it.
type Kept struct {
	Periods   int64 `json:"cpuPeriods,omitempty"`       // of the container's processor limit, that had work in them
	Throttled int64 `json:"throttledPeriods,omitempty"` // of them, in which the limit was reached
	WaitUs    int64 `json:"runDelayUs,omitempty"`       // threads were ready and had no processor, summed up over threads
	// Unread says which of these could not be read, "" where all could.
	Unread string `json:"cpuUnread,omitempty"`
}

// Add takes those of another burst.
func (k *Kept) Add(from Kept) {
	k.Periods, k.Throttled, k.WaitUs = k.Periods+from.Periods, k.Throttled+from.Throttled, k.WaitUs+from.WaitUs
	k.Unread = cmp.Or(k.Unread, from.Unread)
}

// maxUnread bounds what an agent may say in Unread.
const maxUnread = 256

// Check refuses what no kernel counts.
func (k Kept) Check() error {
	switch {
	case k.Throttled < 0 || k.WaitUs < 0 || k.Throttled > k.Periods || k.Periods > 1<<40 || k.WaitUs > 1<<50:
		return fmt.Errorf("read END: %d of %d periods throttled and %d us of run delay", k.Throttled, k.Periods, k.WaitUs)
	case len(k.Unread) > maxUnread:
		return fmt.Errorf("read END: cpuUnread of %d bytes, at most %d", len(k.Unread), maxUnread)
	}
	return nil
}

// Check refuses what no agent says of a burst of so many requests, 0 being any number. Totals that are more than what
// arrived are told by that: what was dropped is known from here alone.
func (t Totals) Check(requests, warmUp uint64) error {
	n := uint64(0)
	for _, e := range t.Tally {
		class, known := classOf(e.Class)
		if !known || !plausible(uint64(e.Status), class) || e.Backend < attack.Unattributed || e.N > t.Requests {
			return fmt.Errorf("read END: %d results of class %.40q with status %d", e.N, e.Class, e.Status)
		}
		n += e.N
	}
	switch {
	case n != t.Requests:
		return fmt.Errorf("read END: its tally holds %d of %d requests", n, t.Requests)
	case requests > 0 && (t.Requests > requests || t.WarmUp > warmUp):
		return fmt.Errorf("read END: %d requests and %d before them, of a plan of %d and %d", t.Requests, t.WarmUp, requests,
			warmUp)
	case t.WarmUpAnswered > t.WarmUp || t.Arrived > t.Requests+t.WarmUp ||
		t.Connections < 0 || t.CPUUs < 0 || t.ThrottledUs < 0:
		return fmt.Errorf("read END: of %d requests and %d before them %d and %d were answered, by %d connections, in %d us",
			t.Requests, t.WarmUp, t.Arrived, t.WarmUpAnswered, t.Connections, t.CPUUs)
	case len(t.Specimens) > attack.MaxSpecimens:
		return fmt.Errorf("read END: %d specimens, at most %d", len(t.Specimens), attack.MaxSpecimens)
	}
	for _, s := range t.Specimens {
		if len(s.Body) > 3*attack.MaxSpecimenBody { // what is no UTF-8 grows in JSON
			return fmt.Errorf("read END: a specimen of %d bytes, at most %d", len(s.Body), attack.MaxSpecimenBody)
		}
	}
	return t.Kept.Check()
}

func classOf(name string) (attack.ErrorClass, bool) {
	for c := attack.OK; c < attack.ErrLost; c++ {
		if c.String() == name {
			return c, true
		}
	}
	return attack.ErrOther, false
}

// Times add up the histograms of a burst's TICKs.
type Times struct {
	SendLag Histogram
	Latency []BackendTimes // by backend, in no order
}

// Add takes those of one TICK.
func (t *Times) Add(p BurstProgress) { t.Merge(Times{SendLag: p.SendLag, Latency: p.Latency}) }

// Merge takes those of another burst, or of another part of it.
func (t *Times) Merge(from Times) {
	t.SendLag.Add(from.SendLag)
	for _, x := range from.Latency {
		i := slices.IndexFunc(t.Latency, func(have BackendTimes) bool { return have.Backend == x.Backend })
		if i < 0 {
			if len(t.Latency) > MaxTimedBackends {
				continue // nobody sends so many
			}
			t.Latency = append(t.Latency, BackendTimes{Backend: x.Backend})
			i = len(t.Latency) - 1
		}
		t.Latency[i].Service.Add(x.Service)
		t.Latency[i].Response.Add(x.Response)
	}
}

// Tally counts results by backend, status and error class. A run has few kinds of them, so that a look through a short
// list beats a map: this is on the path of every result.
type Tally struct {
	kinds []tallied
	n     uint64
}

type tallied struct {
	outcome
	n uint64
}

// Add counts one result.
func (t *Tally) Add(r attack.Result) { t.count(outcome{r.Status, r.Backend, r.Err}, 1) }

func (t *Tally) count(o outcome, n uint64) {
	t.n += n
	for i := range t.kinds {
		if t.kinds[i].outcome == o {
			t.kinds[i].n += n
			return
		}
	}
	t.kinds = append(t.kinds, tallied{o, n})
}

// AddEntry counts what an END frame has counted, which Check has let through.
func (t *Tally) AddEntry(e TallyEntry) {
	class, _ := classOf(e.Class)
	t.count(outcome{e.Status, e.Backend, class}, e.N)
}

// Len is how many results were counted.
func (t *Tally) Len() uint64 { return t.n }

// Each calls f for each kind of result with its number, in no order.
func (t *Tally) Each(f func(backend int16, status uint16, class attack.ErrorClass, n uint64)) {
	for _, k := range t.kinds {
		f(k.backend, k.status, k.err, k.n)
	}
}

// Entries returns the counts in a fixed order.
func (t *Tally) Entries() []TallyEntry {
	entries := make([]TallyEntry, 0, len(t.kinds))
	for _, k := range t.kinds {
		entries = append(entries, TallyEntry{Backend: k.backend, Status: k.status, Class: k.err.String(), N: k.n})
	}
	sortTally(entries)
	return entries
}

// sortTally puts entries in the order in which END has them.
func sortTally(entries []TallyEntry) {
	slices.SortFunc(entries, func(a, b TallyEntry) int {
		return cmp.Or(cmp.Compare(a.Backend, b.Backend), cmp.Compare(a.Status, b.Status), cmp.Compare(a.Class, b.Class))
	})
}
