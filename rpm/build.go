package rpm

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/vpkg/vpkg/packaging"
)

const (
	// rpmVersion is the rpmbuild whose packages ours are like.
	rpmVersion = "4.18.0"

	// buildHost stands for the host that a package was built on, which must not
	// matter.
	buildHost = "reproducible"

	// defaultGroup is what rpmbuild gives a package without a group.
	defaultGroup = "Unspecified"
)

// buildHeader gives the main header of p but for the digests of its payload, or
// everything that is wrong with p.
func buildHeader(ctx context.Context, p *packaging.Package) (header, error) {
	errs := append([]error{packaging.Validate(p)}, validate(p)...)
	errs = append(errs, validateFiles(p)...)
	if errors.Join(errs...) != nil {
		return nil, errors.Join(errs...)
	}
	var h header
	n := needs{allowed: p.Features, rpmlib: map[string]string{}}
	ds := dependencies{}
	addMeta(&h, p)
	addChangelog(&h, p.Changelog)
	errs = append(errs, addScripts(&h, p.Scripts, ds, &n)...)
	errs = append(errs, addTriggers(&h, p.Triggers, ds, &n)...)
	for _, r := range p.Relations {
		errs = append(errs, ds.addRelation(r, &n))
	}
	errs = append(errs, ds.addAccounts(p.Accounts))
	classes, err := elfClasses(ctx, p)
	if err != nil {
		return nil, err
	}
	addFiles(&h, p, classes, &n)
	var elfs []elfEntry
	if p.RequiresELF {
		if elfs, err = readELF(ctx, p.Layout, classes); err != nil {
			return nil, err
		}
		for _, e := range elfs {
			ds[tagRequireName] = append(ds[tagRequireName], e.requires...)
			ds[tagProvideName] = append(ds[tagProvideName], e.provides...)
		}
	}
	addOwn(p, ds, &n)
	errs = append(errs, n.errs...)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	ds.sort()
	ds.appendTo(&h)
	addFileDepends(&h, len(p.Layout), elfs, ds)
	return h, nil
}

// addOwn adds what every package provides and requires by itself.
func addOwn(p *packaging.Package, ds dependencies, n *needs) {
	ds.add(tagProvideName, dependency{p.Name, p.EVR(), senseEqual})
	if isa := architectures[p.Arch].isa; isa != "" {
		ds.add(tagProvideName, dependency{p.Name + "(" + isa + ")", p.EVR(), senseEqual})
	}
	ds.noteFeatures(n)
	n.add(featCompressedFileNames, "every package")
	n.add(featFileDigests, "every package")
	n.add(featPayloadFilesHavePrefix, "every package")
	switch c := compression(p); c.Codec {
	case "zstd":
		n.add(featPayloadIsZstd, "compression zstd")
	case "xz":
		n.add(featPayloadIsXz, "compression xz")
	}
	for f := range n.rpmlib {
		ds.add(tagRequireName, dependency{"rpmlib(" + f + ")", rpmlibVersions[f], senseRPMLib | senseLess | senseEqual})
	}
}

// addMeta adds what a package says about itself.
func addMeta(h *header, p *packaging.Package) {
	h.addStrings(tagI18NTable, []string{"C"})
	h.addString(tagName, p.Name)
	h.addString(tagVersion, p.Version)
	h.addString(tagRelease, p.Release)
	if p.Epoch != 0 {
		h.addUint32s(tagEpoch, p.Epoch)
	}
	h.addText(tagSummary, p.Summary)
	h.addText(tagDescription, p.Description)
	h.addUint32s(tagBuildTime, uint32(p.Date.Unix()))
	h.addString(tagBuildHost, buildHost)
	addTotal(h, p)
	for _, s := range []struct {
		tag   tag
		value string
	}{
		{tagVendor, p.Vendor},
		{tagLicense, p.License},
		{tagPackager, p.Maintainer},
		{tagURL, p.Homepage},
	} {
		if s.value != "" {
			h.addString(s.tag, s.value)
		}
	}
	group := p.Group
	if group == "" {
		group = defaultGroup
	}
	h.addText(tagGroup, group)
	h.addString(tagOS, "linux")
	h.addString(tagArch, p.Arch)
	// Without this tag rpm takes a package for one with sources.
	h.addString(tagSourceRPM, fmt.Sprintf("%s-%s-%s.src.rpm", p.Name, p.Version, p.Release))
	h.addString(tagRPMVersion, rpmVersion)
	if len(p.Prefixes) > 0 {
		h.addStrings(tagPrefixes, p.Prefixes)
	}
	c := compression(p)
	h.addString(tagPayloadFormat, "cpio")
	if c.Codec != "none" {
		h.addString(tagPayloadCompressor, c.Codec)
	}
	level := ""
	if c.Level != 0 {
		level = strconv.Itoa(c.Level)
	}
	h.addString(tagPayloadFlags, level)
	h.addString(tagEncoding, "utf-8")
}

