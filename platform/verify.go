package platform

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/vpkg/vpkg/hooks"
)

// A Deviation is one way in which the host is not as the product wants it.
type Deviation struct {
	Rule  string `json:"rule"`           // RuleMissing and so on
	Where string `json:"where"`          // path of a file, or name of a unit, module, setting or component
	Text  string `json:"text"`           // one sentence without an end
	Want  string `json:"want,omitempty"` // where there are two values to compare
	Got   string `json:"got,omitempty"`
}

func (d Deviation) String() string { return d.Rule + ": " + d.Where + ": " + d.Text }

// The rules about files. Those of the record are under these names too.
const (
	RuleMissing      = "missing"
	RuleExtra        = "extra" // in the program folder, and not in the record
	RuleType         = "type"  // file, folder or link
	RuleMode         = "mode"
	RuleOwner        = "owner"
	RuleGroup        = "group"
	RuleContent      = "content"
	RuleLink         = "link" // where it points
	RuleHardLink     = "hardlink"
	RuleCapabilities = "capabilities"
	RuleRecord       = "record" // it cannot be read, or is not the package's
)

// The rules about what is in force.
const (
	RuleUnitDisabled   = "unit-disabled"
	RuleUnitStopped    = "unit-stopped"    // of a unit, a service of Windows, or a component without systemd
	RuleUnitOverridden = "unit-overridden" // by a drop-in, or another file in place of ours; on Windows by another program
	RuleUnitMasked     = "unit-masked"
	RuleModule         = "module"
	RuleSysctl         = "sysctl"
	RuleFirewall       = "firewall"
	RuleProcessAccount = "process-account"
	RuleFailed         = "failed"     // the state folder says that an installation failed
	RuleRecovery       = "recovery"   // what could not be given back waits for a person
	RuleUnfinished     = "unfinished" // what was unpacked has not been set up, or not to the end
)

// Deviations looks at everything that an installed product wants of its host and the
// record does not say: the folders and files that the hook makes, units, processes,
// kernel modules and settings, the rules of the packet filter, and what the state
// folder says. Nothing is changed. The files of the record are RecordDeviations'.
//
// What is looked at depends on what there is: without systemd no units, and nothing
// of the kernel or the packet filter unless the product has set it up. That a
// product is suspended is no deviation, nor are the host's own rules one, whatever
// they are, where no policy is to be in force.
//
// Root is the folder of a system that does not run, such as an image; empty means
// the running one. Of an image only files are looked at. p.Sys is then that system,
// or a hooks.Host without a root, to which it is added.
func (p Product) Deviations(ctx context.Context, root string) ([]Deviation, error) {
	v := verification{Product: p.in(root)}
	was, err := hooks.ReadInstalled(v.Sys, p.Config.Name)
	if err != nil {
		return nil, fmt.Errorf("reading the installed state: %w", err)
	}
	if err := v.stateFiles(was); err != nil || was.Version == "" {
		return v.found, err
	}
	v.user = was.User
	if v.user == "" {
		v.user = p.Config.Account.User
	}
	if err := v.beside(ctx); err != nil {
		return nil, err
	}
	return v.found, v.running(ctx, root != "")
}

// in is the product of the system in that folder.
func (p Product) in(root string) Product {
	if h, ok := p.Sys.(hooks.Host); ok && root != "" && h.Root == "" {
		h.Root = root
		p.Sys = h
	}
	return p
}

// A verification is one run of Deviations.
type verification struct {
	Product
	user  string // of the components that are not root's; empty means root
	found []Deviation
}

func (v *verification) add(rule, where, text string) {
	v.found = append(v.found, Deviation{Rule: rule, Where: where, Text: text})
}

// differ adds a deviation with two values.
func (v *verification) differ(rule, where, want, got string) {
	v.found = append(v.found, Deviation{rule, where, "is " + got + ", want " + want, want, got})
}

