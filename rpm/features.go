package rpm

import (
	"fmt"
	"strconv"
	"strings"
)

// Keys of packaging.Package.Features that are not rpmlib() features: rpm reads a
// package that uses them without them, but not as it is meant.
const (
	// WeakDependencies are Recommends, Suggests, Supplements and Enhances, which
	// rpm before 4.12 does not know.
	WeakDependencies = "WeakDependencies"
	// FileTriggers are %filetriggerin, %transfiletriggerin and so on, which rpm
	// before 4.13 does not run.
	FileTriggers = "FileTriggers"
	// PayloadDigest is the SHA-256 of the payload, which rpm 4.14 and later check.
	// A package for a target without it has an MD5 sum of header and payload.
	PayloadDigest = "PayloadDigest"
	// UninstallTransaction is the scriptlets %preuntrans and %postuntrans, which
	// rpm before 4.19 does not run.
	UninstallTransaction = "UninstallTransaction"
)

// rpmlib() features that packages state as requirements, with the versions that
// rpmbuild gives them.
const (
	featBuiltinLuaScripts        = "BuiltinLuaScripts"
	featCaretInVersions          = "CaretInVersions"
	featCompressedFileNames      = "CompressedFileNames"
	featFileCaps                 = "FileCaps"
	featFileDigests              = "FileDigests"
	featLargeFiles               = "LargeFiles"
	featPartialHardlinkSets      = "PartialHardlinkSets"
	featPayloadFilesHavePrefix   = "PayloadFilesHavePrefix"
	featPayloadIsXz              = "PayloadIsXz"
	featPayloadIsZstd            = "PayloadIsZstd"
	featRichDependencies         = "RichDependencies"
	featScriptletInterpreterArgs = "ScriptletInterpreterArgs"
	featTildeInVersions          = "TildeInVersions"
)

// rpmlibVersions gives the version of each feature that a package can require:
// that of the rpm that had it first, or was to.
var rpmlibVersions = map[string]string{
	featBuiltinLuaScripts:        "4.2.2-1",
	featCaretInVersions:          "4.15.0-1",
	featCompressedFileNames:      "3.0.4-1",
	featFileCaps:                 "4.6.1-1",
	featFileDigests:              "4.6.0-1",
	featLargeFiles:               "4.12.0-1",
	featPartialHardlinkSets:      "4.0.4-1",
	featPayloadFilesHavePrefix:   "4.0-1",
	featPayloadIsXz:              "5.2-1",
	featPayloadIsZstd:            "5.4.18-1",
	featRichDependencies:         "4.12.0-1",
	featScriptletInterpreterArgs: "4.0.3-1",
	featTildeInVersions:          "4.10.0-1",
}

// since gives the rpm that a feature came with, as minor versions of rpm 4, for
// those that not every rpm has that this package writes for. RichDependencies
// were in 4.12 by name, but work from 4.13 on.
var since = map[string][2]int{
	featTildeInVersions:  {10, 0},
	featLargeFiles:       {12, 0},
	WeakDependencies:     {12, 0},
	featRichDependencies: {13, 0},
	FileTriggers:         {13, 0},
	PayloadDigest:        {14, 0},
	featPayloadIsZstd:    {14, 3}, // as Red Hat builds it, with a backport in 8.2's 4.14.2
	featCaretInVersions:  {15, 0},
	UninstallTransaction: {19, 0},
}

// Features gives the value of packaging.Package.Features for a target with the
// given version of rpm: "4.11", "4.14.3", "4.18". The features that each such
// rpm has are true. It gives nil, which allows everything, for rpm 5 and later,
// and panics if version is not two or three numbers: it is not meant for input.
//
// RHEL 8.0 to 8.2 have rpm 4.14.2, of which only the last reads zstd; 8.3 has
// 4.14.3.
func Features(version string) map[string]bool {
	var n [3]int
	for i, s := range strings.SplitN(version, ".", 3) {
		var err error
		if n[i], err = strconv.Atoi(s); err != nil {
			panic(fmt.Sprintf("rpm version %q: %v", version, err))
		}
	}
	if n[0] > 4 {
		return nil
	}
	fs := make(map[string]bool, len(rpmlibVersions)+len(since))
	for f := range rpmlibVersions {
		fs[f] = true
	}
	for f, v := range since {
		fs[f] = n[1] > v[0] || n[1] == v[0] && n[2] >= v[1]
	}
	return fs
}

// needs collects the features that a package needs, each with what needs it.
type needs struct {
	allowed map[string]bool   // nil means all
	rpmlib  map[string]string // rpmlib() features to require, with the first reason
	errs    []error
}

// add notes that reason needs a feature. It is an error if the target has none.
func (n *needs) add(feature, reason string) {
	if _, ok := n.rpmlib[feature]; ok {
		return
	}
	if _, ok := rpmlibVersions[feature]; ok {
		n.rpmlib[feature] = reason
	}
	if n.allowed != nil && !n.allowed[feature] {
		n.errs = append(n.errs, fmt.Errorf("%s: needs %s, which the target's rpm does not have", reason, feature))
	}
}
