package rpm_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
	"github.com/vpkg/vpkg/rpm"
)

func readFile(ctx context.Context, name string, depth packaging.Depth) (*packaging.Package, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return rpm.Format{}.Read(ctx, bytes.NewReader(b), int64(len(b)), depth)
}

// TestAgreesWithRPM reads packages of many makers, and compares every file's attributes
// with what rpm says of them: docs/inspect.md has the differences.
func TestAgreesWithRPM(t *testing.T) {
	if testing.Short() {
		t.Skip("many packages")
	}
	oracle.Need(t, "rpm")
	names := append(foreignRPMs(t), writeFile(t, packagingtest.Rich("rpm", "x86_64")))
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			p, err := readFile(t.Context(), name, packaging.Headers)
			if err != nil {
				t.Fatal(err)
			}
			facts := run(t, "rpm", "-qp", "--nosignature", "--qf", "%{NAME} %{EVR} %{ARCH}\n[%{FILEMODES:octal} %{FILESIZES} %{FILEMTIMES} %{FILEDIGESTS} %{FILEUSERNAME} %{FILEGROUPNAME} %{FILEFLAGS:fflags} %{FILENAMES} -> %{FILELINKTOS}\n]", name)
			head, want, _ := strings.Cut(facts, "\n")
			// An epoch of 0 is the same as none.
			if own := fmt.Sprintf("%s %s %s", p.Name, p.EVR(), p.Arch); own != strings.Replace(head, " 0:", " ", 1) {
				t.Errorf("it is %q, and rpm says %q", own, head)
			}
			lines := strings.Split(strings.TrimSuffix(want, "\n"), "\n")
			if want == "" || want == "(none) (none) (none) (none) (none) (none) (none) (none) -> (none)\n" {
				lines = nil
			}
			theirs := make(map[string]string, len(lines))
			for _, l := range lines {
				f := strings.SplitN(l, " ", 8)
				if len(f) < 8 {
					// A file without flags has nothing between two blanks, as SplitN has it.
					t.Fatalf("rpm says %q", l)
				}
				file, target, _ := strings.Cut(f[7], " -> ")
				if len(f[3]) != len(packaging.Digest{}.String()) { // a digest of another algorithm is checked, not kept
					f[3] = ""
				}
				if strings.HasPrefix(f[0], "4") { // a folder's own size depends on where it was built
					f[1] = "0"
				}
				theirs[file] = strings.Join(append(f[:7], target), " ")
			}
			if len(theirs) != len(p.Layout) {
				t.Errorf("%d files, and rpm says %d", len(p.Layout), len(theirs))
			}
			for i := range p.Layout {
				e := &p.Layout[i]
				if got, want := asRPM(p, e), theirs[e.Path]; got != want {
					t.Errorf("%s is\n%s, and rpm says\n%s", e.Path, got, want)
				}
			}
		})
	}
}

// asRPM gives an entry as the query of TestAgreesWithRPM does.
func asRPM(p *packaging.Package, e *packaging.Entry) string {
	flags := ""
	for _, f := range []struct {
		on     bool
		letter string
	}{
		{e.Doc, "d"},
		{e.Config != packaging.NotConfig, "c"},
		{e.Config == packaging.ConfigMissingOK, "m"},
		{e.Config == packaging.ConfigNoReplace, "n"},
		{e.Ghost, "g"},
		{e.Lic, "l"},
		{e.Readme, "r"},
	} {
		if f.on {
			flags += f.letter
		}
	}
	when, digest, size := e.ModTime, "", e.Size
	if when.IsZero() {
		when = p.Date
	}
	if !e.SHA256.IsZero() {
		digest = e.SHA256.String()
	}
	if e.Mode&fs.ModeSymlink != 0 {
		size = int64(len(e.Target))
	}
	return fmt.Sprintf("%o %d %d %s %s %s %s %s", packaging.UnixMode(e.Mode), size, when.Unix(), digest, e.OwnerName(), e.GroupName(), flags, e.Target)
}

// TestVerdict has rpm and us say whether packages are damaged, as they are and with a
// bit changed in the header, in the payload and at its end.
func TestVerdict(t *testing.T) {
	if testing.Short() {
		t.Skip("many packages")
	}
	oracle.Need(t, "rpmkeys")
	for _, name := range append(foreignRPMs(t), writeFile(t, packagingtest.Small("rpm", "x86_64", 10_000))) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			whole, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for at, why := range map[int]string{0: "as it is", len(whole) / 2: "with a bit changed in the middle", len(whole) - 1: "with the last bit changed"} {
				b := bytes.Clone(whole)
				if at > 0 {
					b[at] ^= 1
				}
				changed := filepath.Join(t.TempDir(), "x.rpm")
				if err := os.WriteFile(changed, b, 0o600); err != nil {
					t.Fatal(err)
				}
				_, own := readFile(t.Context(), changed, packaging.Payload)
				cmd := exec.CommandContext(t.Context(), "rpmkeys", "--dbpath", t.TempDir(), "--checksig", "--nosignature", changed)
				out, theirs := cmd.CombinedOutput()
				if (own == nil) != (theirs == nil) {
					t.Errorf("%s: we say %v, and rpmkeys %v\n%s", why, own, theirs, cmp.Or(string(out), "nothing"))
				}
			}
		})
	}
}