// stateFiles looks at what the state folder says of the installation.
func (v *verification) stateFiles(was hooks.Installed) error {
	dir := v.Config.State() + "/"
	if v.there(dir + "failed") {
		f, err := hooks.ReadFailure(v.Sys, v.Config.Name)
		if err != nil {
			return err
		}
		v.add(RuleFailed, dir+"failed", "the installation failed: "+f.Error)
	}
	if v.there(dir + "recovery.txt") {
		v.add(RuleRecovery, dir+"recovery.txt", "says what could not be given back")
	}
	if v.there(dir + "journal.json") {
		e, err := hooks.Unended(v.Sys, v.Config.Name)
		if err != nil {
			return err
		}
		v.add(RuleUnfinished, dir+"journal.json", string(e.Phase)+" of version "+e.Version+" has not ended: it broke off, or goes on just now")
	}
	switch {
	case was.Version == "":
		v.add(RuleUnfinished, dir+"installed.json", "the package has been unpacked and not set up: its scripts have not run")
	case was.Version != v.Config.Version && !strings.HasPrefix(was.Version, v.Config.Version+"."): // with a target's label, as a DEB's is
		v.add(RuleUnfinished, dir+"installed.json", "version "+was.Version+" has been set up, and version "+v.Config.Version+" is unpacked")
	}
	return nil
}

func (v *verification) there(name string) bool {
	_, err := v.Sys.Stat(name)
	return err == nil
}

// beside looks at the folders and files that the hook makes.
func (v *verification) beside(ctx context.Context) error {
	for _, s := range hooks.Beside(v.Config, v.user) {
		var err error
		switch {
		case s.Absent || s.AsIs:
		case s.Kind == hooks.Dir:
			err = v.folder(ctx, s)
		case s.Kind == hooks.File:
			err = v.file(s.Path, s.Text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (v *verification) folder(ctx context.Context, s hooks.Step) error {
	is, err := v.Sys.Stat(s.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		v.add(RuleMissing, s.Path, "is not there")
		return nil
	case err != nil:
		return err
	case is.Mode&fs.ModeSymlink != 0: // the hook leaves what it points to as it is
		return nil
	case !is.Mode.IsDir():
		v.differ(RuleType, s.Path, "a folder", "none")
		return nil
	case v.Config.Windows: // its access list is repaired by each installation
		return nil
	}
	if is := hooks.ModeOf(is.Mode); is != s.Mode {
		v.differ(RuleMode, s.Path, octal(s.Mode), octal(is))
	}
	v.account(ctx, RuleOwner, "passwd", s.Path, s.Owner, is.UID)
	v.account(ctx, RuleGroup, "group", s.Path, s.Group, is.GID)
	return nil
}

func octal(m hooks.Mode) string { return fmt.Sprintf("%04o", uint32(m)) }

// account compares an owner or a group.
func (v *verification) account(ctx context.Context, rule, database, where, want string, is int) {
	if want == "" {
		want = "root"
	}
	if n, ok := v.number(ctx, database, want); !ok || n != is {
		v.differ(rule, where, want, v.name(ctx, database, is))
	}
}

// number is the number of an account.
func (v *verification) number(ctx context.Context, database, name string) (int, bool) {
	if name == "root" {
		return 0, true
	}
	return v.lookup(ctx, database, name, 2)
}

// name is the name of an account, or its number.
func (v *verification) name(ctx context.Context, database string, n int) string {
	if n == 0 {
		return "root"
	}
	out, err := v.Sys.Run(ctx, "getent", database, strconv.Itoa(n))
	if name, _, ok := strings.Cut(out, ":"); ok && err == nil {
		return name
	}
	return strconv.Itoa(n)
}

// lookup gives a field of a line of passwd or group that is a number.
func (v *verification) lookup(ctx context.Context, database, name string, field int) (int, bool) {
	out, err := v.Sys.Run(ctx, "getent", database, name)
	fields := strings.Split(out, ":")
	if err != nil || len(fields) <= field {
		return 0, false
	}
	n, err := strconv.Atoi(fields[field])
	return n, err == nil
}

// file looks at a file that the hook writes: its text has to be one of these.
func (v *verification) file(name string, texts ...string) error {
	b, err := v.Sys.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		v.add(RuleMissing, name, "is not there")
		return nil
	}
	if err != nil {
		return err
	}
	if slices.Contains(texts, string(b)) {
		return nil
	}
	v.add(RuleContent, name, "is not as it was written")
	return nil
}
