package report

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
