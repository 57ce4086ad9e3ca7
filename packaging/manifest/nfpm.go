package manifest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goreleaser/chglog"
	"github.com/goreleaser/nfpm/v2"

	"github.com/vpkg/vpkg/packaging"
)

// An NFPM is an existing nfpm.yaml. It makes the packages that nfpm would make,
// under the same file names: without a hook, and with nothing added to them.
//
// It is read by nfpm's own loader, so that it means what it means to nfpm. Files
// that it names are relative to the current folder. docs/nfpm.md says what
// differs.
type NFPM struct {
	// Date is SOURCE_DATE_EPOCH's (see ParseEpoch). The file's mtime comes before
	// it; without either it is the newest time of the files in the package.
	Date time.Time

	file   string
	config nfpm.Config
	files  map[string]sourceFile
}

// OpenNFPM reads the nfpm.yaml at path. env gives the variables that the file
// names: os.Getenv for a command.
func OpenNFPM(path string, env func(string) string) (*NFPM, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the manifest: %w", err)
	}
	defer f.Close()
	n := &NFPM{file: path, files: make(map[string]sourceFile)}
	if n.config, err = nfpm.ParseWithEnvMapping(f, env); err != nil {
		return nil, fmt.Errorf("%s: %w (read as nfpm 2.45 does)", path, err)
	}
	if err := n.check(); err != nil {
		return nil, err
	}
	return n, nil
}

// IsNFPM reports whether a manifest of this name is one of nfpm's.
func IsNFPM(path string) bool {
	base := strings.ToLower(filepath.Base(path))
	return strings.HasPrefix(base, "nfpm") || strings.HasPrefix(base, ".nfpm")
}

// check refuses what would be lost without notice.
func (n *NFPM) check() error {
	c := &n.config
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s: %s", n.file, key, fmt.Sprintf(format, args...)))
	}
	if c.Name == "" {
		bad("name", "is missing")
	}
	if c.Platform != "linux" {
		bad("platform", "%q is not linux", c.Platform)
	}
	if c.Epoch != "" {
		if _, err := strconv.ParseUint(c.Epoch, 10, 32); err != nil {
			bad("epoch", "%q is not a number", c.Epoch)
		}
	}
	known := []string{"apk", "archlinux", "deb", "ipk", "rpm", "srpm"}
	for _, k := range slices.Sorted(maps.Keys(c.Overrides)) {
		if !slices.Contains(known, k) {
			bad("overrides", "unknown packager %q%s", k, didYouMean(k, known))
		}
	}
	all := map[string]*nfpm.Overridables{"": &c.Overridables}
	for k, o := range c.Overrides {
		if o != nil {
			all["overrides."+k+"."] = o
		}
	}
	for _, prefix := range slices.Sorted(maps.Keys(all)) {
		o := all[prefix]
		if o.RPM.Signature.KeyFile != "" {
			bad(prefix+"rpm.signature.key_file", "vpkg does not sign while it builds: leave it out and sign the file with rpmsign")
		}
		if o.Deb.Signature.KeyFile != "" {
			bad(prefix+"deb.signature.key_file", "vpkg does not sign while it builds: leave it out and sign the file or its repository")
		}
		for i, f := range o.Contents {
			if f != nil && f.FileInfo != nil && f.FileInfo.Mode.Perm()|f.FileInfo.Mode&0o7777 != f.FileInfo.Mode {
				bad(fmt.Sprintf("%scontents[%d].file_info.mode", prefix, i), "%d has more than four octal digits: write it as 0%o or 0o%o", f.FileInfo.Mode, f.FileInfo.Mode, f.FileInfo.Mode)
			}
		}
	}
	return errors.Join(errs...)
}

// Arch is the architecture that the file is for, as it spells it, for Select;
// empty where its packages are for all. rpm.arch and deb.arch come first.
func (n *NFPM) Arch() string {
	a := cmp.Or(n.config.RPM.Arch, n.config.Deb.Arch, n.config.Arch)
	if a == "all" || a == "noarch" {
		return ""
	}
	return a
}

// nfpm's names of architectures where they differ from the formats' own (its
// rpm/rpm.go and deb/deb.go).
var (
	nfpmToRPM = map[string]string{
		"all": "noarch", "amd64": "x86_64", "386": "i386", "arm64": "aarch64", "arm5": "armv5tel", "arm6": "armv6hl",
		"arm7": "armv7hl", "mips64le": "mips64el", "mipsle": "mipsel", "mips": "mips", "loong64": "loongarch64",
	}
	nfpmToDeb = map[string]string{
		"386": "i386", "arm64": "arm64", "arm5": "armel", "arm6": "armhf", "arm7": "armhf", "mips64le": "mips64el",
		"mipsle": "mipsel", "ppc64le": "ppc64el", "s390": "s390x", "x86_64": "amd64", "aarch64": "arm64",
	}
)

