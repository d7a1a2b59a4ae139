//go:build splitbench_agent

package attack

// hasVegeta is false in the agent, whose size is the time that an upload takes: vegeta would be a sixth of it.
const hasVegeta = false

func newVegeta(EngineOptions, int) ClosableEngine { return nil }
