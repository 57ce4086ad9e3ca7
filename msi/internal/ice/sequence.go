package ice

import (
	"cmp"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/msi/internal/msidb"
)

// The bits of CustomAction.Type.
const (
	caSourceMask    = 0x003f // what it runs and where that is
	caRollback      = 0x0100 // with caInScript
	caCommit        = 0x0200 // with caInScript
	caInScript      = 0x0400 // deferred
	caNoImpersonate = 0x0800 // as the system, with caInScript
	caHideTarget    = 0x2000
	caAllBits       = 0xffff

	caSetProperty = 51 // sets the property Source to Target
)

// setsOnly are the types of actions that run no code: an error, and the setting of
// a directory or a property.
var setsOnly = []int{19, 35, caSetProperty}

// A step is a row of a sequence table.
type step struct {
	msidb.Record
	action   string
	sequence int
	custom   msidb.Record // of CustomAction, if isCustom
	isCustom bool
}

// caType is the type of a step's custom action; 0 for any other.
func (s step) caType() int {
	if !s.isCustom {
		return 0
	}
	return s.custom.Int("Type")
}

// sequence gives the steps that run, in their order. Those without a number do not,
// and those with a negative one are dialogs at the end.
func (c *checker) sequence(table string) []step {
	var steps []step
	for r := range c.db.Rows(table) {
		s := step{Record: r, action: r.Text("Action"), sequence: r.Int("Sequence")}
		s.custom, s.isCustom = c.index("CustomAction")[s.action]
		if s.sequence > 0 {
			steps = append(steps, s)
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.sequence, b.sequence) })
	return steps
}

// position is the number of an action in a sequence; 0 if it is not there.
func position(steps []step, action string) int {
	for _, s := range steps {
		if s.action == action {
			return s.sequence
		}
	}
	return 0
}

func checkICE26(c *checker) {
	for _, required := range requiredActions {
		steps := c.sequence(required.table)
		if len(steps) == 0 && required.table != installExecute {
			continue
		}
		for _, a := range required.actions {
			if position(steps, a) == 0 {
				c.error(required.table+"."+a, "there is no such action, and the sequence needs it")
			}
		}
		for _, s := range steps {
			if a, ok := standard(s.action); ok && !s.isCustom && !a.in(required.table) {
				c.error(s.Key(), "the action has no place in this sequence")
			}
		}
	}
}

func checkICE27(c *checker) {
	for _, table := range sequenceTables {
		steps := c.sequence(table)
		at := map[string]int{}
		var script string
		for _, s := range steps {
			at[s.action] = s.sequence
			a, ok := standard(s.action)
			if !ok && !s.isCustom && !c.has("Dialog", s.action) {
				c.error(s.Key(), "%q is neither a standard action nor in CustomAction or Dialog", s.action)
			}
			if ok && writesScript(a) {
				script = s.action
			}
		}
		if _, ok := at["InstallFinalize"]; ok != (script != "") && table != adminUI && table != installUI {
			if ok {
				c.error(table+".InstallFinalize", "there is nothing for it to run")
			} else {
				c.error(table+"."+script, "there is no InstallFinalize to run what the action prepares")
			}
		}
		for _, s := range steps {
			if a, ok := standard(s.action); ok && !inSection(a.section, s.sequence, at) {
				c.error(s.Key()+".Sequence", "the action belongs %v", a.section)
			}
		}
		for _, pair := range actionOrder {
			before, ok1 := at[pair[0]]
			after, ok2 := at[pair[1]]
			if ok1 && ok2 && before > after {
				c.error(table+"."+pair[0]+".Sequence", "%d is after %d, where %s is, which must come later", before, after, pair[1])
			}
		}
	}
}

// inSection reports whether a number is in the section, as far as the actions that
// bound it are there.
func inSection(s section, n int, at map[string]int) bool {
	before := func(action string) bool { return at[action] == 0 || n <= at[action] }
	after := func(action string) bool { return n >= at[action] }
	switch s {
	case search:
		return before("CostInitialize")
	case costing:
		return after("CostInitialize") && before("CostFinalize")
	case selection:
		return after("CostFinalize") && before("InstallValidate")
	case execution:
		return after("InstallValidate") && before("InstallFinalize")
	}
	return true
}