func nfpmArch(i *nfpm.Info, format string) string {
	own, table := i.RPM.Arch, nfpmToRPM
	if format == "deb" {
		own, table = i.Deb.Arch, nfpmToDeb
	}
	if own != "" {
		return own
	}
	return cmp.Or(table[i.Arch], i.Arch)
}

// Resolve makes the package for a target. The file decides the architecture: a
// target of another is refused.
func (n *NFPM) Resolve(ctx context.Context, t Target) (*packaging.Package, error) {
	if t.Format == "msi" {
		return nil, fmt.Errorf("%s: %s: an nfpm.yaml says nothing about Windows: use a vpkg.yaml", t, n.file)
	}
	info, err := n.config.Get(t.Format)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.file, err)
	}
	p, err := n.resolve(ctx, t, info)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", t, n.file, err)
	}
	return p, nil
}

func (n *NFPM) resolve(ctx context.Context, t Target, i *nfpm.Info) (*packaging.Package, error) {
	p := &packaging.Package{
		Name: i.Name, Release: i.Release, Arch: nfpmArch(i, t.Format),
		Description: strings.TrimSpace(i.Description), License: i.License, Vendor: i.Vendor,
		Maintainer: i.Maintainer, Homepage: i.Homepage, Group: i.Section, Priority: i.Priority,
		Compression: t.Compression,
	}
	if p.Arch != t.Arch && p.Arch != "noarch" && p.Arch != "all" {
		return nil, fmt.Errorf("its arch %s is %s, not the target's", i.Arch, p.Arch)
	}
	if i.Epoch != "" {
		epoch, _ := strconv.ParseUint(i.Epoch, 10, 32) // check has read it
		p.Epoch = uint32(epoch)
	}
	var changes *chglog.PackageChangeLog
	if i.Changelog != "" {
		var err error
		if changes, err = i.GetChangeLog(); err != nil {
			return nil, fmt.Errorf("changelog: %w", err)
		}
	}
	if err := n.addContents(ctx, p, t, i); err != nil {
		return nil, err
	}
	n.addRelations(p, t, i)
	var err error
	if t.Format == "rpm" {
		err = n.finishRPM(p, i, changes)
	} else {
		err = n.finishDeb(p, i, changes)
	}
	return p, err
}

func (n *NFPM) addRelations(p *packaging.Package, t Target, i *nfpm.Info) {
	lists := []struct {
		kind  packaging.RelationKind
		texts []string
	}{
		{packaging.Requires, i.Depends},
		{packaging.Recommends, i.Recommends},
		{packaging.Suggests, i.Suggests},
		{packaging.Provides, i.Provides},
		{packaging.Conflicts, i.Conflicts},
		{packaging.Replaces, i.Replaces},
	}
	if t.Format == "deb" {
		lists = append(lists, struct {
			kind  packaging.RelationKind
			texts []string
		}{packaging.PreRequires, i.Deb.Predepends}, struct {
			kind  packaging.RelationKind
			texts []string
		}{packaging.Breaks, i.Deb.Breaks})
	}
	for _, l := range lists {
		for _, text := range l.texts {
			if text = strings.TrimSpace(text); text != "" {
				p.Relations = append(p.Relations, packaging.Relation{Kind: l.kind, Text: text})
			}
		}
	}
}

// finishRPM adds what RPMs have their own way.
func (n *NFPM) finishRPM(p *packaging.Package, i *nfpm.Info, changes *chglog.PackageChangeLog) error {
	first, _, _ := strings.Cut(p.Description, "\n")
	p.Summary = cmp.Or(i.RPM.Summary, first)
	p.Version = nfpmVersion(i, strings.ReplaceAll(i.Prerelease, "-", "_"))
	p.Release = cmp.Or(p.Release, "1")
	p.Group = i.RPM.Group
	p.Maintainer = cmp.Or(i.RPM.Packager, p.Maintainer)
	p.Prefixes = i.RPM.Prefixes
	p.FileName = fmt.Sprintf("%s-%s-%s.%s.rpm", p.Name, p.Version, p.Release, p.Arch)
	if changes != nil {
		p.Changelog = rpmChanges(changes)
	}
	if err := setNFPMCompression(p, "rpm.compression", i.RPM.Compression); err != nil {
		return err
	}
	return n.addScripts(p, "rpm", []nfpmScript{
		{"scripts.preinstall", packaging.PreInstall, i.Scripts.PreInstall},
		{"scripts.postinstall", packaging.PostInstall, i.Scripts.PostInstall},
		{"scripts.preremove", packaging.PreRemove, i.Scripts.PreRemove},
		{"scripts.postremove", packaging.PostRemove, i.Scripts.PostRemove},
		{"rpm.scripts.pretrans", packaging.PreTrans, i.RPM.Scripts.PreTrans},
		{"rpm.scripts.posttrans", packaging.PostTrans, i.RPM.Scripts.PostTrans},
		{"rpm.scripts.verify", packaging.VerifyScript, i.RPM.Scripts.Verify},
	})
}

