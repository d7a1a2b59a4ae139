package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v4"

	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/bucket"
	"github.com/splitbench/splitbench/internal/nearest"
	"github.com/splitbench/splitbench/internal/render"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Files of defaults: one for a folder and what is below it, one for the user. The former goes first.
const (
	folderDefaults = ".splitbench.yaml"
	userDefaults   = "splitbench/config.yaml" // below $XDG_CONFIG_HOME
)

// defaultsFile is the content of a file of defaults: flags in camel case. Unknown keys are refused.
type defaultsFile struct {
	APIVersion     string   `yaml:"apiVersion"`
	Kind           string   `yaml:"kind"` // Defaults
	Context        string   `yaml:"context"`
	RemoteContexts []string `yaml:"remoteContexts"`
	Namespace      string   `yaml:"namespace"`
	From           string   `yaml:"from"`
	Container      string   `yaml:"container"`
	ResultsDir     string   `yaml:"resultsDir"`
	Tolerance      string   `yaml:"tolerance"`
}

// setting is a value of a file of defaults and where it stands: FILE:LINE:COLUMN.
type setting struct {
	flag   string
	values []string
	at     origin
}

// readDefaults reads the files of defaults, the nearest first. No file is no error.
func (a *app) readDefaults() ([]setting, error) {
	var names []string
	if dir, err := os.Getwd(); err == nil {
		here, _ := os.Stat(dir)
		for ; ; dir = filepath.Dir(dir) {
			name := filepath.Join(dir, folderDefaults)
			if info, err := os.Lstat(name); err == nil {
				if uid, strange := a.stranger(info, here); strange {
					return nil, fmt.Errorf("defaults %s: it belongs to user %s, not to you: who wrote it would choose your "+
						"cluster and where runs go; change its owner, or work outside of %s", name, uid, dir)
				}
				names = append(names, name)
				break
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	config, home := a.getenv("XDG_CONFIG_HOME"), a.getenv("HOME")
	if config == "" && home != "" {
		config = filepath.Join(home, ".config")
	}
	if config != "" {
		names = append(names, filepath.Join(config, userDefaults))
	}
	var out []setting
	for _, name := range names {
		settings, err := readDefaultsFile(name)
		if err != nil {
			return nil, err
		}
		out = append(out, settings...)
	}
	return out, nil
}

// stranger reports whether a file is somebody else's, and whose: neither of who calls the program, by sudo too, nor of
// root, nor of whose folder one works in, such as a checkout that a container mounts. Where files have no owner by
// number nobody is one.
func (a *app) stranger(file, here fs.FileInfo) (uid string, strange bool) {
	uid = ownerOf(file)
	mine := []string{"", "0", strconv.Itoa(os.Geteuid()), a.getenv("SUDO_UID"), ownerOf(here)}
	return uid, !slices.Contains(mine, uid)
}

// ownerOf is the number of a file's owner, or "": its syscall.Stat_t is not the same everywhere.
func ownerOf(info fs.FileInfo) string {
	if info == nil {
		return ""
	}
	owner := reflect.Indirect(reflect.ValueOf(info.Sys()))
	if owner.Kind() != reflect.Struct || !owner.FieldByName("Uid").IsValid() {
		return ""
	}
	return strconv.FormatUint(owner.FieldByName("Uid").Uint(), 10)
}

func readDefaultsFile(name string) ([]setting, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("defaults: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSuiteFile))
	if err != nil {
		return nil, fmt.Errorf("defaults: %w", err)
	}
	var file defaultsFile
	top, err := readYAML(b, &file)
	if err != nil {
		return nil, fmt.Errorf("defaults %s:%w", name, err)
	}
	var out []setting
	for i := 0; top != nil && i+1 < len(top.Content); i += 2 {
		key, value := top.Content[i], top.Content[i+1]
		at := origin(fmt.Sprintf("%s:%d:%d", name, key.Line, key.Column))
		s := setting{flagOf(key.Value), []string{value.Value}, at}
		if value.Kind == yaml.SequenceNode {
			s.values = nil
			for _, v := range value.Content {
				s.values = append(s.values, v.Value)
			}
		}
		switch {
		case key.Value == "apiVersion" || key.Value == "kind" || value.ShortTag() == "!!null": // which sets nothing
			continue
		// A folder lies where the file says, not where the user is.
		case key.Value == "resultsDir" && !filepath.IsAbs(value.Value) && !bucket.Named(value.Value):
			s.values = []string{filepath.Join(filepath.Dir(name), value.Value)}
		}
		out = append(out, s)
	}
	if file.Kind != "Defaults" || file.APIVersion != report.APIVersion {
		return nil, fmt.Errorf("defaults %s:1:1: it is %q of %q, want kind Defaults of apiVersion %s; a newer version "+
			"needs a newer splitbench", name, file.Kind, file.APIVersion, report.APIVersion)
	}
	return out, nil
}

// applyDefaults sets flags that neither the command line nor a variable has set from the files of defaults.
func (a *app) applyDefaults(flags *pflag.FlagSet) error {
	for _, s := range a.defaults {
		f := flags.Lookup(s.flag)
		switch {
		case f == nil || f.Changed:
			continue
		case s.flag == "tolerance" && flags.Lookup("from") == nil: // stored runs are judged by their own
			continue
		case s.flag == "from" && flags.Changed("selector"):
			continue
		}
		for _, v := range s.values {
			if err := flags.Set(f.Name, v); err != nil {
				return fmt.Errorf("%s: %w", s.at, valueError(err))
			}
			a.origins[f.Name] = s.at
		}
	}
	return nil
}

// isDefault reports whether a file of defaults set a flag.
func (a *app) isDefault(flag string) bool {
	return slices.ContainsFunc(a.defaults, func(s setting) bool { return s.at == a.origins[flag] })
}

// readYAML reads one document: each key must be a field's, once, and each value of its kind. Text is as it stands
// there, also 010 and yes. Errors begin with line and column. The node, for its places, is nil of an empty document.
func readYAML(b []byte, into any) (*yaml.Node, error) {
	var doc yaml.Node
	err := yaml.Load(b, &doc)
	if errors.Is(err, io.EOF) {
		return nil, nil //nolint:nilnil // no document
	}
	if err == nil {
		err = yaml.Load(b, into, yaml.WithKnownFields())
	}
	var wrong *yaml.LoadError
	switch {
	case err == nil:
		return doc.Content[0], nil
	case !errors.As(err, &wrong):
		return nil, fmt.Errorf("1:1: not YAML: %s", untrusted.Printable(err.Error()))
	}
	at := wrong.Mark
	return nil, fmt.Errorf("%d:%d: %s", max(at.Line, 1), max(at.Column, 1), untrusted.Printable(saidOf(wrong, b, into)))
}

// saidOf is an error in words for who writes such files.
func saidOf(wrong *yaml.LoadError, file []byte, into any) string {
	field, of, unknown := strings.Cut(strings.TrimPrefix(wrong.Message, "field "), " not found in type ")
	_, kind, misfit := strings.Cut(wrong.Message, " into ")
	switch {
	case unknown:
		known := sorted(fieldsOf(structNamed(reflect.TypeOf(into).Elem(), of)))
		return fmt.Sprintf("unknown field %q; %s", field,
			cmp.Or(nearest.Question(field, known), "there are "+strings.Join(known, ", ")))
	case misfit && strings.HasPrefix(kind, "[]"):
		return keyBefore(file, wrong.Mark) + "want a list, such as [a, b]"
	case misfit && kind == "string":
		return keyBefore(file, wrong.Mark) + "want a text"
	case misfit:
		return keyBefore(file, wrong.Mark) + "want keys with values"
	case strings.Contains(wrong.Message, "already defined"):
		return strings.TrimPrefix(wrong.Message, "mapping ")
	}
	return "not YAML: " + strings.TrimPrefix(wrong.Message, "yaml: ")
}

// keyBefore is the key of a value, where it stands on the same line.
func keyBefore(file []byte, at yaml.Mark) string {
	lines := strings.Split(string(file), "\n")
	if at.Line < 1 || at.Line > len(lines) {
		return ""
	}
	line := []rune(lines[at.Line-1])
	words := strings.Fields(string(line[:min(max(at.Column-1, 0), len(line))]))
	if len(words) == 0 || !strings.HasSuffix(words[len(words)-1], ":") {
		return ""
	}
	return strings.TrimLeft(words[len(words)-1], "{[") + " "
}

// structNamed is a struct of that name within a type, nil where there is none.
func structNamed(t reflect.Type, name string) reflect.Type {
	switch {
	case t.Kind() == reflect.Slice || t.Kind() == reflect.Map:
		return structNamed(t.Elem(), name)
	case t.Kind() != reflect.Struct || t.String() == name:
		return t
	}
	for i := range t.NumField() {
		if found := structNamed(t.Field(i).Type, name); found.String() == name {
			return found
		}
	}
	return t
}

// fieldsOf are the keys of a struct, those of what is embedded included.
func fieldsOf(t reflect.Type) map[string]bool {
	out := map[string]bool{}
	for i := 0; t.Kind() == reflect.Struct && i < t.NumField(); i++ {
		f := t.Field(i)
		if f.Anonymous {
			maps.Copy(out, fieldsOf(f.Type))
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		out[name] = true
	}
	return out
}

// configValue is a flag that files of defaults may set, and who did.
type configValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"`
}

// configView is what `config view` prints.
type configView struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	Values     []configValue `json:"values"`
}

func newConfig(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Look at defaults: of .splitbench.yaml, of the user, of variables",
	}
	cmd.AddCommand(newConfigView(a))
	return cmd
}

func newConfigView(a *app) *cobra.Command {
	var (
		cfg     bench.Config
		cluster clusterFlags
		output  form
	)
	cmd := &cobra.Command{
		Use:   "view",
		Short: "Say which value a flag has, and where it comes from",
		Long: `view prints the flags that a file of defaults may set, their values and who set them. The command line goes
before variables, these before the nearest .splitbench.yaml at or above the working directory, and that before the
user's own $XDG_CONFIG_HOME/splitbench/config.yaml:

  apiVersion: splitbench.io/v1alpha1
  kind: Defaults
  context: west
  remoteContexts: [east]
  namespace: test
  from: deploy/frontend
  container: nginx
  resultsDir: results
  tolerance: 2pt`,
		Example: `  splitbench config view
  splitbench config view -o yaml`,
		Args: cobra.NoArgs,
	}
	work := func(context.Context, []string) error {
		v := configView{APIVersion: report.APIVersion, Kind: "ConfigView"}
		var rows [][]string
		for _, key := range sorted(fieldsOf(reflect.TypeFor[defaultsFile]())) {
			f := cmd.Flags().Lookup(flagOf(key))
			if f == nil {
				continue
			}
			from := "default"
			if f.Changed {
				from = "command line"
			}
			if by, ok := a.origins[f.Name]; ok {
				from = string(by)
			}
			value := configValue{f.Name, strings.Trim(f.Value.String(), "[]"), untrusted.Printable(from)}
			v.Values, rows = append(v.Values, value), append(rows, []string{value.Name, untrusted.Safe(value.Value), value.From})
		}
		return a.write(output, document{
			"text": func(w io.Writer) error { return render.Table(w, []string{"FLAG", "VALUE", "FROM"}, rows) },
			"json": jsonOf(v),
		})
	}
	return cluster.completions(a.command(cmd, &cfg, work, under("Flags that files of defaults may set", &cluster,
		bound(folderFlag), bound(toleranceFlags)), under("Output", outputFlag(&output, "text", "json"))))
}
