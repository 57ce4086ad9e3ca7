package packaging

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

var (
	nameRE    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+._-]*$`)
	versionRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+~^]*$`)
	accountRE = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,30}[$]?$`) // useradd(8)
)

// Validate checks what holds in every format and reports everything it finds at
// once. Formats add their own rules in Write.
func Validate(p *Package) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !nameRE.MatchString(p.Name) {
		bad("package name %q: want letters, digits and . + - _, a letter or digit first", p.Name)
	}
	if !versionRE.MatchString(p.Version) {
		bad("version %q: want letters, digits and . + ~ ^, a letter or digit first", p.Version)
	}
	if p.Release != "" && !versionRE.MatchString(p.Release) {
		bad("release %q: want letters, digits and . + ~ ^, a letter or digit first", p.Release)
	}
	if p.Arch == "" {
		bad("package %s has no architecture", p.Name)
	}
	if p.Summary == "" || strings.ContainsAny(p.Summary, "\n\r") {
		bad("summary %q: want one line", p.Summary)
	}
	if p.FileName != "" && (strings.Contains(p.FileName, "/") || strings.HasPrefix(p.FileName, ".")) {
		bad("file name %q: want a name without a folder", p.FileName)
	}
	if p.Date.IsZero() {
		bad("package %s has no date", p.Name)
	}
	for _, s := range p.Scripts {
		if strings.ContainsRune(s.Body, 0) {
			bad("%s script: has a NUL byte", s.Phase)
		}
	}
	return errors.Join(append(errs, validateLayout(p.Layout)...)...)
}

func validateLayout(l Layout) []error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for i := range l {
		e := &l[i]
		if !strings.HasPrefix(e.Path, "/") || e.Path != path.Clean(e.Path) || e.Path == "/" {
			bad("path %q: want an absolute path without . and ..", e.Path)
		}
		if strings.ContainsAny(e.Path, "\x00\n") {
			bad("path %q: has a NUL byte or a new line", e.Path)
		}
		if i > 0 {
			switch prev := l[i-1].Path; {
			case prev == e.Path:
				bad("%s is in the layout twice", e.Path)
			case prev > e.Path:
				bad("layout is not sorted: %s after %s", e.Path, prev)
			}
		}
		for _, n := range []string{e.OwnerName(), e.GroupName()} {
			if !accountRE.MatchString(n) {
				bad("%s: %q is not an account's name", e.Path, n)
			}
		}
		switch t := e.Mode.Type(); {
		case t == fs.ModeSymlink && e.Target == "":
			bad("%s: link without a target", e.Path)
		case t != 0 && t != fs.ModeDir && t != fs.ModeSymlink:
			bad("%s: is neither file, folder nor link", e.Path)
		case e.HardLink != "":
			if first, ok := l[:i].Lookup(e.HardLink); !ok || !first.HasBody() {
				bad("%s: hard link to %s, which is no earlier file", e.Path, e.HardLink)
			}
		}
		if e.Size < 0 {
			bad("%s: size %d is negative", e.Path, e.Size)
		}
	}
	return errs
}
