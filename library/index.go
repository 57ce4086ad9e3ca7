package library

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/vpkg/vpkg/packaging"
)

// The two files that vpkg build writes beside packages.
const (
	indexFile = "artifacts.json"
	sumsFile  = "SHA256SUMS"
)

// Bounds of an index.
const (
	maxIndex    = 4 << 20 // bytes of either file
	maxPackages = 10_000
)

// An entry is one package of artifacts.json, as vpkg build writes it.
type entry struct {
	Name    string           `json:"name"`
	Format  string           `json:"format"`
	Package string           `json:"package"`
	Version string           `json:"version"`
	OS      string           `json:"os"`
	Arch    string           `json:"arch"`
	Size    int64            `json:"size"`
	SHA256  packaging.Digest `json:"sha256"`
}

// parseIndex reads artifacts.json and, unless it is nil, SHA256SUMS, which have to
// agree. It reports everything that is wrong. Whatever it accepts is fit to be a file
// name, a part of an address, and a column.
func parseIndex(index, sums []byte) ([]entry, error) {
	var es []entry
	if err := json.Unmarshal(index, &es); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", indexFile, ErrInvalid, err)
	}
	var v invalid
	if len(es) == 0 || len(es) > maxPackages {
		v.add("it lists %d packages, not 1 to %d", len(es), maxPackages)
		return nil, v.err(indexFile)
	}
	listed := map[string]packaging.Digest{}
	for i, e := range es {
		if err := checkName(e.Name); err != nil {
			v.add("package %d: %w", i, err)
			continue
		}
		if _, ok := listed[e.Name]; ok {
			v.add("%s is there twice", e.Name)
		}
		listed[e.Name] = e.SHA256
		if err := e.check(); err != nil {
			v.add("%s: %w", e.Name, err)
		}
	}
	if sums != nil {
		v = append(v, compareSums(sums, listed)...)
	}
	return es, v.err(indexFile)
}

func (e entry) check() error {
	var errs []error
	for _, f := range []struct{ name, value string }{
		{"format", e.Format}, {"package", e.Package}, {"version", e.Version}, {"os", e.OS}, {"arch", e.Arch},
	} {
		if !isWord(f.value, 128) || strings.ContainsAny(f.value, `/\?#%&"'<>`) {
			errs = append(errs, fmt.Errorf("%s %.40q is not a plain word of at most 128 bytes", f.name, f.value))
		}
	}
	if e.Version == "."+e.OS {
		errs = append(errs, fmt.Errorf("version %q is nothing but a system", e.Version))
	}
	if e.Size <= 0 {
		errs = append(errs, fmt.Errorf("size %d is not one", e.Size))
	}
	if e.SHA256.IsZero() {
		errs = append(errs, errors.New("it has no sha256"))
	}
	return errors.Join(errs...)
}

// compareSums reads lines of sha256sum(1) and compares. A line for another file is
// none of ours.
func compareSums(sums []byte, listed map[string]packaging.Digest) []error {
	var errs []error
	seen := map[string]bool{}
	for line := range strings.Lines(string(sums)) {
		line = strings.TrimRight(line, "\r\n")
		sum, name, ok := strings.Cut(line, "  ")
		if !ok {
			sum, name, ok = strings.Cut(line, " *") // of binary mode
		}
		d, err := packaging.ParseDigest(sum)
		if !ok || err != nil {
			return append(errs, fmt.Errorf("%s: %.100q is not a line of sha256sum", sumsFile, line))
		}
		want, ok := listed[name]
		if !ok {
			continue
		}
		seen[name] = true
		if d != want {
			errs = append(errs, fmt.Errorf("%s: %s has sum %s, in %s %s", name, sumsFile, d, indexFile, want))
		}
	}
	for name := range listed {
		if !seen[name] {
			errs = append(errs, fmt.Errorf("%s does not list %s", sumsFile, name))
		}
	}
	return errs
}

// checkName: a package's file name is one path element everywhere, also on Windows,
// and harmless in a shell, an address and a header.
func checkName(s string) error {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._+~^-", r)
	}
	switch {
	case s == "" || len(s) > 200:
		return fmt.Errorf("file name %.40q has %d bytes, not 1 to 200", s, len(s))
	case strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }):
		return fmt.Errorf("file name %q has characters other than letters, digits and ._+~^-", s)
	case strings.ContainsRune(".-~", rune(s[0])):
		return fmt.Errorf("file name %q starts with %q", s, s[0])
	}
	return nil
}

// releaseOf splits a package's version: "25.2.20-10.el8" is release 25.2.20-10 for
// el8. Without a system, the last part of the release is one if it starts with a
// letter; a format of Windows has none.
func releaseOf(version, format, system string) (release, label string, err error) {
	if system == "" && format == "msi" {
		system = "windows"
	}
	if system != "" {
		return strings.TrimSuffix(version, "."+system), system, nil
	}
	_, build, _ := strings.Cut(version, "-")
	i := strings.LastIndexByte(build, '.')
	if i < 0 || i+1 == len(build) || build[i+1] < 'a' || build[i+1] > 'z' {
		return "", "", fmt.Errorf("its version %q does not end in a system, such as .el8: import it with its %s", version, indexFile)
	}
	label = build[i+1:]
	return strings.TrimSuffix(version, "."+label), label, nil
}
