// Package deb writes and reads Debian binary packages, format 2.0.
//
// The sources are deb(5), deb-control(5), deb-conffiles(5), deb-triggers(5) and
// the Debian Policy. A file is an ar archive of three members:
//
//	debian-binary    "2.0\n"
//	control.tar.gz   control, md5sums, conffiles, maintainer scripts, triggers,
//	                 and the package's own Members
//	data.tar.zst     the payload, in GNU tar: dpkg reads no PAX headers
//
// Both tar archives are written through package payload, so that what was
// compressed once is not compressed again. Owners stand in data.tar by name with
// the number 0: dpkg goes by the name where it exists, and otherwise by the
// number, so that a missing account means root and never a stranger.
//
// What a DEB has no form for is refused by Write with the entry or relation
// named: ghosts, file capabilities, configuration files that are replaced,
// Supplements, transaction scripts, relocation. RPM's flags for documentation,
// licences, languages and verification are left out, and so is the changelog,
// which Debian keeps as a file under /usr/share/doc that the layout has or has
// not.
package deb

import (
	"fmt"
	"strings"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/payload"
)

// Format is the packaging.Format of Debian packages.
type Format struct {
	// Store keeps what was compressed. Nil means a temporary one for each Write.
	Store *payload.Store
	// Jobs is how many goroutines compress; 0 means GOMAXPROCS.
	Jobs int
}

var _ packaging.Format = Format{}

// The keys of Package.Features that Write asks for, named after the members that
// the target's dpkg must be able to read. Gzip needs none.
const (
	FeatureZstd = "data.tar.zst" // Ubuntu's dpkg from 18.04 on, Debian's from 1.21.18 on
	FeatureXZ   = "data.tar.xz"  // dpkg 1.15.6
)

// Features gives the value of packaging.Package.Features for a target with the
// given version of dpkg. Ubuntu's reads zstd since 18.04, Debian's since 1.21.18.
func Features(dpkg string, ubuntu bool) map[string]bool {
	return map[string]bool{
		FeatureXZ:   CompareVersion(dpkg, "1.15.6") >= 0,
		FeatureZstd: ubuntu || CompareVersion(dpkg, "1.21.18") >= 0,
	}
}

// FormatError says what is wrong with a file that Read was given.
type FormatError struct {
	Offset int64 // bytes from the start of the file
	Err    error
}

func (e *FormatError) Error() string { return fmt.Sprintf("deb, offset %d: %v", e.Offset, e.Err) }

// Unwrap returns Err.
func (e *FormatError) Unwrap() error { return e.Err }

// Name is "deb".
func (Format) Name() string { return "deb" }

// FileName is the package's own, or NAME_VERSION-RELEASE_ARCH.deb without the
// epoch, as dpkg-name(1) has it.
func (Format) FileName(p *packaging.Package) string {
	if p.FileName != "" {
		return p.FileName
	}
	_, version, _ := cutEpoch(p.EVR())
	return p.Name + "_" + version + "_" + p.Arch + ".deb"
}

// cutEpoch splits a version at its first colon.
func cutEpoch(s string) (epoch, rest string, found bool) {
	if epoch, rest, found = strings.Cut(s, ":"); found {
		return epoch, rest, true
	}
	return "", s, false
}

// A codec is a compression that dpkg knows, with its file extension.
type codec struct{ name, extension string }

// codecs lists what Read accepts. Write uses the first four: the others are slow
// to unpack and deprecated in dpkg.
var codecs = []codec{
	{"gzip", ".gz"},
	{"zstd", ".zst"},
	{"xz", ".xz"},
	{"none", ""},
	{"bzip2", ".bz2"},
	{"lzma", ".lzma"},
}

// A scriptFile is a maintainer script: its phase and its name in the control
// archive.
type scriptFile struct {
	phase packaging.Phase
	name  string
}

// scripts are listed in the order in which they are written.
var scripts = []scriptFile{
	{packaging.PreInstall, "preinst"},
	{packaging.PostInstall, "postinst"},
	{packaging.PreRemove, "prerm"},
	{packaging.PostRemove, "postrm"},
	{packaging.DebConfig, "config"},
}

// scriptName gives the file name of a phase's script; empty for a phase that
// dpkg does not have.
func scriptName(ph packaging.Phase) string {
	for _, s := range scripts {
		if s.phase == ph {
			return s.name
		}
	}
	return ""
}

// A relationField is the control field of one kind of relations.
type relationField struct {
	kind         packaging.RelationKind
	field        string
	alternatives bool // "a | b" is allowed
}

// relations are listed in the order in which dpkg writes them.
var relations = []relationField{
	{packaging.PreRequires, "Pre-Depends", true},
	{packaging.Requires, "Depends", true},
	{packaging.Recommends, "Recommends", true},
	{packaging.Suggests, "Suggests", true},
	{packaging.Enhances, "Enhances", false},
	{packaging.Conflicts, "Conflicts", false},
	{packaging.Breaks, "Breaks", false},
	{packaging.Replaces, "Replaces", false},
	{packaging.Provides, "Provides", false},
}
