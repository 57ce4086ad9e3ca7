package ice_test

import (
	"bytes"
	"testing"

	"github.com/vpkg/vpkg/msi"
	"github.com/vpkg/vpkg/msi/internal/ice"
	"github.com/vpkg/vpkg/msi/internal/msidb"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

// TestOurs checks packages of this project's writer. They have the one finding that
// they are meant to have.
func TestOurs(t *testing.T) {
	for _, tt := range []struct {
		name string
		p    *packaging.Package
	}{
		{"small", packagingtest.Small("msi", "x64", 1000)},
		{"rich", packagingtest.Rich("msi", "x64")},
		{"rich for Arm64", packagingtest.Rich("msi", "arm64")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			if _, err := (msi.Format{Spool: t.TempDir()}).Write(t.Context(), &b, tt.p); err != nil {
				t.Fatal(err)
			}
			db, err := msidb.Read(bytes.NewReader(b.Bytes()), int64(b.Len()))
			if err != nil {
				t.Fatal(err)
			}
			warned := false
			for _, f := range ice.Check(db, ice.Contents{}) {
				if f.Rule == "ICE61" && f.Severity == ice.Warning && !warned {
					warned = true
					continue
				}
				t.Error(f)
			}
			if !warned {
				t.Error("ICE61 does not warn of the Upgrade row that removes the same version")
			}
		})
	}
}