func addTotal(h *header, p *packaging.Package) {
	if n := installedSize(p.Layout); n <= math.MaxUint32 {
		h.addUint32s(tagSize, uint32(n))
	} else {
		h.addUint64s(tagLongSize, n)
	}
}

func addChangelog(h *header, changes []packaging.Change) {
	if len(changes) == 0 {
		return
	}
	var times []uint32
	var authors, texts []string
	for _, c := range changes {
		times = append(times, uint32(changeTime(c.Date).Unix()))
		authors = append(authors, c.Author)
		texts = append(texts, c.Text)
	}
	h.addUint32s(tagChangelogTime, times...)
	h.addStrings(tagChangelogName, authors)
	h.addStrings(tagChangelogText, texts)
}

// changeTime is noon of a day without a time, as rpmbuild has it, so that it is
// the same day in every time zone.
func changeTime(t time.Time) time.Time {
	if t = t.UTC(); t.Equal(t.Truncate(24 * time.Hour)) {
		return t.Add(12 * time.Hour)
	}
	return t
}

// validate checks what RPM asks of a package beyond packaging.Validate, its
// files and relations apart.
func validate(p *packaging.Package) []error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if p.Release == "" {
		bad("package %s has no release, which RPM needs", p.Name)
	}
	if _, ok := architectures[p.Arch]; !ok {
		bad("architecture %q: RPM has %s", p.Arch, strings.Join(architectureNames(), ", "))
	}
	if !fitsTime(p.Date) {
		bad("date %v is not between 1970 and 2106", p.Date)
	}
	for _, f := range p.Fields {
		bad("field %q: RPM has no fields of one's own", f.Name)
	}
	for _, m := range p.Members {
		bad("member %q: RPM has no members of one's own", m.Name)
	}
	for _, f := range p.Prefixes {
		if !path.IsAbs(f) || f != path.Clean(f) {
			bad("prefix %q: want an absolute path without . and .., and no slash at its end", f)
		}
	}
	if c := compression(p).Codec; !slices.Contains([]string{"zstd", "gzip", "xz", "none"}, c) {
		bad("compression %q: want zstd, gzip, xz or none", c)
	}
	for i, c := range p.Changelog {
		if !fitsTime(c.Date) {
			bad("changelog entry %d: date %v is not between 1970 and 2106", i+1, c.Date)
		}
	}
	return append(errs, validateTexts(p)...)
}

// validateTexts checks that p's texts can stand in a header whose encoding is
// UTF-8.
func validateTexts(p *packaging.Package) []error {
	var errs []error
	check := func(what, text string) {
		if strings.ContainsRune(text, 0) {
			errs = append(errs, fmt.Errorf("%s: has a NUL byte", what))
		}
		if !utf8.ValidString(text) {
			errs = append(errs, fmt.Errorf("%s: is not UTF-8", what))
		}
	}
	check("summary", p.Summary)
	check("description", p.Description)
	check("license", p.License)
	check("vendor", p.Vendor)
	check("maintainer", p.Maintainer)
	check("homepage", p.Homepage)
	check("group", p.Group)
	check("prefixes", strings.Join(p.Prefixes, " "))
	for i, c := range p.Changelog {
		check(fmt.Sprintf("changelog entry %d", i+1), c.Author+c.Text)
	}
	for _, s := range p.Scripts {
		check(fmt.Sprintf("%s script", s.Phase), strings.Join(s.Interpreter, " ")+s.Body)
	}
	for _, t := range p.Triggers {
		check("%"+t.Kind, strings.Join(t.On, " ")+strings.Join(t.Script.Interpreter, " ")+t.Script.Body)
	}
	return errs
}

func architectureNames() []string {
	var names []string
	for n := range architectures {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
