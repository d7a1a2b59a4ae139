package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/splitbench/splitbench/internal/bench"
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
	APIVersion     string   `json:"apiVersion"`
	Kind           string   `json:"kind"` // Defaults
	Context        string   `json:"context"`
	RemoteContexts []string `json:"remoteContexts"`
	Namespace      string   `json:"namespace"`
	From           string   `json:"from"`
	Container      string   `json:"container"`
	ResultsDir     string   `json:"resultsDir"`
	Tolerance      string   `json:"tolerance"`
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
		for ; ; dir = filepath.Dir(dir) {
			name := filepath.Join(dir, folderDefaults)
			if info, err := os.Lstat(name); err == nil {
				if uid, strange := a.stranger(info); strange {
					return nil, fmt.Errorf("defaults %s: it belongs to user %d, not to you: who wrote it would choose your "+
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
// root. Where files have no owner by number nobody is one.
func (a *app) stranger(info fs.FileInfo) (uid uint64, strange bool) {
	owner := reflect.Indirect(reflect.ValueOf(info.Sys())) // syscall.Stat_t, which is not the same everywhere
	if owner.Kind() != reflect.Struct || !owner.FieldByName("Uid").IsValid() {
		return 0, false
	}
	uid = owner.FieldByName("Uid").Uint()
	mine := []string{"0", strconv.Itoa(os.Geteuid()), a.getenv("SUDO_UID")}
	return uid, !slices.Contains(mine, strconv.FormatUint(uid, 10))
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
	top, err := mappingOf(b, reflect.TypeFor[defaultsFile]())
	if err != nil {
		return nil, fmt.Errorf("defaults %s:%w", name, err)
	}
	var out []setting
	said := map[string]string{}
	for i := 0; top != nil && i+1 < len(top.Content); i += 2 {
		key, value := top.Content[i], top.Content[i+1]
		said[key.Value] = value.Value
		at := origin(fmt.Sprintf("%s:%d:%d", name, key.Line, key.Column))
		s := setting{flagOf(key.Value), []string{value.Value}, at}
		if value.Kind == yaml.SequenceNode {
			s.values = nil
			for _, v := range value.Content {
				s.values = append(s.values, v.Value)
			}
		}
		switch {
		case key.Value == "apiVersion" || key.Value == "kind":
			continue
		case key.Value == "resultsDir" && !filepath.IsAbs(value.Value): // it lies where the file says, not where the user is
			s.values = []string{filepath.Join(filepath.Dir(name), value.Value)}
		}
		out = append(out, s)
	}
	if said["kind"] != "Defaults" || said["apiVersion"] != report.APIVersion {
		return nil, fmt.Errorf("defaults %s:1:1: it is %q of %q, want kind Defaults of apiVersion %s; a newer version "+
			"needs a newer splitbench", name, said["kind"], said["apiVersion"], report.APIVersion)
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

// mappingOf parses YAML and holds it against a type: each key must be a field's, once, and each value of its kind.
// Errors begin with the line and column. Empty YAML is nil.
func mappingOf(b []byte, t reflect.Type) (*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return nil, syntaxError(err)
	}
	if len(doc.Content) == 0 {
		return nil, nil //nolint:nilnil // no document is no mapping
	}
	return doc.Content[0], holdAgainst(doc.Content[0], t, "the file")
}

// syntaxError puts the line first: "yaml: line 3: did not find expected key".
func syntaxError(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if line, ok := strings.CutPrefix(text, "line "); ok {
		n, what, _ := strings.Cut(line, ": ")
		return fmt.Errorf("%s: not YAML: %s", n, untrusted.Printable(what))
	}
	return fmt.Errorf("1: not YAML: %s", untrusted.Printable(text))
}

func holdAgainst(n *yaml.Node, t reflect.Type, what string) error {
	wrong := func(want string) error {
		return fmt.Errorf("%d:%d: %s: want %s", n.Line, n.Column, untrusted.Printable(what), want)
	}
	if n.Kind == yaml.AliasNode { // what it stands for is looked at where it is written
		return nil
	}
	switch t.Kind() {
	case reflect.String:
		switch {
		case n.Kind != yaml.ScalarNode || n.Tag == "!!null":
			return wrong("a text")
		case t != reflect.TypeFor[scalar]() && (n.Tag != "!!str" || n.Style == 0 && oldBoolean(n.Value)):
			return wrong(fmt.Sprintf("a text, such as %q in quotes", n.Value))
		}
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			return wrong("a list, such as [a, b]")
		}
		for _, x := range n.Content {
			if err := holdAgainst(x, t.Elem(), what); err != nil {
				return err
			}
		}
	default:
		if n.Kind != yaml.MappingNode {
			return wrong("keys with values")
		}
		return holdKeys(n, t)
	}
	return nil
}

// oldBoolean reports whether a plain word is true or false to readers of YAML 1.1, as those of Kubernetes are.
func oldBoolean(word string) bool {
	return slices.Contains([]string{"y", "n", "yes", "no", "on", "off"}, strings.ToLower(word))
}

// holdKeys holds the keys of a mapping against the fields of a struct, or its values against the values of a map.
func holdKeys(n *yaml.Node, t reflect.Type) error {
	fields := fieldsOf(t)
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		of, known := fields[key.Value]
		if t.Kind() == reflect.Map {
			of, known = t.Elem(), true
		}
		switch {
		case key.Value == "<<": // merged in; looked at where it is written
			continue
		case !known:
			what := nearest.Question(key.Value, sorted(fields))
			if what == "" {
				what = "there are " + strings.Join(sorted(fields), ", ")
			}
			return fmt.Errorf("%d:%d: unknown field %q; %s", key.Line, key.Column, untrusted.Printable(key.Value), what)
		case seen[key.Value]:
			return fmt.Errorf("%d:%d: key %q already set", key.Line, key.Column, untrusted.Printable(key.Value))
		}
		seen[key.Value] = true
		if err := holdAgainst(value, of, key.Value); err != nil {
			return err
		}
	}
	return nil
}

// fieldsOf are the keys of a struct and their types, those of what is embedded included.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for i := 0; t.Kind() == reflect.Struct && i < t.NumField(); i++ {
		f := t.Field(i)
		if f.Anonymous {
			for name, of := range fieldsOf(f.Type) {
				out[name] = of
			}
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		out[name] = f.Type
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
		bound(resultsFlag), bound(toleranceFlags)), under("Output", outputFlag(&output, "text", "json"))))
}
