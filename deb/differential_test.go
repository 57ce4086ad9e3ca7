package deb

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

// comparablePackage is one that other tools can build too: all of root's.
func comparablePackage() *packaging.Package {
	p := packagingtest.Rich("deb", "amd64")
	p.Epoch = 0
	p.Layout = slices.DeleteFunc(p.Layout, func(e packaging.Entry) bool {
		return strings.Contains(e.Path, "/lib/big") // large, and of several names
	})
	for i := range p.Layout {
		e := &p.Layout[i]
		e.Owner, e.Group, e.ModTime = "", "", time.Time{}
	}
	return p
}

// lay makes p's layout below root, as the files that other tools read.
func lay(t *testing.T, root string, l packaging.Layout) {
	t.Helper()
	for i := range l {
		e := &l[i]
		name := filepath.Join(root, e.Path)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case e.Mode.IsDir():
			if err = os.MkdirAll(name, 0o755); err == nil {
				err = os.Chmod(name, e.Mode)
			}
		case e.Target != "":
			err = os.Symlink(e.Target, name)
		case e.HardLink != "":
			err = os.Link(filepath.Join(root, e.HardLink), name)
		default:
			if err = os.WriteFile(name, readBody(t, e.Body), 0o600); err == nil {
				err = os.Chmod(name, e.Mode)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func readBody(t *testing.T, b packaging.Body) []byte {
	t.Helper()
	r, err := b.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out bytes.Buffer
	if _, err := out.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func command(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	oracle.Need(t, name)
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), append([]string{"LC_ALL=C.UTF-8"}, env...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

const implicitReason = "an implicit folder is written without a slash, so that Read can tell"

// TestDpkgDebSame compares with what dpkg-deb makes of the same files and control
// members.
func TestDpkgDebSame(t *testing.T) {
	p := comparablePackage()
	ours := write(t, p)
	dir := t.TempDir()
	root, mine, theirs := filepath.Join(dir, "root"), filepath.Join(dir, "ours.deb"), filepath.Join(dir, "theirs.deb")
	lay(t, root, p.Layout)
	if err := os.WriteFile(mine, ours, 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, dir, nil, "dpkg-deb", "-e", mine, filepath.Join(root, "DEBIAN"))
	epoch := fmt.Sprintf("SOURCE_DATE_EPOCH=%d", p.Date.Unix())
	command(t, dir, []string{epoch}, "dpkg-deb", "--root-owner-group", "-Zgzip", "-b", root, theirs)
	b, err := os.ReadFile(theirs)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, dump(t, ours), dump(t, b), []reason{
		{`data \./opt/`, "nobody owns /opt, and dpkg would remove it with the package"},
		{`data \./(etc|usr|usr/share|usr/share/conformance)/?`, implicitReason},
		{`data \./opt/conformance/(share|share/grüße|l{101}|l{101}/m{200})/?`, implicitReason},
	})
}

// TestInstalledSize compares with what dpkg-gencontrol counts.
func TestInstalledSize(t *testing.T) {
	p := packagingtest.Rich("deb", "amd64")
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	lay(t, root, p.Layout)
	ours := regexp.MustCompile(`(?m)^Installed-Size: (\d+)$`).FindStringSubmatch(control(p, 1+installedSize(p)))
	for name, text := range map[string]string{
		"control":   "Source: x\nMaintainer: " + p.Maintainer + "\n\nPackage: x\nArchitecture: all\nDescription: x\n",
		"changelog": "x (1) unstable; urgency=low\n\n  * x\n\n -- " + p.Maintainer + "  Fri, 02 Jan 2026 03:04:05 +0000\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := command(t, dir, nil, "dpkg-gencontrol", "-O", "-ccontrol", "-lchangelog", "-ffiles", "-Tsubstvars", "-P"+root)
	m := regexp.MustCompile(`(?m)^Installed-Size: (\d+)$`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("dpkg-gencontrol gives no size:\n%s", out)
	}
	if want := m[1]; want != ours[1] {
		t.Errorf("Installed-Size with /opt, which we do not ship, is %s, and dpkg-gencontrol's %s", ours[1], want)
	}
}
