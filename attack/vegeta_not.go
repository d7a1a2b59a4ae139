//go:build splitbench_agent

package attack

// newVegeta is not in the agent, whose size is the time that an upload takes: vegeta would be a sixth of it.
func newVegeta(EngineOptions, int) (ClosableEngine, bool) { return nil, false }
