package rpm

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/packaging"
)

const (
	shell = "/bin/sh" // the interpreter of a script that names none
	lua   = "<lua>"   // the interpreter inside rpm
)

// A scriptKind says where a header has a scriptlet.
type scriptKind struct {
	phase      packaging.Phase
	name       string // as a spec file has it
	body, prog tag
}

var scriptKinds = []scriptKind{
	{packaging.PreInstall, "%pre", tagPreIn, tagPreInProg},
	{packaging.PostInstall, "%post", tagPostIn, tagPostInProg},
	{packaging.PreRemove, "%preun", tagPreUn, tagPreUnProg},
	{packaging.PostRemove, "%postun", tagPostUn, tagPostUnProg},
	{packaging.PreTrans, "%pretrans", tagPreTrans, tagPreTransProg},
	{packaging.PostTrans, "%posttrans", tagPostTrans, tagPostTransProg},
	{packaging.PreUnTrans, "%preuntrans", tagPreUnTrans, tagPreUnTransProg},
	{packaging.PostUnTrans, "%postuntrans", tagPostUnTrans, tagPostUnTransProg},
	{packaging.VerifyScript, "%verifyscript", tagVerifyScript, tagVerifyScriptProg},
}

// A triggerKind is the kind of a trigger, by its sense.
type triggerKind struct {
	name  string
	sense uint32
	set   *triggerTags
}

// A triggerTags says where a header has a set of triggers.
type triggerTags struct {
	script, prog, name, index, version, flags tag
	priorities                                tag // 0 for triggers on packages
}

var (
	packageTriggers = &triggerTags{
		tagTriggerScripts, tagTriggerScriptProg, tagTriggerName, tagTriggerIndex,
		tagTriggerVersion, tagTriggerFlags, 0,
	}
	fileTriggers = &triggerTags{
		tagFileTriggerScripts, tagFileTriggerScriptProg, tagFileTriggerName, tagFileTriggerIndex,
		tagFileTriggerVersion, tagFileTriggerFlags, tagFileTriggerPriorities,
	}
	transFileTriggers = &triggerTags{
		tagTransFileTriggerScripts, tagTransFileTriggerScriptProg, tagTransFileTriggerName, tagTransFileTriggerIndex,
		tagTransFileTriggerVersion, tagTransFileTriggerFlags, tagTransFileTriggerPriorities,
	}
)

// Senses of triggers. A relation of a trigger has one of these.
const (
	senseTriggerIn     uint32 = 1 << 16
	senseTriggerUn     uint32 = 1 << 17
	senseTriggerPostUn uint32 = 1 << 18
	senseTriggerPreIn  uint32 = 1 << 25
)

var triggerKinds = []triggerKind{
	{"triggerprein", senseTriggerPreIn, packageTriggers},
	{"triggerin", senseTriggerIn, packageTriggers},
	{"triggerun", senseTriggerUn, packageTriggers},
	{"triggerpostun", senseTriggerPostUn, packageTriggers},
	{"filetriggerin", senseTriggerIn, fileTriggers},
	{"filetriggerun", senseTriggerUn, fileTriggers},
	{"filetriggerpostun", senseTriggerPostUn, fileTriggers},
	{"transfiletriggerin", senseTriggerIn, transFileTriggers},
	{"transfiletriggerun", senseTriggerUn, transFileTriggers},
	{"transfiletriggerpostun", senseTriggerPostUn, transFileTriggers},
}

// triggerPriority is what rpmbuild gives a file trigger without -P.
const triggerPriority = 1_000_000

