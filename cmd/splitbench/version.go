package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/spf13/cobra"

	"github.com/splitbench/splitbench/internal/agentbin"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/wire"
)

// versionInfo is what `version -o json` prints.
type versionInfo struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Version    string            `json:"version"`
	Commit     string            `json:"commit"`
	Date       string            `json:"date"`
	Clean      bool              `json:"clean"` // built from a commit as it is
	Go         string            `json:"go"`
	Platform   string            `json:"platform"`
	Protocol   int               `json:"agentProtocol"`
	Modules    map[string]string `json:"modules"`
	Agents     map[string]string `json:"agents"` // SHA-256 of each that is embedded, by its platform
}

func readVersion() versionInfo {
	v := versionInfo{
		APIVersion: report.APIVersion, Kind: "Version", Version: "(devel)", Go: runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH, Protocol: wire.Version, Modules: map[string]string{},
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Version = cmp.Or(info.Main.Version, v.Version)
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.time":
			v.Date = s.Value
		case "vcs.modified":
			v.Clean = s.Value == "false"
		}
	}
	shown := []string{"github.com/tsenart/vegeta/v12", "gonum.org/v1/gonum", "k8s.io/client-go"}
	for _, m := range info.Deps {
		if slices.Contains(shown, m.Path) {
			v.Modules[m.Path] = m.Version
		}
	}
	return v
}

// toolVersion returns the version as a run keeps it.
func toolVersion() string {
	v := readVersion()
	s := v.Version
	if v.Commit != "" {
		s += " (" + v.Commit[:min(12, len(v.Commit))] + ")"
	}
	return s
}

// versionLine is what --version prints.
func versionLine() string {
	v := readVersion()
	return fmt.Sprintf("splitbench %s, %s, %s\n", toolVersion(), v.Go, v.Platform)
}

func newVersion(a *app) *cobra.Command {
	var output form
	cmd := &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs}
	work := func(context.Context, []string) error {
		v := readVersion()
		var err error
		if v.Agents, err = agentbin.Digests(); err != nil {
			return err
		}
		return a.write(output, document{
			"text": func(w io.Writer) error { return writeTo(w, versionLine()) }, "json": jsonOf(v),
		})
	}
	return a.command(cmd, nil, work, under("Flags", outputFlag(&output, "text", "json")))
}
