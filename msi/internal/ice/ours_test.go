package ice_test

import (
	"bytes"
	"testing"

	"github.com/vpkg/vpkg/msi"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

// TestOurs checks packages of this project's writer, cabinets included. They have
// the one finding that they are meant to have.
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
			for i, e := range tt.p.Layout { // compression is others' to test
				if e.Size > 1<<20 {
					tt.p.Layout[i] = packagingtest.File(e.Path, 0o644, packagingtest.Noise(1, 100_000))
				}
			}
			var b bytes.Buffer
			if _, err := (msi.Format{Spool: t.TempDir()}).Write(t.Context(), &b, tt.p); err != nil {
				t.Fatal(err)
			}
			contents, err := msi.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
			if err != nil {
				t.Fatal(err)
			}
			findings, err := contents.Check(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			warned := false
			for _, f := range findings {
				if f.Rule == "ICE61" && f.Warning && !warned {
					warned = true
					continue
				}
				t.Errorf("%+v", f)
			}
			if !warned {
				t.Error("ICE61 does not warn of the row of Upgrade that removes the same version")
			}
		})
	}
}
