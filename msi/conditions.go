package msi

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/packaging"
)

func list(names []string, more ...string) string {
	return strings.Join(append(slices.Clone(names), more...), ";")
}

// searched are the properties that AppSearch sets.
func searched(w *packaging.Windows) []string {
	names := []string{"WINDOWSMAJOR", "OLDINSTALLFOLDER", "OLDVERSION", "OLDBUILD"}
	if w.Data != "" {
		names = append(names, "OLDDATAFOLDER")
	}
	return names
}

// search looks up in the registry what the host is and what is installed on it.
func (b *builder) search() {
	const (
		localMachine = 2
		rawValue     = 2  // msidbLocatorTypeRawValue
		registry64   = 16 // msidbLocatorType64bit
	)
	look := func(property, key, name string) {
		b.db.Add("AppSearch", property, property)
		b.db.Add("RegLocator", property, localMachine, key, name, rawValue|registry64)
	}
	look("WINDOWSMAJOR", `SOFTWARE\Microsoft\Windows NT\CurrentVersion`, "CurrentMajorVersionNumber")
	own := stateKey(b.p.Name)
	look("OLDINSTALLFOLDER", own, "InstallFolder")
	look("OLDVERSION", own, "Version")
	look("OLDBUILD", own, "Build")
	if b.p.Windows.Data != "" {
		look("OLDDATAFOLDER", own, "DataFolder")
	}
}

// upgrade has other versions found. One of the same X.Y.Z is another build of it,
// since its ProductCode is another one: it is taken away too.
func (b *builder) upgrade() {
	const (
		migrate      = 0x001 // features
		onlyDetect   = 0x002
		minInclusive = 0x100
		maxInclusive = 0x200
	)
	code, version := b.p.Windows.UpgradeCode, b.p.Version
	b.db.Add("Upgrade", code, "0.0.0", version, nil, migrate|minInclusive|maxInclusive, nil, "OLDVERSIONFOUND")
	b.db.Add("Upgrade", code, version, nil, nil, onlyDetect, nil, "NEWERVERSIONFOUND")
}

// conditions are what an installation needs, each with what is said where it is not
// so. They hold for a product that comes, not for one that goes.
func (b *builder) conditions() {
	p := b.p
	add := func(condition, text string) { b.db.Add("LaunchCondition", condition, text) }
	add("Installed OR Privileged", "[ProductName] must be installed by an administrator.")
	// An upgrade would not find what is one user's, and both would have the same services.
	add("Installed OR ALLUSERS = 1", "[ProductName] is installed for the machine: ALLUSERS must be 1.")
	// VersionNT and the like say 603 of every later Windows; this value came with 10.
	add(`Installed OR WINDOWSMAJOR >= "#10"`, "[ProductName] needs Windows 10, Windows Server 2016 or later.")
	add("Installed OR VersionNT64", "[ProductName] needs a 64-bit Windows.")
	// Without it rollback and commit actions do not run.
	add("Installed OR NOT (RollbackDisabled OR DISABLEROLLBACK)",
		"[ProductName] needs rollback, which DISABLEROLLBACK or the policy DisableRollback has disabled.")
	add("Installed OR NOT NEWERVERSIONFOUND", "A newer version of [ProductName] is installed. Remove it first to install "+p.EVR()+".")
	add(fmt.Sprintf(`Installed OR NOT OLDVERSIONFOUND OR OLDVERSION <> "%s" OR OLDBUILD <= %s`, p.Version, p.Release),
		"A newer build of [ProductName], [OLDVERSION]-[OLDBUILD], is installed. Remove it first to install "+p.EVR()+".")
}
