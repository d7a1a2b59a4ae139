package report

// The judge names what it found by a code and gives the numbers; the words stand here. Each code is the format of its
// sentence, so that go vet holds the numbers against it.

// What takes a verdict away.
const (
	SayNotKept       = "the run could not be kept: %s"
	SayNotJudged     = "the counts cannot be judged: %s"
	SayNothingJudged = "nothing was judged"
	SayNoOutcome     = "the statistics gave no outcome but %q"
	SayNotSeenAfter  = "whether the split stayed the same during the run was not seen: splitbench was killed " +
		"before it could look again"
	SayNotOneSplit     = "what was measured is not one split: %s"
	SayChanged         = "changed during the run: %s"
	SayUnknownAnswers  = "%d complete answers came from no known backend"
	SayNoEnd           = "the stored run has no end: splitbench was killed or its disk was full"
	SayDamaged         = "the stored samples are damaged: %s"
	SayLooksOfRequests = "--sequential looked at answers to requests, which cannot be judged here: %s"
	SayNotByConnection = "the proxy draws for each connection, and connections cannot be judged: %s"
	SayNoTraces        = "none of the %d results has a body or a header, by which a backend could be recognised"
	SayNoRequest       = "no request was sent"
	SayNotAccounted    = "the results of %d of %d requests were lost on the way: not every request is accounted for"
	SayDrift           = "the split differs from its profile: %s"
	SayShadowed        = "the split differs from what proxies obey: %s"
	SayDeclaredUnread  = "proxies obey %s, and what %s declares cannot be held against the counts: the names or weights " +
		"of its backends cannot be used"
	SayNeverAnswered = "%s has weight and gave no answer %s: whether the split was in force is not known, and so not " +
		"what took over"
	SayNeverAtAll       = "at all"
	SayNeverBefore      = "before the first failure, at %.1fs"
	SayLeftBecause      = "a share left its tolerance, and %s"
	SayNoTimeline       = "the timeline cannot be read: %s"
	SayTwice            = "%d of the %d results are in the file twice"
	SayNothingMeasured  = "nothing was measured: "
	SayRunInvalid       = "run %s is invalid: %s"
	SayRunsIncomparable = "the runs cannot be compared: %s"
)

// What takes a verdict about latencies away.
const (
	SayNotKnown     = "it is not known what was to be compared"
	SayOnlyErrors   = "%s answered nothing but errors: %s"
	SayNoOwnAnswer  = "%s gave no answer of its own"
	SayManyErrors   = "%s failed %d of %d requests (%s): the answers that came are no fair sample"
	SayTooFast      = "%s: half of the answers took less than a microsecond, less than the timer can tell"
	SayTargetLate   = "p%g of %s, %s, %s"
	SayTargetLost   = "the times of %d answers of %s were lost on the way: stdout was too slow for them"
	SayFewerRounds  = "%d of %d rounds of %s were carried out"
	SayStepErrors   = "%s at %g requests per second: %s"
	SayTargetFailed = "%s: %s"
)

