// Package analyze decides whether the traffic split that was declared is the split that was observed, and how sure
// one may be.
//
// It is opinionated. A split is right when every share is shown to be within a tolerance that somebody chose
// beforehand, wrong when some share is shown to be outside it, and otherwise the counts cannot tell: there are three
// outcomes, and the third says how many requests would do. The classical chi-square test is always computed and never
// the judge unless asked, because with ten requests it acquits anything and with ten million it condemns a twentieth
// of a point. Tests are exact where that is affordable and say so where it is not; p-values are carried as
// logarithms, so none is ever 0 that is not impossible.
//
// It refuses to do I/O, to read a clock, to use randomness that was not seeded, to panic on any input, and to repeat
// a test until it passes. It knows nothing of meshes or HTTP: it takes counts, and for the questions of order and
// time, Observations.
//
// Invariant: the two tests of the tolerance gate never both hold, and no diagnostic ever improves an outcome.
//
// Judge is the entry point; RequiredRequests plans, Sequential judges while requests come in, Diagnose and Conclude
// check what the decision takes for granted, and JudgeLatency compares latencies. The only numerical library is
// gonum, of which only the calls that survived comparison with 50-digit arithmetic are used.
package analyze
