package hooks

import (
	"fmt"
	"strings"
)

// FromMSI tells what a custom action of Windows Installer means. Its arguments
// are properties, NAME=VALUE, in any order:
//
//	Installed=…              the product is installed already (00:00:00, or a date)
//	OLDVERSIONFOUND=…        FindRelatedProducts found another version, which goes;
//	                         also as WIX_UPGRADE_DETECTED=…
//	REMOVE=ALL               the product goes (or a list of features, then it stays)
//	UPGRADINGPRODUCTCODE=…   it goes because another version comes
//	REMOVEDATA=1             and nothing is to stay of it
//	ROLLBACK=1               a rollback action: what was begun is taken back
//	COMMIT=1                 a commit action: the installation has gone well
//
// An empty value is no value, for that is what a property gives that is not set.
// Other names are not looked at, such as INSTALLFOLDER, which is the program's.
//
// A program gets them in the action's Target, as "REMOVE=[REMOVE]", which is
// filled in when the script is written: a deferred action cannot read properties,
// and [CustomActionData] in the Target of a program gives it nothing.
//
// Post-install comes after InstallServices, whose services it enables.
//
// Windows Installer takes an installation back as a whole, at any action after
// ours too. So every event is open until it says that it went well: a post-install
// or post-remove with COMMIT=1 does what is still to be done, and closes it.
//
//	                   fresh     repair      other version comes
//	pre-/post-install  install   reinstall   upgrade or downgrade
//	                   removal               other version comes
//	pre-/post-remove   remove, or purge      upgrade: nothing is done
//
// Pre-install refuses a downgrade, whatever the package's own conditions let pass:
// these do not see the build of a version.
func FromMSI(p Phase, args []string, c Config, was Installed) (Event, error) {
	e := newEvent(p, c, was)
	is := map[string]string{} // properties that are set
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			return Event{}, fmt.Errorf("msi %s action: argument %q is not NAME=VALUE", p, arg)
		}
		if value != "" {
			is[name] = value
		}
	}
	e.Open = is["COMMIT"] != "1"
	all := strings.EqualFold(is["REMOVE"], "ALL")
	switch {
	case is["ROLLBACK"] == "1":
		e.Action, e.Open = Rollback, false
	case p == PreInstall || p == PostInstall:
		if all {
			return Event{}, fmt.Errorf("msi %s action: REMOVE is %q: the product is removed", p, is["REMOVE"])
		}
		e.Action = e.comes(is)
		if p == PreInstall && e.Action == Downgrade && was.Unfinished == "" {
			return Event{}, fmt.Errorf("%s %s is older than %s, which is installed: remove that first", c.Name, c.Version, was.Version)
		}
		if !e.Open {
			// Windows Installer has taken the old version's services away, and made
			// and started them anew: they are new ones.
			e.Was.Units = nil
		}
	case p == PreRemove || p == PostRemove:
		if is["REMOVE"] == "" {
			return Event{}, fmt.Errorf("msi %s action: REMOVE is not set", p)
		}
		e.Action = goes(p, is, all)
	case p == PostTrans || p == PreTrans:
		e.Open = false
	default:
		return Event{}, fmt.Errorf("msi %s action: %w", p, ErrUnknown)
	}
	return e, nil
}

// comes names the action of a product that is being installed.
func (e Event) comes(is map[string]string) Action {
	switch other := is["OLDVERSIONFOUND"] != "" || is["WIX_UPGRADE_DETECTED"] != ""; {
	case e.Was.Unfinished != "" && (!e.Open || is["Installed"] != ""):
		return e.Was.Unfinished // of this installation, or of one that failed and is repaired
	case is["Installed"] == "" && !other:
		return Install
	case e.Was.Version != "":
		return change(e.Was.Version, e.Version) // a minor upgrade has the form of a repair
	case other:
		return Upgrade // of a package that vpkg did not make
	}
	return Reinstall
}

// goes names the action of a product, or features of it, that is being removed.
func goes(p Phase, is map[string]string, all bool) Action {
	switch {
	case is["UPGRADINGPRODUCTCODE"] != "":
		return Upgrade // so there is nothing to do
	case !all:
		return Reinstall // features: the same
	case p == PostRemove && is["REMOVEDATA"] == "1":
		return Purge
	}
	return Remove
}
