package pe_test

import (
	"bytes"
	debugpe "debug/pe"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/internal/pe"
)

// programs are those of testdata/program, by architecture; each is built once.
var programs = map[string]func() ([]byte, error){
	"386":   sync.OnceValues(func() ([]byte, error) { return build("386") }),
	"amd64": sync.OnceValues(func() ([]byte, error) { return build("amd64") }),
	"arm64": sync.OnceValues(func() ([]byte, error) { return build("arm64") }),
}

func build(arch string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "pe-test-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "program.exe")
	cmd := exec.Command("go", "build", "-trimpath", "-o", name, "./testdata/program")
	cmd.Env = append(os.Environ(), "GOOS=windows", "GOARCH="+arch, "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, errors.New(string(out))
	}
	return os.ReadFile(name)
}

func program(t testing.TB, arch string) []byte {
	t.Helper()
	b, err := programs[arch]()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var example = pe.Resources{
	Version:     [4]uint16{24, 2, 10, 65535},
	Product:     "Illumio VEN",
	Company:     "Illumio, Inc.",
	Description: "Wächter 警备",
	Original:    "resource.exe",
	Data:        []byte(`{"a":"configuration of nine and more bytes"}`),
}

func stamp(t testing.TB, b []byte, r pe.Resources) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := pe.Stamp(bytes.NewReader(b), int64(len(b)), &out, r); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestStamp(t *testing.T) {
	for arch := range programs {
		t.Run(arch, func(t *testing.T) {
			before := program(t, arch)
			after := stamp(t, before, example)
			if again := stamp(t, before, example); !bytes.Equal(after, again) {
				t.Error("two runs give different bytes")
			}
			f, err := debugpe.NewFile(bytes.NewReader(after))
			if err != nil {
				t.Fatal(err)
			}
			old, err := debugpe.NewFile(bytes.NewReader(before))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := len(f.Sections), len(old.Sections)+1; got != want {
				t.Fatalf("%d sections, want %d", got, want)
			}
			for i, s := range old.Sections {
				got, err := f.Sections[i].Data()
				if err != nil {
					t.Fatal(err)
				}
				want, err := s.Data()
				if err != nil {
					t.Fatal(err)
				}
				if f.Sections[i].SectionHeader != s.SectionHeader || !bytes.Equal(got, want) {
					t.Errorf("section %s has changed", s.Name)
				}
			}
			rsrc := f.Sections[len(f.Sections)-1]
			if rsrc.Name != ".rsrc" || rsrc.VirtualAddress%0x1000 != 0 || rsrc.Offset%0x200 != 0 || rsrc.Size%0x200 != 0 {
				t.Errorf("the last section is %+v", rsrc.SectionHeader)
			}
			if got, want := len(after), int(rsrc.Offset+rsrc.Size); got != want {
				t.Errorf("file of %d bytes, want %d", got, want)
			}
			version, languages, ok, err := pe.ReadVersion(bytes.NewReader(after))
			if err != nil {
				t.Fatal(err)
			}
			if version != "24.2.10.65535" || languages != "1033" || !ok {
				t.Errorf("version %q, languages %q, %v", version, languages, ok)
			}
		})
	}
}

// TestStampReaders asks other programs for what Stamp wrote: wrestool of icoutils
// and 7-Zip, which checks the sum too.
func TestStampReaders(t *testing.T) {
	dir := t.TempDir()
	for arch := range programs {
		name := filepath.Join(dir, arch+".exe")
		if err := os.WriteFile(name, stamp(t, program(t, arch), example), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Run("wrestool "+arch, func(t *testing.T) {
			oracle.Need(t, "wrestool")
			got := output(t, "wrestool", "-l", name)
			for _, want := range []string{"--type=10 --name=1 --language=0 ", "--type=16 --name=1 --language=1033 "} {
				if !strings.Contains(got, want) {
					t.Errorf("list\n%swants %q", got, want)
				}
			}
			if got := output(t, "wrestool", "-x", "--raw", "-t10", "-n1", name); got != string(example.Data) {
				t.Errorf("data %q, want %q", got, example.Data)
			}
		})
		t.Run("7z "+arch, func(t *testing.T) {
			oracle.Need(t, "7z")
			got := output(t, "7z", "l", "-slt", name)
			for _, want := range []string{
				"FileVersion: 24.2.10.65535\n", "ProductVersion: 24.2.10.65535\n",
				"CompanyName: Illumio, Inc.", "FileDescription: Wächter 警备", "OriginalFilename: resource.exe",
				"ProductName: Illumio VEN", "version.txt",
			} {
				if !strings.Contains(got, want) {
					t.Errorf("list\n%swants %q", got, want)
				}
			}
			if strings.Contains(got, "WARNING") {
				t.Errorf("7z warns:\n%s", got)
			}
		})
	}
}

func TestStampRefuses(t *testing.T) {
	b := program(t, "amd64")
	le := binary.LittleEndian
	coff := int(le.Uint32(b[60:]))
	opt := coff + 24
	changed := func(change func(b []byte)) []byte {
		c := bytes.Clone(b)
		change(c)
		return c
	}
	long := example
	long.Product = strings.Repeat("x", 40000)
	nul := example
	nul.Company = "a\x00b"
	for _, test := range []struct {
		name    string
		program []byte
		res     pe.Resources
		is      error  // or nil
		want    string // in the message
	}{
		{"resources", stamp(t, b, example), example, pe.ErrResources, ""},
		{"signed", changed(func(b []byte) { le.PutUint32(b[opt+112+4*8+4:], 8) }), example, pe.ErrSigned, ""},
		{"other file", []byte("#!/bin/sh\n"), example, pe.ErrNotPE, ""},
		{"empty", nil, example, pe.ErrNotPE, ""},
		{"cut off", b[:len(b)-1], example, nil, "cut off"},
		{"cut off in headers", b[:opt+10], example, nil, "cut off"},
		{"alignment", changed(func(b []byte) { le.PutUint32(b[opt+36:], 0) }), example, nil, "alignments of 4096 in memory and 0"},
		{"no room", changed(func(b []byte) { le.PutUint32(b[opt+60:], 0x280) }), example, nil, "no room"},
		{"optional header", changed(func(b []byte) { b[opt] = 7 }), example, nil, "want PE32"},
		{"directories", changed(func(b []byte) { le.PutUint32(b[opt+108:], 1) }), example, nil, "none for resources"},
		{"too many directories", changed(func(b []byte) { le.PutUint32(b[opt+108:], 17) }), example, nil, "do not fit"},
		{"long name", b, long, nil, "too long"},
		{"NUL", b, nul, nil, "NUL"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			err := pe.Stamp(bytes.NewReader(test.program), int64(len(test.program)), &out, test.res)
			if err == nil || test.is != nil && !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %v %q", err, test.is, test.want)
			}
			if out.Len() > 0 {
				t.Errorf("%d bytes written", out.Len())
			}
		})
	}
}

