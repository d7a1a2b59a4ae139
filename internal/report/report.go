// Package report turns what was declared, measured and decided into one Report, and renders it: text for a terminal,
// Markdown for a pull request, JSON for machines. The verdict comes first, in words that need no statistics.
//
// It refuses to decide: it takes the decision of package analyze and may only make it worse. It refuses to trust: text
// that came from a cluster, a response or a command line is escaped as a whole before any renderer sees it.
//
// Invariant: what is rendered is what is stored. A renderer reads nothing but the Report, and a Report that was
// written and read back renders the same bytes.
package report

import (
	"time"

	"github.com/splitbench/splitbench/internal/preflight"
)

// APIVersion and Kind identify the JSON document that `-o json` prints and a run stores.
const (
	APIVersion = "splitbench.io/v1alpha1"
	Kind       = "SplitReport"
)

// Report is the whole result of a run, of an offline analysis or of a refused run: what is rendered is what is
// stored. Every number has its unit in its key, every boolean is named so that true is good, and what is infinite or
// could not be estimated is null with a why beside it. The published schema is docs/schema/splitreport.v1alpha1.json.
type Report struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`

	Verdict       Verdict          `json:"verdict"`
	GoodnessOfFit *GoodnessOfFit   `json:"goodnessOfFit"` // null where nothing was measured
	Sequential    *SequentialLooks `json:"sequential"`    // null where the number of requests was fixed
	Backends      []Backend        `json:"backends"`
	Unattributed  Unattributed     `json:"unattributed"`
	Comparison    *Comparison      `json:"comparison,omitempty"` // of a LatencyReport
	Drill         *Drill           `json:"drill,omitempty"`      // of a DrillReport
	Watch         *Watch           `json:"watch,omitempty"`      // of a WatchReport
	Diagnostics   []Diagnostic     `json:"diagnostics"`
	// null where no backend is of another cluster, or nothing was timed
	GatewayCost *GatewayCost       `json:"gatewayCost"`
	Latency     *Latency           `json:"latency"` // over all attributed requests; null where nothing was timed
	Load        *Load              `json:"load"`
	Witness     *Witness           `json:"witness"`
	Cause       *Cause             `json:"cause,omitempty"`    // where the order of requests needs an explanation
	Segments    []Segment          `json:"segments,omitempty"` // of a run whose weights, or whose shares, changed
	InForce     *InForce           `json:"inForce,omitempty"`  // where proxies obey other weights than the declared ones
	Checks      []preflight.Result `json:"checks"`
	Split       *Split             `json:"split"`
	Source      *Source            `json:"source"`
	Run         *Run               `json:"run"`
	Warnings    []string           `json:"warnings"`
	// an earlier run that this one was compared with; it changes no verdict
	Baseline *RunComparison `json:"baseline,omitempty"`
	// what charts are drawn from; last, since it is the longest; null where nothing was sent
	Series *Series `json:"series"`
}

// Verdict is the conclusion: what a gate acts on.
type Verdict struct {
	Outcome string `json:"outcome"` // pass | fail | inconclusive | invalid
	// of the counts alone, without limits of response times; set where it is not the outcome
	StatisticalOutcome string             `json:"statisticalOutcome,omitempty"`
	Gate               string             `json:"gate"` // tolerance | chisquare
	Reasons            []string           `json:"reasons"`
	ReasonCodes        []string           `json:"reasonCodes"` // one for each reason, for machines
	Remedies           []string           `json:"remedies"`    // what to do, in order; empty for a pass
	Alpha              float64            `json:"alpha"`
	Power              float64            `json:"power"`
	Tolerance          []BackendTolerance `json:"tolerance"`
	ToleranceRule      *ToleranceRule     `json:"toleranceRule"` // as it was asked for; null where nothing was judged
	Match              *Probability       `json:"match"`
	Differs            *Probability       `json:"differs"`
	RequestsNeeded     *RequestsNeeded    `json:"requestsNeeded"`
}

// BackendTolerance is the tolerance that held for one backend.
type BackendTolerance struct {
	Backend string  `json:"backend"`
	Points  float64 `json:"points"`
}

// ToleranceRule is the tolerance as it was asked for, before it was worked out for each backend.
type ToleranceRule struct {
	Points        float64 `json:"points"`        // percentage points; 0: not set
	RelativeShare float64 `json:"relativeShare"` // fraction of the backend's own expected share; 0: not set
	LeakShare     float64 `json:"leakShare"`     // that all weight-0 backends together may receive
}

// Probability is a p-value with its natural logarithm. LnP is null where P is exactly 0.
type Probability struct {
	P      float64  `json:"p"`
	LnP    *float64 `json:"lnP"`
	Method string   `json:"method,omitempty"`
	Low    *float64 `json:"low,omitempty"` // interval of a Monte-Carlo p
	High   *float64 `json:"high,omitempty"`
	Why    string   `json:"why,omitempty"`
}

// RequestsNeeded is how many requests in all would decide; null with a why where no number would.
type RequestsNeeded struct {
	IfOnTarget      *int64 `json:"ifOnTarget"`
	IfOnTargetWhy   string `json:"ifOnTargetWhy,omitempty"`
	IfAsObserved    *int64 `json:"ifAsObserved"`
	IfAsObservedWhy string `json:"ifAsObservedWhy,omitempty"`
}

// GoodnessOfFit is the classical test.
type GoodnessOfFit struct {
	Pearson            Statistic `json:"pearson"`
	G                  Statistic `json:"g"`
	CohensW            *float64  `json:"cohensW"`
	TotalVariation     float64   `json:"totalVariation"`
	MaxDeviationPoints float64   `json:"maxDeviationPoints"`
}

// Statistic is one test statistic with its p-values. Value is null where it is infinite.
type Statistic struct {
	Statistic  *float64     `json:"statistic"`
	Why        string       `json:"why,omitempty"`
	DF         int          `json:"df"`
	Asymptotic *Probability `json:"asymptotic"`
	Exact      *Probability `json:"exact"`
}

// SequentialLooks says how a run that may stop early came to its outcome. Intervals of backends are then confidence
// sequences, which hold together at all looks; the p-values of fixed-size tests are nominal: they ignore the looks.
type SequentialLooks struct {
	Every    int64 `json:"every"`    // counted requests between two looks
	Looks    int64 `json:"looks"`    // that were made
	Requests int64 `json:"requests"` // at the last look, in the order in which they were sent
	Maximum  int64 `json:"maximum"`  // requests that the plan allowed
	// ln of the e-value against the weights; null where a weight-0 backend answered
	LnE     *float64     `json:"lnE"`
	Anytime *Probability `json:"anytime"` // p that is valid at any look
}

// Interval is a confidence interval of a share; Low and High are null where it could not be estimated.
type Interval struct {
	Low    *float64 `json:"low"`
	High   *float64 `json:"high"`
	Level  float64  `json:"level"`
	Method string   `json:"method"`
	Why    string   `json:"why,omitempty"`
}

// Backend is one row of the result.
type Backend struct {
	Name                 string           `json:"name"`
	Cluster              string           `json:"cluster,omitempty"` // context of the cluster that its pods run in
	Weight               int64            `json:"weight"`
	ExpectedShare        float64          `json:"expectedShare"`
	Expected             float64          `json:"expected"`
	Observed             int64            `json:"observed"`
	ObservedShare        *float64         `json:"observedShare"` // null where nothing was observed
	Interval             *Interval        `json:"interval"`
	StandardizedResidual *float64         `json:"standardizedResidual"`
	AdjustedP            *Probability     `json:"adjustedP"`
	NoticeablePoints     *float64         `json:"noticeablePoints"`         // smallest shift this run would have noticed
	LeakUpperShare       *float64         `json:"leakUpperShare,omitempty"` // weight 0 only
	Errors               int64            `json:"errors"`                   // answers of status 500 and above
	Statuses             map[string]int64 `json:"statusCodes,omitempty"`
	Latency              *Latency         `json:"latency"`
	Signature            string           `json:"signature,omitempty"` // how its answers were recognised
}

// Unattributed is what no backend could be named for.
type Unattributed struct {
	Requests  int64            `json:"requests"`
	Errors    map[string]int64 `json:"errors,omitempty"` // by error class
	Statuses  map[string]int64 `json:"statusCodes,omitempty"`
	Bounds    []ShareBounds    `json:"bounds,omitempty"`
	Harmless  bool             `json:"harmless"` // true: no allocation of them changes the outcome
	Specimens []Specimen       `json:"specimens,omitempty"`
}

// ShareBounds are the shares of a backend if none, or all, of the unattributed requests were its.
type ShareBounds struct {
	Backend   string  `json:"backend"`
	LowShare  float64 `json:"lowShare"`
	HighShare float64 `json:"highShare"`
}

// Specimen is an answer that nobody could attribute, cut short.
type Specimen struct {
	Seq    uint64 `json:"seq"`
	Status uint16 `json:"statusCode"`
	Body   string `json:"body"`
}

// Diagnostic is one check of the assumptions behind the verdict.
type Diagnostic struct {
	Name   string   `json:"name"`
	OK     bool     `json:"ok"`
	P      *float64 `json:"p,omitempty"`
	Text   string   `json:"text"`
	Effect string   `json:"effect"` // keep | qualify | downgrade
}

// Latency holds quantiles in milliseconds. A quantile that the sample is too small for is null.
type Latency struct {
	Requests     int64     `json:"requests"`
	ServiceTime  Quantiles `json:"serviceTime"`
	ResponseTime Quantiles `json:"responseTime"`
	Why          string    `json:"why,omitempty"` // why a quantile is null
}

// Quantiles are type-1 sample quantiles in milliseconds.
type Quantiles struct {
	P50Ms  *float64 `json:"p50Ms"`
	P90Ms  *float64 `json:"p90Ms"`
	P99Ms  *float64 `json:"p99Ms"`
	P999Ms *float64 `json:"p999Ms"`
	MaxMs  *float64 `json:"maxMs"`
}

// Load is what was sent and how well the generator kept its schedule.
type Load struct {
	Requests            int64            `json:"requests"`
	WarmUpRequests      int64            `json:"warmUpRequests"`
	RatePerSecond       float64          `json:"ratePerSecond"`
	TargetRatePerSecond float64          `json:"targetRatePerSecond"`
	DurationSeconds     float64          `json:"durationSeconds"`
	Errors              int64            `json:"errors"`
	Dropped             int64            `json:"dropped"`
	CPUUsPerRequest     *float64         `json:"cpuUsPerRequest"`
	ServiceTime         Quantiles        `json:"serviceTime"`
	ResponseTime        Quantiles        `json:"responseTime"`
	SendLag             SendLag          `json:"sendLag"`
	Connections         int64            `json:"connections"`
	StatusCodes         map[string]int64 `json:"statusCodes"`
	Engine              string           `json:"engine"`
	OnTime              bool             `json:"onTime"` // false: the generator was late, its latencies are not facts
	EndReason           string           `json:"endReason"`
	Kept                *Kept            `json:"keptFromRunning,omitempty"`
	Why                 string           `json:"why,omitempty"` // why a quantile is null
}

// Kept is how the generator was kept from running over the burst.
type Kept struct {
	Periods     int64   `json:"periods"`          // of the container's processor limit; 0: it has none, or it is not known
	Throttled   int64   `json:"throttledPeriods"` // of them, in which the limit was reached
	ThrottledMs float64 `json:"throttledMs"`
	RunDelayMs  float64 `json:"runDelayMs"`    // its threads were ready and had no processor, summed up over them
	Why         string  `json:"why,omitempty"` // what could not be read
}

// SendLag is how late requests were sent, in microseconds.
type SendLag struct {
	P50Us *float64 `json:"p50Us"`
	P99Us *float64 `json:"p99Us"`
}

// Split is the object under test.
type Split struct {
	Kind            string    `json:"kind"`
	APIVersion      string    `json:"objectApiVersion"`
	Namespace       string    `json:"namespace"`
	Name            string    `json:"name"`
	UID             string    `json:"uid"`
	ResourceVersion string    `json:"resourceVersion"`
	Generation      int64     `json:"generation"`
	GenerationAfter int64     `json:"generationAfter,omitempty"` // where it is another one after the run
	Root            string    `json:"root"`
	WeightsFrom     string    `json:"weightsFrom"`
	Unchanged       bool      `json:"unchanged"`     // the split and its weights stayed the same during the run
	Why             string    `json:"why,omitempty"` // why it is not known to be unchanged, or what changed
	LastWriter      string    `json:"lastWriter,omitempty"`
	LastWritten     time.Time `json:"lastWritten,omitzero"`
	YAMLBefore      string    `json:"yamlBefore,omitempty"` // the object as it was read before the run
	YAMLAfter       string    `json:"yamlAfter,omitempty"`  // and after it; empty where it was not read again
	Law             *Law      `json:"law,omitempty"`        // absent in documents of versions that did not ask for it
}

// Source is where the requests came from.
type Source struct {
	Context      string `json:"context"`
	Namespace    string `json:"namespace"`
	Pod          string `json:"pod"`
	PodUID       string `json:"podUid"`
	Node         string `json:"node"`
	Container    string `json:"container"`
	ContainerWhy string `json:"containerWhy"`
	Meshed       bool   `json:"meshed"`
	ProxyImage   string `json:"proxyImage,omitempty"`
	Transport    string `json:"transport"`         // websocket | spdy
	Agent        string `json:"agent"`             // installed | uploaded, with its version
	Through      string `json:"through,omitempty"` // Service whose pods draw the backend in place of this pod

	Steps []SourceStep `json:"steps,omitempty"` // ways to get the generator into the pod, in the order tried
	Pods  []SourcePod  `json:"pods,omitempty"`  // where several pods sent, or one in several segments
	// whether they got the same shares; absent where one sent, or what was judged is not the shares of one run
	Agreement *Agreement `json:"agreement,omitempty"`
	// how far apart the pods started, at most; absent where one sent, or it is not known
	StartSkewMs float64  `json:"startSkewMs,omitempty"`
	Runners     *Runners `json:"runners,omitempty"` // pods of our own stood in for the workload's
}

// Runners are the pods of a Job that sent in the place of a workload's own.
type Runners struct {
	Workload       string `json:"workload"`
	Job            string `json:"job"`
	Pods           int    `json:"pods"`
	Image          string `json:"image"`
	ServiceAccount string `json:"serviceAccount"`
}

// Run identifies the run and how to repeat it.
type Run struct {
	ID      string    `json:"id"`
	Dir     string    `json:"dir,omitempty"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	URL     string    `json:"url"`
	Command []string  `json:"command"`
	Seed    uint64    `json:"seed"`
	Tool    string    `json:"tool"` // version and commit
	// what was simulated, in one sentence; empty on a real cluster
	Simulated string            `json:"simulated,omitempty"`
	Complete  bool              `json:"complete"`           // false: the run was cut short
	CutShort  string            `json:"cutShort,omitempty"` // by what, e.g. "SIGINT"
	Labels    map[string]string `json:"labels,omitempty"`
}