// checkICE63 looks at where old products are removed.
func checkICE63(c *checker) {
	steps := c.sequence(installExecute)
	remove := position(steps, "RemoveExistingProducts")
	validate, initialize, finalize := position(steps, "InstallValidate"), position(steps, "InstallInitialize"), position(steps, "InstallFinalize")
	where := installExecute + ".RemoveExistingProducts.Sequence"
	switch {
	case remove == 0 || finalize != 0 && remove > finalize || validate == 0:
		return
	case remove < validate:
		c.error(where, "%d is before InstallValidate", remove)
		return
	case initialize == 0 || remove < initialize:
		return
	}
	// What stands between it and the last action that leaves the script empty.
	from := initialize
	for _, a := range [...]string{"InstallExecute", "InstallExecuteAgain"} {
		if n := position(steps, a); n != 0 && n < remove {
			from = max(from, n)
		}
	}
	for _, s := range steps {
		if s.sequence <= from || s.sequence >= remove {
			continue
		}
		if a, ok := standard(s.action); ok && writesScript(a) {
			c.error(where, "%s, at %d, writes to the script before it", s.action, s.sequence)
		} else if s.caType()&caInScript != 0 {
			c.warn(where, "%s, at %d, writes to the script before it", s.action, s.sequence)
		}
	}
}

// checkICE68 finds types of custom actions that do not exist.
func checkICE68(c *checker) {
	valid := []int{1, 2, 5, 6, 7, 17, 18, 19, 21, 22, 23, 34, 35, 37, 38, 39, 50, 51, 53, 54}
	for r := range c.db.Rows("CustomAction") {
		t := r.Int("Type")
		where := r.Key() + ".Type"
		inScript := t&caInScript != 0
		switch {
		case t&^caAllBits != 0 || !slices.Contains(valid, t&caSourceMask):
			c.error(where, "%d is no type of custom action", t)
		case inScript && slices.Contains(setsOnly, t&caSourceMask):
			c.error(where, "%d is deferred, when an action of type %d must have happened", t, t&caSourceMask)
		case inScript && t&(caRollback|caCommit) == caRollback|caCommit:
			c.error(where, "%d is for rollback and for commit", t)
		case t&caNoImpersonate != 0 && !inScript:
			c.warn(where, "%d has the bit to run as the system (%#x), which needs that to be deferred (%#x)", t, caNoImpersonate, caInScript)
		}
	}
}

func checkICE72(c *checker) {
	for _, s := range c.sequence(advtExecute) {
		if s.isCustom && !slices.Contains(setsOnly, s.caType()&caSourceMask) {
			c.error(s.Key(), "the action runs code, which an advertisement must not")
		}
	}
}

// checkICE75 looks at the actions that run an installed file. That the file is there
// at the time is not the evaluator's business, and so a warning.
func checkICE75(c *checker) {
	for _, table := range [...]string{installUI, installExecute, adminUI, adminExecute} {
		steps := c.sequence(table)
		finalize := position(steps, "CostFinalize")
		install, remove := position(steps, "InstallFiles"), position(steps, "RemoveFiles")
		for _, s := range steps {
			if !s.isCustom || s.caType()&0x30 != 0x10 || s.caType()&caSourceMask == 19 {
				continue
			}
			switch {
			case finalize == 0 || s.sequence < finalize:
				c.error(s.Key()+".Sequence", "the action runs the installed file %q, and must come after CostFinalize", s.custom.Text("Source"))
			case table != installExecute || s.caType()&caRollback != 0:
			case c.mayRun(s, fresh) && s.sequence < install:
				c.warn(s.Key()+".Sequence", "the action runs the file %q before InstallFiles installs it", s.custom.Text("Source"))
			case c.mayRun(s, uninstall) && remove != 0 && s.sequence > remove:
				c.warn(s.Key()+".Sequence", "the action runs the file %q after RemoveFiles removes it", s.custom.Text("Source"))
			}
		}
	}
}

func checkICE77(c *checker) {
	for _, table := range [...]string{installExecute, adminExecute} {
		steps := c.sequence(table)
		initialize, finalize := position(steps, "InstallInitialize"), position(steps, "InstallFinalize")
		for _, s := range steps {
			if s.caType()&caInScript != 0 && (initialize == 0 || s.sequence < initialize || s.sequence > finalize) {
				c.error(s.Key()+".Sequence", "the action is deferred, and not between InstallInitialize and InstallFinalize")
			}
		}
	}
}

// checkICE79 finds components and features in conditions that do not exist.
func checkICE79(c *checker) {
	for _, l := range c.conditions {
		cond, err := parseCondition(l.text)
		if err != nil {
			continue // ICE03 says so
		}
		for _, s := range cond.symbols {
			switch s.prefix {
			case '$', '?':
				if !c.has("Component", s.name) {
					c.error(l.where(), "the component %q does not exist", s.name)
				}
			case '&', '!':
				if !c.has("Feature", s.name) {
					c.error(l.where(), "the feature %q does not exist", s.name)
				}
			}
		}
	}
}