// TestStampOverlay keeps what follows the last section, where linkers other than
// Go's put symbols.
func TestStampOverlay(t *testing.T) {
	b := append(program(t, "amd64"), "overlay"...)
	after := stamp(t, b, example)
	if !bytes.Equal(after[len(b)-7:len(b)], []byte("overlay")) {
		t.Error("the overlay has moved")
	}
	if _, _, ok, err := pe.ReadVersion(bytes.NewReader(after)); !ok || err != nil {
		t.Errorf("version: %v, %v", ok, err)
	}
}

// TestChecksum compares with the definition, for pieces of any size.
func TestChecksum(t *testing.T) {
	b := bytes.Repeat([]byte{0xff, 0xff, 1, 0xfe, 0x80}, 1001) // an odd number
	var want uint32
	for i := 0; i < len(b); i += 2 {
		word := uint32(b[i])
		if i+1 < len(b) {
			word |= uint32(b[i+1]) << 8
		}
		want += word
		want = want>>16 + want&0xffff
	}
	want += uint32(len(b))
	for _, step := range []int{1, 2, 3, 7, 4096, len(b)} {
		var c pe.Checksum
		for p := b; len(p) > 0; p = p[min(step, len(p)):] {
			if _, err := c.Write(p[:min(step, len(p))]); err != nil {
				t.Fatal(err)
			}
		}
		if got := c.Sum(); got != want {
			t.Errorf("in pieces of %d: %#x, want %#x", step, got, want)
		}
	}
}