// finishDeb adds what DEBs have their own way.
func (n *NFPM) finishDeb(p *packaging.Package, i *nfpm.Info, changes *chglog.PackageChangeLog) error {
	p.Summary, p.Description, _ = strings.Cut(p.Description, "\n")
	p.Maintainer = cmp.Or(p.Maintainer, "Unset Maintainer <unset@localhost>") // nfpm's default
	p.Version = nfpmVersion(i, i.Prerelease)
	if upstream, revision, ok := cutLast(p.Version, "-"); ok && p.Release == "" {
		p.Version, p.Release = upstream, revision // which is how dpkg reads it
	}
	version := p.Version
	if p.Release != "" {
		version += "-" + p.Release
	}
	p.FileName = fmt.Sprintf("%s_%s_%s.deb", p.Name, version, p.Arch)
	if v := i.Deb.ArchVariant; v != "" {
		if len(v) == 2 && v[0] == 'v' {
			v = "amd64" + v
		}
		p.Fields = append(p.Fields, packaging.Field{Name: "Architecture-Variant", Value: v})
	}
	for _, k := range slices.Sorted(maps.Keys(i.Deb.Fields)) {
		if v := i.Deb.Fields[k]; v != "" {
			p.Fields = append(p.Fields, packaging.Field{Name: k, Value: v})
		}
	}
	tr := &i.Deb.Triggers
	for _, l := range []struct {
		kind  string
		names []string
	}{
		{"interest", tr.Interest},
		{"interest-await", tr.InterestAwait},
		{"interest-noawait", tr.InterestNoAwait},
		{"activate", tr.Activate},
		{"activate-await", tr.ActivateAwait},
		{"activate-noawait", tr.ActivateNoAwait},
	} {
		for _, name := range l.names {
			p.Triggers = append(p.Triggers, packaging.Trigger{Kind: l.kind, On: []string{name}})
		}
	}
	if err := n.addDebChangelog(p, changes); err != nil {
		return err
	}
	if err := setNFPMCompression(p, "deb.compression", i.Deb.Compression); err != nil {
		return err
	}
	if err := n.addDebMembers(p, i); err != nil {
		return err
	}
	return n.addScripts(p, "deb", []nfpmScript{
		{"scripts.preinstall", packaging.PreInstall, i.Scripts.PreInstall},
		{"scripts.postinstall", packaging.PostInstall, i.Scripts.PostInstall},
		{"scripts.preremove", packaging.PreRemove, i.Scripts.PreRemove},
		{"scripts.postremove", packaging.PostRemove, i.Scripts.PostRemove},
		{"deb.scripts.config", packaging.DebConfig, i.Deb.Scripts.Config},
	})
}

// nfpmVersion is VERSION~PRERELEASE+METADATA.
func nfpmVersion(i *nfpm.Info, prerelease string) string {
	v := i.Version
	if prerelease != "" {
		v += "~" + prerelease
	}
	if i.VersionMetadata != "" {
		v += "+" + i.VersionMetadata
	}
	return v
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// setNFPMCompression reads CODEC or CODEC:LEVEL as nfpm has them.
func setNFPMCompression(p *packaging.Package, key, value string) error {
	if value == "" {
		return nil
	}
	codec, level, _ := strings.Cut(value, ":")
	named := map[string]string{"fastest": "1", "default": "3", "better": "7", "best": "11"} // as klauspost/compress names them
	if codec == "zstd" && named[level] != "" {
		level = named[level]
	}
	if level != "" && level != "-1" { // the codec's default
		codec += ":" + level
	}
	c, err := ParseCompression(codec)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	p.Compression = packaging.Compression(c)
	return nil
}
