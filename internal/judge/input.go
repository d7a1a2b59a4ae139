package judge

import (
	"slices"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
)

// inputOf is what a report of any kind takes from the record. complete says that all was sent that was to be.
func inputOf(m record.Manifest, complete bool) report.Input {
	return report.Input{
		Weights: m.Weights, Options: m.Options, Counts: analyze.Counts{N: make([]int64, len(m.Weights))},
		Checks: m.Checks, Before: m.Before, After: m.After, Transport: m.Agent.Transport, Agent: m.Agent.How, Signatures: m.Signatures,
		Interrupted: m.Interrupted, Invalid: slices.Clone(m.Failures), Remedies: slices.Clone(m.Remedies), Warnings: slices.Clone(m.Warnings),
		Run: &report.Run{
			ID: m.ID, Dir: m.Dir, Started: m.Started, Ended: m.Ended, URL: m.Plan.URL, Command: m.Command, Seed: m.Options.Seed,
			Tool: m.Tool, Simulated: m.Simulated, Labels: m.Labels, Complete: complete,
		},
	}
}