// What weakens a verdict or explains it.
const (
	SayNoWitness      = "there is no second witness: %s; --witness off does not ask for one"
	SayNotReadAfter   = "its counters were not read after requests were sent"
	SayUntold         = "the client's proxy does not tell of %d counted answers: it was not read after their look"
	SayPathTaken      = "the proxy's own counters: requests took the path of a %s, which is what rules"
	SayOfPods         = " (of the %d pods that send only: %s)"
	SayNotAskedFor    = "it was not asked for"
	SayDrawsNotJudged = "the proxy's draws cannot be judged: %s"
	SayNothingFound   = "nothing found"
	SayExplained      = "explained by the cause: %s"
	SayDrawsDiffer    = "the answers follow the weights, and the draws that the client's proxy counted do not: %s; " +
		"%d of them were not of this run"
	SayNoOrder = "the order of requests was not kept whole: that they are independent and alike over time was " +
		"not checked"
	SayNotChecked = "that requests are independent and alike over time could not be checked: %s"
	SayNotWeighed = "what the order of requests shows could not be weighed: %s"
	SayFollowed   = "the answers follow the new weights from %s after the first request on (95 of 100 sure: " +
		"between %s and %s)"
	SayNotFollowed = "the answers do not show that the data plane followed"
	SayImageSent   = "the requests were sent by %s of the image, one after the other, because no agent could be " +
		"put there or --via says so: counts are right, times are no facts about the mesh"
	SayThrottled = "the container's CPU limit of %s throttled the generator in %.2g %% of its periods (%d of %d), for " +
		"%s " +
		"in all: lower --rate, raise the limit, or send from a container with processors of its own (--via ephemeral, or " +
		"more --pods)"
	SayRunDelay = "the generator's threads were ready to run for %s of the burst and had no processor: others on the " +
		"node " +
		"used it; lower --rate, or send from more --pods"
	SayKeptUnread   = "whether the generator was kept from running could not be read in the pod: %s"
	SayByConnection = "the split is drawn for each connection, so the %d connections were counted, each by its " +
		"first answer, not the requests"
	SayFileTimes = "a file of results does not say when requests should have been sent: times count from the " +
		"sending, so what a late generator or a stalled server hid is not in them"
	SayStreamBroke = "the stream from pod %s broke and was resumed with request %d of its part: %d " +
		"requests whose fate is not known were not sent again, and count as unattributed (%s)"
	SayPodLost = "pod %s was lost: %d requests of its part that were not sent, or whose results did not arrive, count " +
		"as unattributed (%s)"
	SayPodLeft      = "pod %s was lost after %d of %d bursts: it has no part in the others (%s)"
	SayPodsDropped  = "the samples of some answers were dropped"
	SayPodsTogether = "requests that go together, as the cause says, make pods differ by themselves"
	SayPodsSilent   = "fewer than two of them had an answer of a known backend"
	SayPodsFew      = "one backend answered all, or a group is too small to expect one answer of each backend"
	SayLongDrill    = "the drill was longer than %s: there is no timeline of it"
	SayOtherPods    = "the requests came from different pods; the one that is shown is only one of them"
	SayOtherObject  = "the split is not the same object in all runs: it was made anew between them, or they are " +
		"of different clusters"
	SayLookedEarly = "a run that stopped at what it saw (--sequential) is among them: the outcome and the likely " +
		"ranges hold all the same, p-values of tests of a fixed size do not"
	SayOfRun          = "run %s: %s"
	SayWhatItCosts    = "What it costs: %s"
	SayNoSingleSplit  = " There is no single split to judge."
	SayNotIndependent = "run %s is %s by its counts, and %s because its requests are not independent: its shares " +
		"are less sure than they look"
	SayNoLatencies     = "run %s: no latencies to compare: %s"
	SayOtherSplits     = "the runs are of different splits: %s and %s"
	SayNotInBoth       = "not measured in both runs"
	SayNoneInBoth      = "the latencies were not measured in both runs"
	SayAgainstBaseline = "against the baseline: %s"
)

// Reasons of verdicts.
const (
	SayLooksPass = "at look %d, after %d requests, the likely range of every share lies within its tolerance"
	SayLooksFail = "at look %d, after %d requests, the likely range of some share lies outside its tolerance, or " +
		"a weight-0 backend answered"
	SayLooksUndecided    = "%d looks in %d requests, the most that the plan allows, did not decide"
	SayLooksUnattributed = SayLooksUndecided + ": %d requests without a known backend could change the outcome"
	SayRunsUndecided     = "%d runs together, each of them one look, do not decide"
	SayLeakedLater       = "%s has weight 0 and answered %d requests, after the look that decided"
	SayUndecided         = "%d requests do not decide yet"
	SayNothingFailed     = "nothing failed while it ran: no failover was drilled"
	SayNoneSilent        = "requests were lost, but no backend fell silent: no failover was drilled"
	SayManyLost          = "%d requests were lost, %d are allowed"
	SayLongOutage        = "the outage lasted at least %s, %s are allowed"
	SayOutageUnsure      = "the outage lasted between %s and %s, %s are allowed; a higher --rate tells better"
)

// Why a run is not compared with its baseline.
const (
	SayBaselineCut      = "--baseline %s: its samples are not whole: %s"
	SayBaselineInvalid  = "--baseline %s: is invalid, nothing was compared with it: %s"
	SayBaselineTarget   = "--baseline %s: has no target %s"
	SayBaselineOne      = "--baseline %s: %s was not measured in both runs"
	SayBaselineFailed   = "--baseline %s: %s: %s"
	SayBaselineCost     = "--baseline %s: what %s costs was not measured in both runs"
	SayBaselineCostless = "--baseline %s: what %s costs: %s"
)

// Why a number is not known.
const (
	SayCostSilent = "%s did not answer once without an error"
	SayCostClosed = "a closed loop waits for its answers, which hides how long they would have taken at a given rate"
	SayCostImage  = "a program of the image sent the requests, one after the other: its times are no facts about " +
		"the mesh"
	SayCostLate = "the generator was late, so the times are its own as much as the backends': it sent %.3g %% of the " +
		"requests late, one in a hundred by more than %s"
	SayCostShort       = "the run was shorter than %s, too short for its moments to be independent"
	SayCostLost        = "the times of %d answers were lost"
	SayCostNoReference = "no backend is of the client's own cluster"
	SayInfinite        = "infinite: a backend of weight 0 answered"
	SayOneBackend      = "one backend has all the weight: there is no other share to compare with"
	SayNotComputed     = "could not be computed"
	SayImpossible      = "impossible under the declared weights"
	SayNotTimed        = "nothing was timed"
)

