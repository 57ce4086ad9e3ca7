package manifest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/packaging"
)

// A Target is what a package is built for: an --os label and an architecture.
type Target struct {
	Label  string // as --os takes it and file names show it: "el8"
	System string // "RHEL 8, Rocky Linux 8, AlmaLinux 8, Oracle Linux 8"
	Format string // "rpm", "deb" or "msi"
	Arch   string // in the format's spelling: "x86_64", "amd64", "x64"
	GOARCH string // in Go's: "amd64"

	// ReleaseLabel is what stands after the build number in the package's release
	// and file name: "el8"; "win" for Windows.
	ReleaseLabel string

	// PackageManager is the oldest package manager that the label's systems have,
	// such as "rpm 4.14.3". For RPM targets its features are what packages may use.
	PackageManager string

	// Compression is what every release of the label's systems can read.
	Compression packaging.Compression

	// firewall is the relation for the tools that drive the kernel's firewall.
	firewall []string

	// ProvedBy says how it is known that the packages install: RealInstall,
	// SameRPM, SameDpkg, Wine or TableOnly.
	ProvedBy string
}

// What a target can be proved by.
const (
	RealInstall = "real install"         // the tests install on this very system
	SameRPM     = "same rpm generation"  // the tests install with an rpm of the same generation
	SameDpkg    = "same dpkg generation" // the tests install with a dpkg of the same generation
	Wine        = "msiexec of Wine"      // the tests install with Wine's Windows Installer
	TableOnly   = "feature table only"   // the tests compare with what this version is documented to read
)

// String gives LABEL/ARCH.
func (t Target) String() string { return t.Label + "/" + t.Arch }

// goos is the target's system in Go's spelling.
func (t Target) goos() string {
	if t.Format == "msi" {
		return "windows"
	}
	return "linux"
}

// exe gives the name of a program on the target's system.
func (t Target) exe(name string) string {
	if t.Format == "msi" {
		return name + ".exe"
	}
	return name
}

// RPMVersion is the version of the target's rpm, such as "4.14.3"; empty for
// other formats.
func (t Target) RPMVersion() string {
	v, ok := strings.CutPrefix(t.PackageManager, "rpm ")
	if !ok {
		return ""
	}
	return v
}

// system is one row of the table of targets.
type system struct {
	label   string
	name    string
	format  string
	manager string
	codec   string
	goarchs string // by spaces, the default first
	aliases string // by spaces, as people type them
	proved  string // on the default architecture
}

