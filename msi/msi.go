// Package msi writes and reads packages for Windows Installer.
//
// A package is a compound file (internal/cfb) with a relational database
// (internal/msidb) and cabinets (internal/cab). The sources are the Windows
// Installer SDK for what tables mean, [MS-CFB] and [MS-CAB]; how the database is
// kept is not published: see internal/msidb.
//
// # What becomes what
//
// A file is a component of its own, whose identity is its path, so that it is the
// same component in every version; of more than 60,000 files, those of a folder are
// one. Configuration files are never overwritten and stay when the product is
// removed. A service belongs to the component of its program. What the hook has to
// do stands in deferred custom actions, each with a twin before it that takes it
// back. An upgrade removes the old version first, within the transaction.
//
// What Windows Installer has no form for is refused by Write with the entry named:
// links, owners other than root, file capabilities, modes other than 0644 and 0755
// for folders, relations, scripts. The changelog is left out.
//
// # Signing
//
// What Authenticode signs is the digest of a package's streams. A package is signed
// while it is written, or by [Sign] later.
package msi

import (
	"fmt"

	"github.com/vpkg/vpkg/packaging"
)

// Format is the packaging.Format of Windows Installer packages.
type Format struct {
	// Jobs is how many goroutines compress; 0 means GOMAXPROCS.
	Jobs int
	// Spool is the folder for compressed files until they are written; empty means
	// os.TempDir.
	Spool string
	// Signer signs the package; nil means that it is not signed.
	Signer Signer
}

var _ packaging.Format = Format{}

// FormatError says what is wrong with a file that Read was given.
type FormatError struct {
	Where string // a stream, a table's cell or a cabinet
	Err   error
}

func (e *FormatError) Error() string { return fmt.Sprintf("msi, %s: %v", e.Where, e.Err) }

// Unwrap returns Err.
func (e *FormatError) Unwrap() error { return e.Err }

// Name is "msi".
func (Format) Name() string { return "msi" }

// FileName is the package's own, or NAME-VERSION-RELEASE.ARCH.msi.
func (Format) FileName(p *packaging.Package) string {
	if p.FileName != "" {
		return p.FileName
	}
	return p.Name + "-" + p.EVR() + "." + p.Arch + ".msi"
}

// language is that of all packages: English of the United States. Texts are few,
// and those that people see are the product's own.
const language = 1033

// An arch is an architecture in vpkg's spelling and in the summary's.
type arch struct{ name, template string }

var archs = []arch{{"x64", "x64"}, {"arm64", "Arm64"}}
