package law

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Pick finds the split that is meant, and leaves it in c.Split with what it says itself. That it is missing is for a
// check to say. Its error is an *Unclear.
func (c *Case) Pick() error {
	if c.Name == "" {
		if err := c.onlyRoot(); err != nil {
			return err
		}
	}
	for _, k := range slices.Backward(Kinds()) { // TrafficSplits last: a bare name is a root Service's first
		if c.Kind != k.Path && (c.Kind != "" || k.NamedOnly) {
			continue
		}
		if found, err := k.pick(c); found || err != nil {
			c.nameOthers()
			return err
		}
	}
	c.missing()
	return nil
}

// missing leaves a Split of a name that no object has: it is taken for the root Service's too.
func (c *Case) missing() {
	object := ObjectRef{Kind: string(c.Kind), Namespace: c.Namespace, Name: c.Name}
	c.Split = Split{ObjectRef: object, Root: c.Name, AnyKind: c.Kind == ""}
	c.root = serviceRef{namespace: c.Namespace, name: c.Name}
	switch c.Kind {
	case "":
		c.Split.Kind, c.Split.Why = string(PathTrafficSplit), c.nothingSplits()
	case PathTrafficSplit:
		c.Split.Why = c.Objects.NoSplits
	case PathTraefikService:
		c.root, c.Split.Root = serviceRef{}, ""
	}
	c.Split.Why = cmp.Or(c.Split.Why,
		fmt.Sprintf("there is no %s %s in namespace %s", c.Split.Kind, c.Name, c.Namespace))
	c.nameOthers()
}

// nothingSplits says of a bare name which kinds were looked for.
func (c *Case) nothingSplits() string {
	var kinds []string
	for _, k := range Kinds() {
		if k.Provider == "" || k.Provider == c.Provider() {
			kinds = append(kinds, string(k.Path))
		}
	}
	last := len(kinds) - 1
	return fmt.Sprintf("nothing splits Service %s in namespace %s: there is no %s or %s for it, nor one of that name",
		c.Name, c.Namespace, strings.Join(kinds[:last], ", "), kinds[last])
}

// candidate is a split object and the root Service that it names.
type candidate struct{ short, root string }

// candidates are all splits of the namespace.
func (c *Case) candidates() []candidate {
	var out []candidate
	for _, k := range Kinds() {
		if k.splits != nil {
			out = append(out, k.splits(c)...)
		}
	}
	return out
}

// declare keeps what the object that was named says, whoever rules.
func (c *Case) declare(bs []Leaf) {
	c.declaredLaw = weightsOf(bs)
	for _, w := range c.declaredLaw {
		c.Split.Declared = append(c.Split.Declared, Declared{Service: w.Service, Raw: fmt.Sprint(w.Weight)})
	}
}

// NameOf is a Service as the rest of the Snapshot names it: with its namespace where that is not the split's.
func (c *Case) NameOf(namespace, service string) string {
	return nameIn(c.Namespace, namespace, service)
}

func (c *Case) rootName(r serviceRef) string { return c.NameOf(r.namespace, r.name) }

func nameIn(own, namespace, service string) string {
	if namespace == own {
		return service
	}
	return service + "." + namespace
}

// onlyRoot takes the one root Service that is split for the name that was not given. Several TrafficSplits of one root
// are told apart later.
func (c *Case) onlyRoot() error {
	all := c.candidates()
	if len(c.Objects.TrafficSplits) == len(all) && len(all) > 0 {
		return nil // the choice among TrafficSplits has its own words
	}
	if len(all) == 0 {
		return &Unclear{
			Object: "in namespace " + c.Namespace,
			Cause:  "there is no TrafficSplit and no route of a Service",
			Hint:   "name one, as ts/NAME, and its namespace with -n",
		}
	}
	var names []string
	oneRoot := true
	for _, s := range all {
		names = append(names, s.short)
		oneRoot = oneRoot && s.root == all[0].root
	}
	switch {
	case len(all) == 1:
		kind, name, _ := strings.Cut(all[0].short, "/")
		c.Kind, c.Name = KindOf(kind), name
	case oneRoot:
		c.Name = all[0].root
	default:
		return &Unclear{
			Several: true, Object: "in namespace " + c.Namespace,
			Cause: fmt.Sprintf("%d splits fit", len(all)), Hint: "name one; " + Candidates("", "splits", names),
		}
	}
	return nil
}

// nameOthers lists the other splits of the namespace, and which of them have the same root.
func (c *Case) nameOthers() {
	s := &c.Split
	var others, rivals []string
	for _, other := range c.candidates() {
		if s.Found && other.short == s.Short() {
			continue
		}
		others = append(others, other.short)
		if s.Found && other.root == s.Root {
			rivals = append(rivals, other.short)
		}
	}
	s.Others, s.Rivals = Listed(others), Listed(rivals)
}

// cutLast takes name.namespace apart.
func cutLast(name string) (base, namespace string, ok bool) {
	base, namespace, ok = strings.Cut(name, ".")
	return base, namespace, ok && base != "" && namespace != "" && !strings.Contains(namespace, ".")
}