// The table of targets. Versions of package managers are those of the first
// release of each system; proved follows what the e2e tests really install.
var systems = []system{
	{"el7", "RHEL 7, CentOS 7, Oracle Linux 7", "rpm", "rpm 4.11.3", "gzip", "amd64 arm64 ppc64le s390x", "c7 rhel7 centos7 ol7 oracle7", TableOnly},
	{"el8", "RHEL 8, Rocky Linux 8, AlmaLinux 8, Oracle Linux 8", "rpm", "rpm 4.14.2", "gzip", "amd64 arm64 ppc64le s390x", "c8 rhel8 centos8 rocky8 alma8 almalinux8 ol8 oracle8", TableOnly},
	{"el9", "RHEL 9, Rocky Linux 9, AlmaLinux 9, Oracle Linux 9", "rpm", "rpm 4.16.1", "zstd", "amd64 arm64 ppc64le s390x", "c9 rhel9 centos9 rocky9 alma9 almalinux9 ol9 oracle9", SameRPM},
	{"el10", "RHEL 10, Rocky Linux 10, AlmaLinux 10, Oracle Linux 10", "rpm", "rpm 4.19.1", "zstd", "amd64 arm64 ppc64le s390x", "c10 rhel10 centos10 rocky10 alma10 almalinux10 ol10 oracle10", SameRPM},
	{"amzn2", "Amazon Linux 2", "rpm", "rpm 4.11.3", "gzip", "amd64 arm64", "amazon2 amazonlinux2 al2 a2", TableOnly},
	{"amzn2023", "Amazon Linux 2023", "rpm", "rpm 4.16.1", "zstd", "amd64 arm64", "amazon2023 amazonlinux2023 al2023 a2023", SameRPM},
	{"sles12", "SUSE Linux Enterprise Server 12", "rpm", "rpm 4.11.2", "gzip", "amd64 arm64", "s12 sle12 suse12", TableOnly},
	{"sles15", "SUSE Linux Enterprise Server 15, openSUSE Leap 15", "rpm", "rpm 4.14.1", "gzip", "amd64 arm64", "s15 sle15 suse15 leap15", TableOnly},
	{"ubuntu18", "Ubuntu 18.04 LTS", "deb", "dpkg 1.19.0", "zstd", "amd64 arm64", "u18 ubuntu18.04 ubuntu1804 bionic", TableOnly},
	{"ubuntu20", "Ubuntu 20.04 LTS", "deb", "dpkg 1.19.7", "zstd", "amd64 arm64", "u20 ubuntu20.04 ubuntu2004 focal", TableOnly},
	{"ubuntu22", "Ubuntu 22.04 LTS", "deb", "dpkg 1.21.1", "zstd", "amd64 arm64", "u22 ubuntu22.04 ubuntu2204 jammy", SameDpkg},
	{"ubuntu24", "Ubuntu 24.04 LTS", "deb", "dpkg 1.22.6", "zstd", "amd64 arm64", "u24 ubuntu24.04 ubuntu2404 noble", SameDpkg},
	{"debian10", "Debian 10", "deb", "dpkg 1.19.7", "gzip", "amd64 arm64", "d10 buster", TableOnly},
	{"debian11", "Debian 11", "deb", "dpkg 1.20.9", "gzip", "amd64 arm64", "d11 bullseye", RealInstall},
	{"debian12", "Debian 12", "deb", "dpkg 1.21.22", "zstd", "amd64 arm64", "d12 bookworm", RealInstall},
	{"debian13", "Debian 13", "deb", "dpkg 1.22.20", "zstd", "amd64 arm64", "d13 trixie", RealInstall},
	{"windows", "Windows 10 and Server 2016 or later", "msi", "Windows Installer 5.0", "mszip", "amd64 arm64", "win win64 win10 win11", Wine},
}

// The spellings of each architecture: Go's own, that of RPM, DEB and MSI (empty
// where there is none), and others that people type.
var archs = []struct {
	goarch, rpm, deb, msi string
	others                string // by spaces
}{
	{"amd64", "x86_64", "amd64", "x64", "x86-64"},
	{"arm64", "aarch64", "arm64", "arm64", "armv8"},
	{"ppc64le", "ppc64le", "ppc64el", "", "powerpc64le"},
	{"s390x", "s390x", "s390x", "", ""},
}

// Systems whose firewall tools are iptables and ipset; all other RPM systems
// have nftables.
var iptablesSystems = []string{"el7", "sles12", "amzn2"}

// Targets lists every target: labels in the order of the table, each with its
// architectures.
func Targets() []Target {
	var ts []Target
	for _, s := range systems {
		for i, goarch := range strings.Fields(s.goarchs) {
			ts = append(ts, s.target(goarch, i == 0))
		}
	}
	return ts
}

func (s system) target(goarch string, isDefault bool) Target {
	t := Target{
		Label: s.label, System: s.name, Format: s.format, GOARCH: goarch,
		ReleaseLabel: s.label, PackageManager: s.manager,
		Compression: packaging.Compression{Codec: s.codec},
		ProvedBy:    s.proved,
	}
	switch {
	case t.ProvedBy == RealInstall && !isDefault:
		t.ProvedBy = SameDpkg // the same packages, but no machine of that kind to install on
	case t.ProvedBy == Wine && !isDefault:
		t.ProvedBy = TableOnly
	}
	for _, a := range archs {
		if a.goarch == goarch {
			t.Arch = map[string]string{"rpm": a.rpm, "deb": a.deb, "msi": a.msi}[s.format]
		}
	}
	switch {
	case s.format == "msi":
		t.ReleaseLabel = "win"
	case s.format == "deb":
		t.firewall = []string{"nftables | iptables"}
	case slices.Contains(iptablesSystems, s.label):
		t.firewall = []string{"iptables", "ipset"}
	default:
		t.firewall = []string{"nftables"}
	}
	return t
}

