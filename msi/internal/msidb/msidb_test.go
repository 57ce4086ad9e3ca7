package msidb

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vpkg/vpkg/msi/internal/cfb"
)

// need skips the test where a program is missing, or fails it where nothing may be
// skipped.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err == nil {
			continue
		}
		if os.Getenv("VPKG_REQUIRE_INSTALL") == "1" {
			t.Fatalf("%s is not installed, and VPKG_REQUIRE_INSTALL=1 asks that nothing is skipped", p)
		}
		t.Skipf("%s is not installed", p)
	}
}

// run gives what a program prints.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	// msibuild and msiinfo take strings in the locale's code page.
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, out, stderr.Bytes())
	}
	return string(out)
}

// stream is one of a string.
func stream(name, content string) Stream {
	return Stream{Name: name, Size: int64(len(content)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(content)), nil
	}}
}

// sample is a small package's database.
func sample() *Database {
	d := &Database{
		Codepage: 1252,
		Summary: Summary{
			Codepage: 1252, Title: "Installation Database", Subject: "Agent – größer", Author: "Vpkg",
			Keywords: "Installer", Comments: "Nothing", Template: "x64;1033",
			PackageCode: "{3D8C0B0E-6C0E-4B7B-9F0D-0123456789AB}",
			Created:     time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC), Saved: time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC),
			Schema: 500, Source: 2, Application: "vpkg", Security: 2,
		},
		Streams: []Stream{stream("Binary.hook", "program"), stream("product.cab", strings.Repeat("MSCF", 2000))},
	}
	d.Add("Property", "ProductName", "Agent – größer")
	d.Add("Property", "ProductVersion", "1.2.3")
	d.Add("Property", "Manufacturer", "Vpkg")
	d.Add("Directory", "TARGETDIR", nil, "SourceDir")
	d.Add("Directory", "INSTALLDIR", "TARGETDIR", "AGENT|Agent")
	d.Add("Component", "agent", "{11111111-2222-3333-4444-555555555555}", "INSTALLDIR", 256, nil, "agent.exe")
	d.Add("File", "agent.exe", "agent", "agent.exe", 70000, "1.2.3.0", "1033", 512, 1)
	d.Add("Feature", "Main", nil, "Agent", nil, 1, 1, "INSTALLDIR", 0)
	d.Add("FeatureComponents", "Main", "agent")
	d.Add("Media", 1, 1, nil, "#product.cab", nil, nil)
	d.Add("Binary", "hook", true)
	d.Add("Upgrade", "{99999999-2222-3333-4444-555555555555}", "0.0.0", "1.2.3", nil, 256, nil, "OLDERFOUND")
	d.Add("Registry", "r1", 2, `Software\Vpkg`, "Value", "#1", "agent")
	d.Add("MsiFileHash", "agent.exe", 0, -5, 2147483647, -2147483647, 7)
	AddValidation(d)
	return d
}

// encode writes a database into memory.
func encode(t *testing.T, d *Database) []byte {
	t.Helper()
	streams, err := Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := cfb.Write(&b, Root(), streams); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(t *testing.T, b []byte) *Database {
	t.Helper()
	d, err := Read(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func writeFile(t *testing.T, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.msi")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// content reads a stream.
func content(t *testing.T, s Stream) string {
	t.Helper()
	r, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// diff compares databases, except for the order of rows, which Encode chooses.
func diff(t *testing.T, got, want *Database) string {
	t.Helper()
	sortRows := cmpopts.SortSlices(func(a, b Row) bool { return compareKeys(a, b, len(a)) < 0 })
	s := cmp.Diff(got, want, sortRows, cmpopts.IgnoreFields(Database{}, "File", "Streams"))
	names := func(d *Database) map[string]string {
		m := make(map[string]string)
		for _, s := range d.Streams {
			m[s.Name] = content(t, s)
		}
		return m
	}
	return s + cmp.Diff(names(got), names(want))
}

func TestRoundTrip(t *testing.T) {
	want := sample()
	got := read(t, encode(t, want))
	if d := diff(t, got, want); d != "" {
		t.Error(d)
	}
}

func TestMsiinfo(t *testing.T) {
	need(t, "msiinfo")
	d := sample()
	path := writeFile(t, encode(t, d))
	tables := strings.Fields(run(t, "msiinfo", "tables", path))
	t.Log(tables)
	t.Log(run(t, "msiinfo", "suminfo", path))
	t.Log(run(t, "msiinfo", "streams", path))
	got := read(t, encode(t, d))
	for _, table := range got.Tables {
		var b bytes.Buffer
		if err := WriteIDT(&b, table); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(b.String(), run(t, "msiinfo", "export", path, table.Name)); d != "" {
			t.Errorf("%s: %s", table.Name, d)
		}
	}
}