// Law is which object rules for the requests, by which of its rules, and how a backend is drawn if it is obeyed.
type Law struct {
	Provider  string      `json:"provider"` // linkerd | istio | traefik
	Path      string      `json:"path"`     // ServiceProfile | TrafficSplit | HTTPRoute | ... | default
	Rule      string      `json:"rule,omitempty"`
	Probe     string      `json:"probe"`     // the request that it was asked for
	NullModel string      `json:"nullModel"` // random-per-request | random-per-connection | weighted-round-robin | sticky
	Unit      string      `json:"unit"`      // what is drawn: request | connection
	Why       string      `json:"why,omitempty"`
	Objects   []LawObject `json:"objects"` // that say so, the ruling one first
	// that say something for the same root Service, and why they do not rule
	NotObeyed []LawObject  `json:"notObeyed"`
	NotRead   string       `json:"notRead,omitempty"` // what could not be read and might rule instead
	Backends  []LawBackend `json:"backends"`          // probabilities of one draw
	// what the control plane, or the client's own Envoy, says of the law; absent: nobody was asked
	Told *LawTold `json:"told,omitempty"`
}

// LawTold is what those who hand the law to the client's proxy were heard to say of it. Where it is not what the
// objects say, the law is what was told.
type LawTold struct {
	Namespace     string    `json:"namespace"` // of the pod that was asked
	Pod           string    `json:"pod"`
	At            time.Time `json:"at"`
	TookMs        int64     `json:"tookMs"`
	BeforeBurstMs int64     `json:"beforeBurstMs,omitempty"` // how long before the burst it was told the last time
	Heard         bool      `json:"heard"`                   // a law was told
	HeardAfter    bool      `json:"heardAfter"`              // after the burst too
	Agrees        bool      `json:"agrees"`                  // it is what the objects say
	Why           string    `json:"why,omitempty"`           // why none was told
	// what the objects say, where that is another law
	WorkedOut []LawBackend `json:"workedOut,omitempty"`
}