// A UsageError is a command line that asks for what is not there.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

// Select gives the targets that --os and --arch name: each value is a label, an
// architecture, a list by commas, or "all". Labels go by their aliases too (c8,
// jammy) and architectures by any format's spelling. Without arch it is x86_64.
//
// "all" stands for every system, with those of the architectures that it has. The error is a *UsageError that names
// everything that is wrong.
func Select(os, arch []string) ([]Target, error) {
	var errs []error
	labels, allLabels := splitNames(os, &errs, lookupLabel)
	goarchs, allArchs := splitNames(arch, &errs, lookupArch)
	if len(labels) == 0 && !allLabels && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("no --os given: want all, or some of %s", strings.Join(Labels(), ", ")))
	}
	if len(goarchs) == 0 && !allArchs {
		goarchs = []string{"amd64"}
	}
	var ts []Target
	used := make(map[string]bool)
	for _, t := range Targets() {
		named := slices.Contains(labels, t.Label)
		if !named && !allLabels || !allArchs && !slices.Contains(goarchs, t.GOARCH) {
			continue
		}
		used[t.Label], used[t.GOARCH] = true, true
		ts = append(ts, t)
	}
	if len(errs) == 0 { // or they would follow from what was said already
		for _, l := range labels {
			if !used[l] {
				errs = append(errs, fmt.Errorf("%s has no architecture %s: want %s", l, strings.Join(arch, ","), strings.Join(archsOf(l), ", ")))
			}
		}
		for _, a := range goarchs {
			if !used[a] && len(ts) > 0 {
				errs = append(errs, fmt.Errorf("none of %s is for architecture %s", strings.Join(os, ","), a))
			}
		}
	}
	if len(errs) > 0 {
		return nil, &UsageError{errors.Join(errs...)}
	}
	return ts, nil
}

// splitNames looks up every name of a list whose items may be lists themselves.
func splitNames(list []string, errs *[]error, lookup func(string) (string, error)) (names []string, all bool) {
	for _, item := range list {
		for s := range strings.SplitSeq(item, ",") {
			s = strings.TrimSpace(s)
			switch n, err := lookup(s); {
			case s == "all":
				all = true
			case err != nil:
				*errs = append(*errs, err)
			case !slices.Contains(names, n):
				names = append(names, n)
			}
		}
	}
	return names, all
}

// Labels lists the labels of all targets, in the order of the table.
func Labels() []string {
	labels := make([]string, len(systems))
	for i, s := range systems {
		labels[i] = s.label
	}
	return labels
}

// Aliases lists other names that Select takes for a label.
func Aliases(label string) []string {
	for _, s := range systems {
		if s.label == label {
			return strings.Fields(s.aliases)
		}
	}
	return nil
}

func archsOf(label string) []string {
	var as []string
	for _, t := range Targets() {
		if t.Label == label {
			as = append(as, t.Arch)
		}
	}
	return as
}

func lookupLabel(name string) (string, error) {
	var known []string
	lower := strings.ToLower(name)
	for _, s := range systems {
		names := append([]string{s.label}, strings.Fields(s.aliases)...)
		if slices.Contains(names, lower) {
			return s.label, nil
		}
		known = append(known, names...)
	}
	hint := didYouMean(name, known)
	if hint == "" {
		hint = ": want all, or some of " + strings.Join(Labels(), ", ")
	}
	return "", fmt.Errorf("unknown system %q%s", name, hint)
}

func lookupArch(name string) (string, error) {
	var known []string
	lower := strings.ToLower(name)
	for _, a := range archs {
		names := append([]string{a.goarch, a.rpm, a.deb}, strings.Fields(a.others)...)
		if a.msi != "" {
			names = append(names, a.msi)
		}
		if slices.Contains(names, lower) {
			return a.goarch, nil
		}
		known = append(known, names...)
	}
	hint := didYouMean(name, known)
	if hint == "" {
		hint = ": want all, x86_64, aarch64, ppc64le or s390x"
	}
	return "", fmt.Errorf("unknown architecture %q%s", name, hint)
}
