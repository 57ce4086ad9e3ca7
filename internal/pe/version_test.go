package pe_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/internal/pe"
)

// TestReadVersionWine reads Wine's own libraries, which other linkers and resource
// compilers made, and compares with 7-Zip.
func TestReadVersionWine(t *testing.T) {
	oracle.Need(t, "wine")
	oracle.Need(t, "7z")
	names, _ := filepath.Glob("/usr/lib/*/wine/x86_64-windows/*.dll")
	fileVersion := regexp.MustCompile(`(?m)^FileVersion: *(\d+\.\d+)(\.\d+\.\d+)?`)
	versions, compared := 0, 0
	for i, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		version, languages, ok, err := pe.ReadVersion(f)
		f.Close()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if ok {
			versions++
			if !regexp.MustCompile(`^\d+\.\d+\.\d+\.\d+$`).MatchString(version) || languages == "" {
				t.Errorf("%s: version %q, languages %q", name, version, languages)
			}
		}
		if i%20 > 0 {
			continue
		}
		compared++
		m := fileVersion.FindStringSubmatch(output(t, "7z", "l", "-slt", name))
		switch {
		case m == nil && !ok:
		case m == nil || !ok:
			t.Errorf("%s: %q, %v; 7z says %q", name, version, ok, m)
		case m[2] == "" && version != m[1]+".0.0", m[2] != "" && version != m[1]+m[2]:
			t.Errorf("%s: %q; 7z says %q", name, version, m[0])
		}
	}
	if versions < 50 || compared < 5 {
		t.Errorf("%d versions of %d libraries, %d compared", versions, len(names), compared)
	}
}

func TestReadVersionOther(t *testing.T) {
	mz := make([]byte, 200)
	copy(mz, "MZ")
	mz[60] = 100
	for _, b := range []string{"", "MZ", "#!/bin/sh\necho", string(mz), string(program(t, "amd64"))} {
		version, languages, ok, err := pe.ReadVersion(strings.NewReader(b))
		if version != "" || languages != "" || ok || err != nil {
			t.Errorf("%.20q: %q, %q, %v, %v", b, version, languages, ok, err)
		}
	}
}

// TestReadVersionStream reads from what cannot seek, byte for byte, and finds that
// no more is read than needed.
func TestReadVersionStream(t *testing.T) {
	b := stamp(t, program(t, "arm64"), example)
	r := bytes.NewReader(b)
	version, _, ok, err := pe.ReadVersion(iotest.OneByteReader(struct{ io.Reader }{r}))
	if version != "24.2.10.65535" || !ok || err != nil {
		t.Errorf("%q, %v, %v", version, ok, err)
	}
	failing := io.MultiReader(bytes.NewReader(b[:300]), iotest.ErrReader(errors.New("disk on fire")))
	var fe *pe.FormatError
	if _, _, _, err := pe.ReadVersion(failing); err == nil || errors.As(err, &fe) || !strings.Contains(err.Error(), "disk on fire") {
		t.Errorf("error of a reader: %v", err)
	}
}

// TestReadVersionBroken cuts a program off at many places and changes its
// resources: it has no version or an error that says where.
func TestReadVersionBroken(t *testing.T) {
	b := stamp(t, program(t, "amd64"), example)
	rsrc := bytes.LastIndex(b, []byte("V\x00S\x00_\x00V\x00")) - 6
	end := rsrc + int(binary.LittleEndian.Uint16(b[rsrc:]))
	for _, cut := range []int{200, 400, 1000, rsrc - 200, rsrc - 20, rsrc, rsrc + 100, end - 1} {
		_, _, ok, err := pe.ReadVersion(bytes.NewReader(b[:cut]))
		var fe *pe.FormatError
		if ok || !errors.As(err, &fe) {
			t.Errorf("cut off at %d: %v, %v", cut, ok, err)
		}
	}
	for _, test := range []struct {
		name   string
		change func(b []byte)
	}{
		{"key", func(b []byte) { b[rsrc+6] = 'X' }},
		{"magic", func(b []byte) { b[rsrc+40]++ }},
		{"size", func(b []byte) { b[rsrc] = 3; b[rsrc+1] = 0 }},
		{"child", func(b []byte) { b[rsrc+92] = 1; b[rsrc+93] = 0 }},
	} {
		c := bytes.Clone(b)
		test.change(c)
		_, _, ok, err := pe.ReadVersion(bytes.NewReader(c))
		var fe *pe.FormatError
		if ok || !errors.As(err, &fe) {
			t.Errorf("%s changed: %v, %v", test.name, ok, err)
		}
	}
}

func FuzzReadVersion(f *testing.F) {
	// A small program: headers and the section with resources, without the code.
	f.Add(small(f))
	f.Add([]byte("MZ"))
	f.Fuzz(func(t *testing.T, b []byte) {
		version, languages, ok, err := pe.ReadVersion(bytes.NewReader(b))
		again, languagesAgain, okAgain, errAgain := pe.ReadVersion(struct{ io.Reader }{bytes.NewReader(b)})
		if version != again || languages != languagesAgain || ok != okAgain || (err == nil) != (errAgain == nil) {
			t.Errorf("with and without seeking: %q %q %v %v, %q %q %v %v", version, languages, ok, err, again, languagesAgain, okAgain, errAgain)
		}
		if ok == (version == "") || ok && err != nil {
			t.Errorf("%q %v %v", version, ok, err)
		}
		// What can be stamped can be read.
		var out bytes.Buffer
		if pe.Stamp(bytes.NewReader(b), int64(len(b)), &out, example) == nil {
			if version, _, ok, err := pe.ReadVersion(&out); version != "24.2.10.65535" || !ok || err != nil {
				t.Errorf("stamped: %q %v %v", version, ok, err)
			}
		}
	})
}

// small is a program of a kilobyte with resources in its only section.
func small(t testing.TB) []byte {
	le := binary.LittleEndian
	b := make([]byte, 0x200)
	copy(b, "MZ")
	b[60] = 64
	copy(b[64:], "PE\x00\x00\x64\x86")
	le.PutUint16(b[64+20:], 240)
	opt := b[88:]
	le.PutUint16(opt, 0x20b)
	le.PutUint32(opt[32:], 0x1000)
	le.PutUint32(opt[36:], 0x200)
	le.PutUint32(opt[60:], 0x200)
	le.PutUint32(opt[108:], 16)
	return stamp(t, b, example)
}
