package deb

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/goreleaser/nfpm/v2"
	nfpmdeb "github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"

	"github.com/vpkg/vpkg/packaging"
)

// nfpmInfo says to nfpm what p says, as far as it has words for it.
func nfpmInfo(t *testing.T, p *packaging.Package) *nfpm.Info {
	t.Helper()
	dir := t.TempDir()
	info := &nfpm.Info{
		Name: p.Name, Arch: p.Arch, Platform: "linux", Version: p.Version, VersionSchema: "none", Release: p.Release,
		Section: p.Group, Priority: p.Priority, Maintainer: p.Maintainer, Vendor: p.Vendor, Homepage: p.Homepage,
		License: p.License, Description: p.Summary + "\n" + p.Description, MTime: p.Date, DisableGlobbing: true,
	}
	info.Deb.Compression = "gzip"
	info.Deb.Fields = map[string]string{}
	for _, f := range p.Fields {
		info.Deb.Fields[f.Name] = f.Value
	}
	info.Deb.Triggers = nfpm.DebTriggers{
		InterestNoAwait: p.Triggers[0].On,
		Activate:        p.Triggers[1].On,
	}
	for kind, list := range map[packaging.RelationKind]*[]string{
		packaging.PreRequires: &info.Deb.Predepends, packaging.Requires: &info.Depends,
		packaging.Recommends: &info.Recommends, packaging.Suggests: &info.Suggests,
		packaging.Conflicts: &info.Conflicts, packaging.Breaks: &info.Deb.Breaks,
		packaging.Replaces: &info.Replaces, packaging.Provides: &info.Provides,
	} {
		for _, r := range p.Relations {
			if r.Kind == kind {
				*list = append(*list, r.Text)
			}
		}
	}
	for phase, name := range map[packaging.Phase]*string{
		packaging.PreInstall: &info.Scripts.PreInstall, packaging.PostInstall: &info.Scripts.PostInstall,
		packaging.PreRemove: &info.Scripts.PreRemove, packaging.PostRemove: &info.Scripts.PostRemove,
	} {
		s, _ := p.Script(phase)
		*name = filepath.Join(dir, string(phase))
		if err := os.WriteFile(*name, []byte(s.Body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root := filepath.Join(dir, "root")
	lay(t, root, p.Layout)
	for i := range p.Layout {
		e := &p.Layout[i]
		c := &files.Content{
			Source: filepath.Join(root, e.Path), Destination: e.Path,
			FileInfo: &files.ContentFileInfo{Owner: e.OwnerName(), Group: e.GroupName(), Mode: os.FileMode(packaging.UnixMode(e.Mode) & 0o7777)},
		}
		switch {
		case e.Mode.IsDir():
			c.Type, c.Source = files.TypeDir, ""
		case e.Target != "":
			c.Type, c.Source = files.TypeSymlink, e.Target
		case e.Config != packaging.NotConfig:
			c.Type = files.TypeConfigNoReplace
		}
		info.Contents = append(info.Contents, c)
	}
	return info
}

// TestNFPMSame compares with what nfpm makes of the same package.
func TestNFPMSame(t *testing.T) {
	p := comparablePackage()
	p.Members = nil // it has no such thing
	info := nfpm.WithDefaults(nfpmInfo(t, p))
	var theirs bytes.Buffer
	if err := nfpmdeb.Default.Package(info, &theirs); err != nil {
		t.Fatal(err)
	}
	compare(t, dump(t, write(t, p)), dump(t, theirs.Bytes()), []reason{
		{`control \./( line 1)?`, "nfpm writes no root folder; dpkg-deb does"},
		{`control \./(conffiles|control|md5sums|postinst|postrm|preinst|prerm|triggers)`, "nfpm gives the owner by number alone; dpkg-deb by name too"},
		{`control \./control Description`, "nfpm takes the spaces off indented lines"},
		{`control \./control Enhances`, "nfpm has no Enhances"},
		{`control \./control Installed-Size`, "nfpm counts bytes, not blocks, and no folders; ours is dpkg-gencontrol's"},
		{`control \./control (License|Vendor)`, "nfpm leaves them out of a DEB"},
		{`control \./md5sums etc/conformance/app\.conf`, "debhelper leaves conffiles out, and so do we"},
		{`data \./`, "nfpm writes no root folder; dpkg-deb does"},
		{`data \./opt/`, "nobody owns /opt, and dpkg would remove it with the package"},
		{`data \./(etc|usr|usr/share|usr/share/conformance)/?`, implicitReason},
		{`data \./opt/conformance/(share|share/grüße|l{101}|l{101}/m{200})/?`, implicitReason},
	})
}

// TestReadNFPM reads what nfpm writes, with each of its codecs.
func TestReadNFPM(t *testing.T) {
	for _, codec := range []string{"gzip", "zstd", "xz", "none"} {
		p := comparablePackage()
		info := nfpmInfo(t, p)
		info.Deb.Compression = codec
		var b bytes.Buffer
		if err := nfpmdeb.Default.Package(nfpm.WithDefaults(info), &b); err != nil {
			t.Fatal(err)
		}
		got, err := Format{}.Read(t.Context(), bytes.NewReader(b.Bytes()), int64(b.Len()), packaging.Payload)
		if err != nil {
			t.Fatalf("%s: %v", codec, err)
		}
		if got.EVR() != p.EVR() || got.Compression.Codec != codec || len(got.Scripts) != 4 {
			t.Errorf("%s: read %s with %s and %d scripts", codec, got.EVR(), got.Compression.Codec, len(got.Scripts))
		}
		for _, m := range packaging.Diff(p.Layout, got.Layout) {
			if m.Attribute != "extra" { // the folders that it adds
				t.Errorf("%s: %s", codec, m)
			}
		}
	}
}
