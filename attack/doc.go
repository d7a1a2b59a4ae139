// Package attack generates load: it sends one planned burst of requests and says, for each, when it was planned, sent
// and answered, by whom, and how it failed.
//
// It holds that a load generator is a measuring instrument. So the plan is fixed before the first request; every
// request of the plan yields exactly one Result, none is retried behind the caller's back (a hidden retry is a second
// draw of the split), and none is dropped silently; the time a request was planned for is kept beside the time it was
// sent, so that a late generator shows. Two engines carry out a plan: h1, our own, and vegeta's, which speaks TLS and
// checks the other. The package knows nothing of Kubernetes, of weights or of verdicts.
package attack
