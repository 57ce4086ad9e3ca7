package pairing

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// example is a release of some systems.
func example() Script {
	s := Script{API: 18, Profile: 2, Product: "illumio-ven", Version: "25.2.20-10"}
	for n, os := range strings.Fields("el7 el8 el9 el10 amzn2 amzn2023 sles12 sles15 ubuntu18 ubuntu20 ubuntu22 ubuntu24 debian10 debian11 debian12 debian13 windows") {
		archs, format := []string{"x86_64", "aarch64"}, "rpm"
		switch {
		case os == "windows":
			archs, format = []string{"x64"}, "msi"
		case strings.HasPrefix(os, "ubuntu"), strings.HasPrefix(os, "debian"):
			archs, format = []string{"amd64", "arm64"}, "deb"
		}
		for _, arch := range archs {
			version := "25.2.20-10." + os
			s.Images = append(s.Images, Image{
				OS: os, Arch: arch, Format: format, Version: version, FileName: "illumio-ven-" + version + "." + arch + "." + format,
				Size: int64(4000000 + n), SHA256: strings.Repeat("0123456789abcdef", 4),
			})
		}
	}
	return s
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("it is not what %s has; go test -update rewrites that", file)
	}
}

func TestScriptGolden(t *testing.T) { golden(t, "pair.sh", example().Linux()) }