// LawObject is an object in the version that was read.
type LawObject struct {
	APIVersion      string `json:"objectApiVersion"`
	Kind            string `json:"kind"`
	Namespace       string `json:"namespace"`
	Name            string `json:"name"`
	UID             string `json:"uid"`
	ResourceVersion string `json:"resourceVersion"`
	Generation      int64  `json:"generation"`
	Why             string `json:"why,omitempty"` // why it does not rule
}

// LawBackend is one backend with the probability of one draw.
type LawBackend struct {
	Name        string  `json:"name"`
	Weight      int64   `json:"weight"`
	Probability float64 `json:"probability"`
	Problem     string  `json:"problem,omitempty"`
	ProxyStatus int     `json:"proxyStatus,omitempty"` // by which the client's proxy answers such a request itself
}

// Series is what charts are drawn from. Its size is bounded whatever the number of requests, and it is data like the
// rest: a chart is drawn from the stored report alone.
type Series struct {
	OverTime *OverTime      `json:"overTime"` // null where nothing was sent, or only counts are known
	Marks    []Mark         `json:"marks"`    // what happened during the run, in order
	Latency  *LatencyCurves `json:"latency"`  // null where nothing was timed
}

// OverTime counts the requests of each window of the run, by the instant at which they were sent. The windows follow
// each other without a gap from the first counted request on; the last one may be shorter.
type OverTime struct {
	WindowSeconds float64       `json:"windowSeconds"`
	Windows       int           `json:"windows"`
	Backends      []WindowCount `json:"backends"`
	Unattributed  []int64       `json:"unattributed"` // requests of each window without a known backend
	// requests of each window that failed or were answered with a status of 500 and above
	Errors []int64 `json:"errors"`
}

// WindowCount is what one backend answered in each window.
type WindowCount struct {
	Backend  string  `json:"backend"`
	Observed []int64 `json:"observed"` // requests
	// response times of its answers; null in a window with too few of them, absent where none has enough
	P50Ms []*float64 `json:"p50Ms,omitempty"`
	P90Ms []*float64 `json:"p90Ms,omitempty"`
}

// Mark is something that happened at one instant of the run.
type Mark struct {
	AtSeconds float64 `json:"atSeconds"` // since the first counted request
	Text      string  `json:"text"`
}

// LatencyCurves are response times by quantile, from the planned instant of sending.
type LatencyCurves struct {
	Levels []float64      `json:"levels"` // quantiles, 0 to below 1
	Curves []LatencyCurve `json:"curves"`
}

// LatencyCurve is the curve of one backend. It is shorter than the levels where the sample is too small for the rest.
type LatencyCurve struct {
	Backend string    `json:"backend"`
	Ms      []float64 `json:"valuesMs"`
}

// MaxWindows is how many windows a report holds at most; MinPerWindow how many requests they hold on average at least,
// where there are that many: below it a share says nothing.
const (
	MaxWindows   = 100
	MinPerWindow = 50
)
