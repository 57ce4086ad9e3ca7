package ice_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/msi"
	"github.com/vpkg/vpkg/msi/internal/ice"
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
			findings, err := written(t, tt.p).Check(t.Context())
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

func written(t *testing.T, p *packaging.Package) *msi.Contents {
	t.Helper()
	var b bytes.Buffer
	if _, err := (msi.Format{Spool: t.TempDir()}).Write(t.Context(), &b, p); err != nil {
		t.Fatal(err)
	}
	contents, err := msi.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return contents
}

// TestOurConditions says which custom actions run when, in their order. A repair can be had by
// ordinary users, who may give it any of the properties: neither the folders nor the
// server are theirs to choose.
func TestOurConditions(t *testing.T) {
	const (
		comes = " PreInstallRollback PreInstall PostInstallRollback PostInstall"
		pairs = " ActivateRollback Activate"
		goes  = " PreRemoveRollback PreRemove PostRemoveRollback PostRemove"
		ends  = " Commit"
		gone  = " CommitRemove"
	)
	tests := []struct{ name, properties, sets, runs string }{
		{"first installation", "", "", comes + ends},
		{"activated", "MANAGEMENT_SERVER=a:1 ACTIVATION_FILE=x INSTALLFOLDER=x", "", comes + pairs + ends},
		{"upgrade", "OLDVERSIONFOUND={} OLDINSTALLFOLDER=x OLDDATAFOLDER=x", " INSTALLFOLDER DATAFOLDER REINSTALLMODE", comes + ends},
		{"upgrade to another folder", "OLDVERSIONFOUND={} OLDINSTALLFOLDER=x OLDDATAFOLDER=x INSTALLFOLDER=y", " DATAFOLDER REINSTALLMODE", comes + ends},
		{"repair", "Installed=1 REINSTALL=ALL OLDINSTALLFOLDER=x OLDDATAFOLDER=x INSTALLFOLDER=y DATAFOLDER=y MANAGEMENT_SERVER=a:1 ACTIVATION_CODE=x", " INSTALLFOLDER DATAFOLDER", comes + ends},
		{"removal", "Installed=1 REMOVE=ALL OLDINSTALLFOLDER=x OLDDATAFOLDER=x", " INSTALLFOLDER DATAFOLDER", goes + gone},
		{"removal in an upgrade", "Installed=1 REMOVE=ALL UPGRADINGPRODUCTCODE={} OLDINSTALLFOLDER=x OLDDATAFOLDER=x", " INSTALLFOLDER DATAFOLDER", ""},
	}
	contents := written(t, packagingtest.Rich("msi", "x64"))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			properties := make(map[string]string)
			for v := range strings.FieldsSeq(tt.properties) {
				name, value, _ := strings.Cut(v, "=")
				properties[name] = value
			}
			var sets, runs strings.Builder
			for _, a := range contents.Actions("InstallExecuteSequence") {
				holds, err := ice.Holds(a.Condition, func(name string) string { return properties[name] })
				switch {
				case err != nil:
					t.Fatal(a.Name, err)
				case !holds || a.Does == "" || a.Name == "SetARPINSTALLLOCATION":
				case strings.HasPrefix(a.Name, "Set"):
					sets.WriteString(" " + a.Name[len("Set"):])
				default:
					runs.WriteString(" " + strings.TrimPrefix(a.Name, "Hook"))
				}
			}
			if sets.String() != tt.sets || runs.String() != tt.runs {
				t.Errorf("sets%s and runs%s, want%s and%s", &sets, &runs, tt.sets, tt.runs)
			}
		})
	}
}