// What a step of a sweep shows of the limit.
const (
	SayStepFailed = "nothing but errors: %s"
	SayStepSilent = "no answer came"
	SayStepLate   = "%s breaks the limit only because requests were sent late (99 of 100 within %s of the plan); raise " +
		"--connections, or the generator is at its end"
	SayStepFew   = "%s needs %d answers to be shown below a limit, %d came"
	SayStepNear  = "%d of %d requests took longer, %.4g may: too near to tell on which side of the limit %s lies"
	SayStepClose = "; they came close together, so %d requests tell as much as %.0f would"
)

// What became of a split during its run.
const (
	SayCountedByProxy = "the answers name no backend: the verdict is on the draws that were counted by the client's " +
		"proxy, the " +
		"warm-up's included (--count-by proxy)"
	SayProxyDidNotCount = "the client's proxy did not count draws of this split that could be judged (--count-by proxy)"
	SayProxyAlone       = "no answer came: draws that the client's proxy counted are no proof that backends answer"
	SayOthersCounted    = "%d draws of others in the pod are among those that the client's proxy counted"
	SayNotReadAgain     = "it was not read again after the run"
	SayDeleted          = "it was deleted during the run"
	SayCreatedAgain     = "it was deleted and created again during the run"
	SayOtherRoot        = "its root Service changed from %s to %s during the run"
	SayOtherWeights     = "its declared weights changed during the run"
	SayOtherObeyed      = "the weights that proxies obey changed during the run"
	SayRestOfYAML       = "\n# cut: the whole of it is in the run's folder\n"
	SayWritten          = "split written"
	SayWrittenBy        = "split written by %s"
	SayMark             = "mark: %s"
	SayMove             = "%s: %s -> %s"
	SayMovedBack        = "changed during the run: %s: %s -> %s"
	SayMovedBackWhen    = " (%s after the burst's start)"
	SayMovedBefore      = " (%s before the burst's start)"
	SayChangedBefore    = "changed after the checks and before the first request: %s"
)

// What to do about it.
const (
	RemedyLate   = "lower --rate, raise the CPU limit of the container that sends, or use --via ephemeral or more --pods"
	RemedyRate   = "lower --rate, or raise --connections if answers are slow"
	RemedyBodies = "run the load test again so that bodies are kept: vegeta attack without -max-body, written as " +
		"gob, CSV or JSON (what splitbench exports has none: name the run itself)"
	RemedyRules        = "compare --classify with the unattributed answers; -max-body of vegeta attack cuts them short"
	RemedyBreak        = "break something while it runs, such as a backend's workload, by scaling it to 0"
	RemedyBreakOf      = "break something while it runs, such as the workload of %s, by scaling it to 0; to find it: %s"
	RemedyEveryBackend = "begin a drill when every backend with weight answers: splitbench run says whether they do"
	RemedyRounds       = "run it again with --rounds %d"
	RemedyLonger       = "measure each rate for longer with --round-duration, or give a --limit of a lower quantile"
	RemedyTwice        = "give each result once: join the files of different attacks, and none of them with itself"
	RemedySlower       = "find what the slower one waits for (its own pods, the gateway, the link), or allow more with " +
		"--margin"
	RemedyLimit  = "send less than the highest rate that held, or give what answers more to run on"
	RemedyOutage = "shorten what the timeline shows to have taken longest, then drill again; --max-lost and " +
		"--max-outage say what is allowed"
	RemedyChanged    = "open both reports for what else changed, or allow more with --margin and --share-margin"
	RemedyMoreOfBoth = "run both again with more --requests or --rounds, or allow more with --margin and --share-margin"
	RemedyWhole      = "mend what the run without a verdict names, run it again, and compare then"
	RemedyWatch      = "watch it longer, or at a higher --rate"
	RemedyCompare    = "compare what was sent with what proxies obey"
	RemedyObject     = "see which object the proxies obey and what is wrong with it: %s"
	RemedyAgain      = "run it again; what was measured so far is kept and is not a verdict"
	RemedyWait       = "wait until the split is no longer being changed, then run it again"
	RemedyFind       = "find the cause: %s"
	RemedyMend       = "mend what the reason names, then run it again"
	RemedyWorkload   = "%s the workload of pod %s"
	RemedyGive       = "give at least one request with a known backend"
	RemedyCause      = "remove that cause, then run it again"
	RemedyRequests   = "run it again with --requests %d"
	RemedyKeep       = "free some space, or name another --results-dir, and run it again"
	RemedyDecideOr   = "decide whether a share like this is right: set --tolerance wider or narrower, or run it " +
		"again with --requests %d"
	RemedyDecide    = "decide whether a share like this is right, and set --tolerance wider or narrower"
	RemedyTolerance = "find out why requests have no known backend, or allow a wider --tolerance"
)