// addScripts adds the scriptlets, and what they need to the relations.
func addScripts(h *header, scripts []packaging.Script, ds dependencies, n *needs) []error {
	var errs []error
	seen := map[packaging.Phase]bool{}
	for _, s := range scripts {
		i := slices.IndexFunc(scriptKinds, func(k scriptKind) bool { return k.phase == s.Phase })
		if i < 0 {
			errs = append(errs, fmt.Errorf("%s script: RPM has no such scriptlet", s.Phase))
			continue
		}
		k := scriptKinds[i]
		if seen[s.Phase] {
			errs = append(errs, fmt.Errorf("%s: there are two", k.name))
			continue
		}
		seen[s.Phase] = true
		if s.Phase == packaging.PreUnTrans || s.Phase == packaging.PostUnTrans {
			n.add(UninstallTransaction, k.name)
		}
		if s.Body != "" {
			h.addString(k.body, s.Body)
		}
		prog := interpreter(s)
		if len(prog) == 1 {
			h.addString(k.prog, prog[0])
		} else {
			h.addStrings(k.prog, prog)
			n.add(featScriptletInterpreterArgs, k.name)
		}
		if err := requireInterpreter(prog[0], phaseSense(s.Phase), k.name, ds, n); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// interpreter gives the program and the arguments of a script.
func interpreter(s packaging.Script) []string {
	if len(s.Interpreter) == 0 {
		return []string{shell}
	}
	return s.Interpreter
}

// requireInterpreter adds the relation of a scriptlet to its interpreter.
func requireInterpreter(prog string, sense uint32, name string, ds dependencies, n *needs) error {
	switch {
	case prog == lua:
		n.add(featBuiltinLuaScripts, name)
	case !strings.HasPrefix(prog, "/"):
		return fmt.Errorf("%s: interpreter %q is neither an absolute path nor %s", name, prog, lua)
	default:
		ds.add(tagRequireName, dependency{prog, "", senseInterp | sense})
	}
	return nil
}

// addTriggers adds the triggers, and what they need to the relations.
func addTriggers(h *header, triggers []packaging.Trigger, ds dependencies, n *needs) []error {
	var errs []error
	for _, set := range []*triggerTags{packageTriggers, fileTriggers, transFileTriggers} {
		var b triggerBuilder
		for _, t := range triggers {
			k, ok := findTrigger(t.Kind)
			if !ok || k.set != set {
				continue
			}
			if err := b.add(t, k, ds, n); err != nil {
				errs = append(errs, err)
			}
		}
		if len(b.scripts) > 0 {
			b.appendTo(h, set)
		}
	}
	for _, t := range triggers {
		if _, ok := findTrigger(t.Kind); !ok {
			errs = append(errs, fmt.Errorf("trigger %q: RPM has no such trigger", t.Kind))
		}
	}
	return errs
}

func findTrigger(name string) (triggerKind, bool) {
	i := slices.IndexFunc(triggerKinds, func(k triggerKind) bool { return k.name == name })
	if i < 0 {
		return triggerKind{}, false
	}
	return triggerKinds[i], true
}

// A triggerBuilder collects the triggers of a set.
type triggerBuilder struct {
	scripts, progs []string
	priorities     []uint32
	on             []triggerCondition
}

// A triggerCondition is one relation or path of a trigger.
type triggerCondition struct {
	dependency
	script uint32 // number of the trigger's script in its set
}

func (b *triggerBuilder) add(t packaging.Trigger, k triggerKind, ds dependencies, n *needs) error {
	if len(t.On) == 0 {
		return fmt.Errorf("%%%s: says not what on", t.Kind)
	}
	prog := interpreter(t.Script)
	if len(prog) > 1 {
		return fmt.Errorf("%%%s: interpreter %q: RPM has no arguments for those of triggers", t.Kind, prog)
	}
	if t.Priority != 0 && k.set.priorities == 0 {
		return fmt.Errorf("%%%s: only file triggers have a priority", t.Kind)
	}
	index := uint32(len(b.scripts))
	b.scripts, b.progs = append(b.scripts, t.Script.Body), append(b.progs, prog[0])
	b.priorities = append(b.priorities, cmp.Or(t.Priority, triggerPriority))
	for _, on := range t.On {
		list := []dependency{{name: on}}
		if k.set == packageTriggers {
			var err error
			if list, err = parseRelations(on); err != nil {
				return fmt.Errorf("%%%s: %q: %w", t.Kind, on, err)
			}
		} else if !strings.HasPrefix(on, "/") {
			return fmt.Errorf("%%%s: %q is not an absolute path", t.Kind, on)
		}
		for _, d := range list {
			if d.rich() {
				return fmt.Errorf("%%%s: %q: cannot be a rich dependency", t.Kind, on)
			}
			d.flags |= k.sense
			b.on = append(b.on, triggerCondition{d, index})
		}
	}
	if k.set != packageTriggers {
		n.add(FileTriggers, "%"+t.Kind)
	}
	return requireInterpreter(prog[0], 0, "%"+t.Kind, ds, n)
}

func (b *triggerBuilder) appendTo(h *header, set *triggerTags) {
	on := slices.Clone(b.on)
	slices.SortStableFunc(on, func(a, b triggerCondition) int {
		return compareDependencies(a.dependency, b.dependency)
	})
	var names, versions []string
	var flags, index []uint32
	for _, c := range on {
		names, versions = append(names, c.name), append(versions, c.version)
		flags, index = append(flags, c.flags), append(index, c.script)
	}
	h.addStrings(set.script, b.scripts)
	h.addStrings(set.prog, b.progs)
	h.addStrings(set.name, names)
	h.addStrings(set.version, versions)
	h.addUint32s(set.flags, flags...)
	h.addUint32s(set.index, index...)
	if set.priorities != 0 {
		h.addUint32s(set.priorities, b.priorities...)
	}
}
