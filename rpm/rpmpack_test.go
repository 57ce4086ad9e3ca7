package rpm

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/google/rpmpack"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

// differences from rpmpack that are meant, each with its reason. What rpmpack does
// not write, rpmbuild does: see TestAsRPMBuild.
var rpmpackDifferences = map[tag]string{
	tagI18NTable:        "rpmpack writes a string, rpm an array",
	tagSummary:          "rpmpack writes a string, rpm a text that can be translated",
	tagDescription:      "the same",
	tagGroup:            "the same",
	tagFileRDevs:        "rpmpack writes 1, which nothing reads",
	tagProvideName:      "rpmpack does not provide NAME(ISA)",
	tagProvideFlags:     "the same",
	tagProvideVersion:   "the same",
	tagRequireName:      "rpmpack states neither rpmlib() features nor interpreters",
	tagRequireFlags:     "the same",
	tagRequireVersion:   "the same",
	tagRPMVersion:       "not in rpmpack",
	tagFileColors:       "not in rpmpack",
	tagFileDigestAlgo:   "rpmpack repeats the number for each file",
	tagEncoding:         "not in rpmpack",
	tagPayloadFlags:     "rpmpack always says 9",
	tagPayloadDigest:    "of another gzip stream",
	tagPayloadDigestAlt: "not in rpmpack",
	tagFileSizes:        "rpmpack gives folders 4096 bytes",
}

func TestAsRPMPack(t *testing.T) {
	p := &packaging.Package{
		Name: "pack", Version: "1.0", Release: "2", Epoch: 3, Arch: "x86_64", Summary: "A test", Description: "Lines\nof text.",
		License: "Apache-2.0", Vendor: "A Vendor", Maintainer: "P <p@example.org>", Homepage: "https://example.org", Group: "g",
		Date:     time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC),
		Prefixes: []string{"/opt"},
		Relations: []packaging.Relation{
			{Kind: packaging.Requires, Text: "foo >= 1.2"},
			{Kind: packaging.Conflicts, Text: "bar < 2"},
			{Kind: packaging.Replaces, Text: "baz"},
			{Kind: packaging.Recommends, Text: "r > 1"},
			{Kind: packaging.Suggests, Text: "(a or b)"},
		},
		Scripts: []packaging.Script{
			{Phase: packaging.PreInstall, Body: "echo pre\n"},
			{Phase: packaging.PostInstall, Body: "echo post\n"},
			{Phase: packaging.PreRemove, Body: "echo preun\n"},
			{Phase: packaging.PostRemove, Body: "echo postun\n"},
			{Phase: packaging.PreTrans, Body: "echo pretrans\n"},
			{Phase: packaging.PostTrans, Body: "echo posttrans\n"},
			{Phase: packaging.VerifyScript, Body: "exit 0\n"},
		},
		Layout: packaging.Layout{
			packagingtest.Dir("/opt/pack", 0o750),
			packagingtest.File("/opt/pack/bin", 0o755, []byte("#!/bin/sh\n")),
			packagingtest.File("/opt/pack/config", 0o640, []byte("a\n")),
			packagingtest.File("/opt/pack/license", 0o644, []byte("b\n")),
			packagingtest.Symlink("/opt/pack/link", "bin"),
		},
		Compression: packaging.Compression{Codec: "gzip"},
	}
	p.Layout[2].Config, p.Layout[2].Group = packaging.ConfigNoReplace, "daemon"
	p.Layout[3].Lic = true
	theirs, ours := pack(t, p), write(t, p)
	want, got := mustOpen(t, theirs), mustOpen(t, ours)
	w, g := tagList(want.main), tagList(got.main)
	compareTags(t, "header", w, g, rpmpackDifferences)
	for tag, reason := range rpmpackDifferences {
		if w[tag] == g[tag] {
			t.Errorf("tag %d is the same in both, although %s", tag, reason)
		}
	}

	ms := packaging.Diff(mustRead(t, theirs).Layout, mustRead(t, ours).Layout)
	for _, m := range ms {
		t.Errorf("rpmpack's differs: %s", m)
	}
}

// pack writes p with rpmpack.
func pack(t *testing.T, p *packaging.Package) []byte {
	t.Helper()
	m := rpmpack.RPMMetaData{
		Name: p.Name, Version: p.Version, Release: p.Release, Epoch: p.Epoch, Arch: p.Arch, Summary: p.Summary,
		Description: p.Description, Licence: p.License, Vendor: p.Vendor, Packager: p.Maintainer, URL: p.Homepage,
		Group: p.Group, BuildTime: p.Date, BuildHost: buildHost, Prefixes: p.Prefixes, Compressor: "gzip",
	}
	for _, r := range p.Relations {
		list := map[packaging.RelationKind]*rpmpack.Relations{
			packaging.Requires: &m.Requires, packaging.Conflicts: &m.Conflicts, packaging.Replaces: &m.Obsoletes,
			packaging.Recommends: &m.Recommends, packaging.Suggests: &m.Suggests,
		}[r.Kind]
		if err := list.Set(r.Text); err != nil {
			t.Fatal(err)
		}
	}
	r, err := rpmpack.NewRPM(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range p.Scripts {
		map[packaging.Phase]func(string){
			packaging.PreInstall: r.AddPrein, packaging.PostInstall: r.AddPostin, packaging.PreRemove: r.AddPreun,
			packaging.PostRemove: r.AddPostun, packaging.PreTrans: r.AddPretrans, packaging.PostTrans: r.AddPosttrans,
			packaging.VerifyScript: r.AddVerifyScript,
		}[s.Phase](s.Body)
	}
	for i := range p.Layout {
		r.AddFile(packFile(t, p, &p.Layout[i]))
	}
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func packFile(t *testing.T, p *packaging.Package, e *packaging.Entry) rpmpack.RPMFile {
	t.Helper()
	f := rpmpack.RPMFile{
		Name: e.Path, Mode: uint(packaging.UnixMode(e.Mode)), Owner: e.OwnerName(), Group: e.GroupName(),
		MTime: uint32(p.Date.Unix()), Type: rpmpack.FileType(fileFlags(e)), Body: []byte(e.Target),
	}
	if e.HasBody() {
		r, err := e.Body.Open()
		if err != nil {
			t.Fatal(err)
		}
		if f.Body, err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return f
}
