package ice

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/msi/internal/msidb"
)

// TestForeign checks packages that other programs made, whose mistakes are known.
func TestForeign(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(*testing.T) string
		want []string // the rules that find something, of those that do not depend on the program's version
		may  []string // those that do
	}{
		{
			name: "wixl",
			make: wixl,
			want: []string{"ICE03", "VPKG01", "VPKG02", "VPKG03"},
			may:  []string{"ICE68", "ICE77", "VPKG04"}, // 0.101 makes actions immediate, and puts them at the end
		},
		// WiX applied the evaluators themselves.
		{name: "relic's dummy.msi, by WiX 3.10", make: dummy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := tt.make(t)
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			info, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			db, err := msidb.Read(f, info.Size())
			if err != nil {
				t.Fatal(err)
			}
			var found []string
			for _, finding := range Check(db, Contents{}) {
				t.Log(finding)
				found = append(found, finding.Rule)
			}
			for _, rule := range tt.want {
				if !slices.Contains(found, rule) {
					t.Errorf("%s finds nothing", rule)
				}
			}
			for _, rule := range found {
				if !slices.Contains(tt.want, rule) && !slices.Contains(tt.may, rule) {
					t.Errorf("%s finds something", rule)
				}
			}
		})
	}
}

func wixl(t *testing.T) string {
	oracle.Need(t, "wixl")
	path := filepath.Join(t.TempDir(), "wixl.msi")
	cmd := exec.CommandContext(t.Context(), "wixl", "-o", path, "wixl.wxs")
	cmd.Dir = "testdata"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("wixl: %v\n%s", err, out)
	}
	return path
}

// dummy is a package among the tests of a module, which is none of this one.
func dummy(t *testing.T) string {
	return filepath.Join(oracle.Module(t, "github.com/sassoftware/relic/v8@v8.2.0"), "functest", "packages", "dummy.msi")
}
