package msi

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/vpkg/vpkg/packaging"
)

// Identities are UUIDs of version 5 (RFC 9562) in the name space of the product's
// UpgradeCode, so that they are the same in every build, and another product's are
// others. The names are part of the format: changing them would make the next
// version of a product unable to replace the files of the last.

type identities struct {
	space uuid.UUID
	arch  string
}

func newIdentities(p *packaging.Package) (identities, error) {
	space, err := uuid.Parse(p.Windows.UpgradeCode)
	return identities{space, p.Arch}, err
}

func (i identities) of(format string, args ...any) string {
	id := uuid.NewSHA1(i.space, fmt.Appendf(nil, format, args...))
	return "{" + strings.ToUpper(id.String()) + "}"
}

// product is the ProductCode. It covers the build number, so that Windows Installer
// takes another build of the same version for another product, and upgrades.
func (i identities) product(p *packaging.Package) string {
	return i.of("product|%s|%s|%s|%d", p.Name, p.EVR(), i.arch, language)
}

// component is a component's GUID: of the target and not of the version.
func (i identities) component(target string) string {
	return i.of("component|%s|%s", i.arch, strings.ToLower(target))
}

// code is the PackageCode: another one for every file that differs in a byte.
func (i identities) code(digest [32]byte) string { return i.of("package|%x", digest) }