func checkICE82(c *checker) {
	steps := c.sequence(installExecute)
	var missing []string
	all := [...]string{"RegisterUser", "RegisterProduct", "PublishFeatures", "PublishProduct"}
	for _, a := range all {
		if position(steps, a) == 0 {
			missing = append(missing, a)
		}
	}
	switch len(missing) {
	case 0:
	case len(all):
		c.warn(installExecute, "it has none of %s, so that the product is not registered", strings.Join(missing, ", "))
	default:
		c.error(installExecute, "it lacks %s, and has others of %s", strings.Join(missing, ", "), strings.Join(all[:], ", "))
	}
	for _, table := range sequenceTables {
		steps := c.sequence(table)
		for i := 1; i < len(steps); i++ {
			if steps[i].sequence == steps[i-1].sequence {
				c.warn(steps[i].Key()+".Sequence", "%d is the number of %s too", steps[i].sequence, steps[i-1].action)
			}
		}
	}
}

func checkICE84(c *checker) {
	for _, table := range [...]string{advtExecute, adminExecute, installExecute} {
		for _, s := range c.sequence(table) {
			if !s.IsNull("Condition") && slices.Contains(unconditional, s.action) {
				c.warn(s.Key()+".Condition", "the action has to run always")
			}
		}
	}
}

func checkICE86(c *checker) {
	for _, l := range c.conditions {
		cond, err := parseCondition(l.text)
		if err == nil && slices.Contains(cond.symbols, symbol{0, "AdminUser"}) {
			c.warn(l.where(), "it asks for AdminUser, and for most purposes Privileged is the right question")
		}
	}
}

func checkICE93(c *checker) {
	for r := range c.db.Rows("CustomAction") {
		if _, ok := standard(r.Text("Action")); ok {
			c.warn(r.Key(), "the action has the name of a standard action")
		}
	}
}

func checkICE96(c *checker) {
	if c.db.Table(advtExecute) == nil {
		return
	}
	steps := c.sequence(advtExecute)
	for _, a := range [...]string{"PublishFeatures", "PublishProduct"} {
		if position(steps, a) == 0 {
			c.warn(advtExecute+"."+a, "there is no such action, so that the product cannot be advertised")
		}
	}
}

// A scenario is a way in which a package is run.
type scenario int

const (
	fresh     scenario = iota // nothing was installed
	upgrade                   // an older product was found, and is removed
	repair                    // the product is installed again over itself
	uninstall                 // a user removes it
	replaced                  // the upgrade to a later product removes it
	scenarios
)

// A situation is a scenario in which a user gave values to all of the package's own
// properties, or to none.
type situation struct {
	scenario
	given bool
}

// situations are all, each scenario without and with values.
func situations(yield func(situation) bool) {
	for in := range scenarios {
		if !yield(situation{in, false}) || !yield(situation{in, true}) {
			return
		}
	}
}

// runs reports whether the condition of a step holds in a situation. One that cannot
// be parsed holds in none.
func (c *checker) runs(s step, in situation) bool {
	cond, err := parseCondition(s.Text("Condition"))
	return err == nil && cond.holds(func(sym symbol) string { return c.value(sym, in) })
}

// mayRun reports whether the condition holds with some values of the package's own
// properties.
func (c *checker) mayRun(s step, in scenario) bool {
	return c.runs(s, situation{in, false}) || c.runs(s, situation{in, true})
}

// value is what a symbol has in a situation on a machine of today.
func (c *checker) value(s symbol, in situation) string {
	const absent, local = "2", "3" // INSTALLSTATE_*
	installed, removing := in.scenario >= repair, in.scenario >= uninstall
	switch s.prefix {
	case '$', '&':
		if removing {
			return absent
		}
		return local
	case '?', '!':
		if installed {
			return local
		}
		return absent
	case '%':
		return ""
	}
	switch s.name {
	case "Installed":
		if installed {
			return "00:00:00"
		}
		return ""
	case "REMOVE":
		if removing {
			return "ALL"
		}
		return ""
	case "REINSTALL":
		if in.scenario == repair {
			return "ALL"
		}
		return ""
	case "UPGRADINGPRODUCTCODE":
		if in.scenario == replaced {
			return "{00000000-0000-0000-0000-000000000001}"
		}
		return ""
	case "VersionNT", "VersionNT64", "MsiNTProductType", "Privileged":
		return map[string]string{"VersionNT": "603", "VersionNT64": "603", "MsiNTProductType": "1", "Privileged": "1"}[s.name]
	}
	if removes, ok := c.upgrades[s.name]; ok {
		if in.scenario == upgrade && removes {
			return "{00000000-0000-0000-0000-000000000002}"
		}
		return ""
	}
	if v, ok := c.properties[s.name]; ok || !in.given || isSystemProperty(s.name) {
		return v
	}
	return "1"
}
