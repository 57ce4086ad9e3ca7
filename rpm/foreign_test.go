package rpm_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/rpm"
)

// foreignRPMs gives the packages that other modules have as test data: of many
// rpmbuilds, from CentOS 2 on, and of nfpm.
func foreignRPMs(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, m := range []string{"github.com/cavaliergopher/rpm@v1.3.0", "github.com/sassoftware/go-rpmutils@v0.4.0"} {
		err := filepath.WalkDir(oracle.Module(t, m), func(name string, _ os.DirEntry, err error) error {
			if strings.HasSuffix(name, ".rpm") {
				names = append(names, name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}

func TestForeign(t *testing.T) {
	for _, name := range foreignRPMs(t) {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []packaging.Depth{packaging.Headers, packaging.Payload} {
			p, err := rpm.Format{}.Read(t.Context(), f, info.Size(), d)
			if err != nil {
				t.Errorf("%s: depth %d: %v", filepath.Base(name), d, err)
				continue
			}
			t.Logf("%s %s %s %s %d files", filepath.Base(name), p.Name, p.EVR(), p.Arch, len(p.Layout))
		}
	}
}
