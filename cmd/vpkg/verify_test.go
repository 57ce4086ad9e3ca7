package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/deb"
	"github.com/vpkg/vpkg/msi"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
	"github.com/vpkg/vpkg/packaging/verify"
	"github.com/vpkg/vpkg/rpm"
)

// written is a package as its format writes it.
func written(t *testing.T, f packaging.Format, p *packaging.Package) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := f.Write(t.Context(), &b, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// verified verifies a package without linters.
func verified(t *testing.T, name string, content []byte) verification {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	v := &verifier{verifyOptions: &verifyOptions{noLinters: true}, policy: new(verify.Policy)}
	x, err := v.one(t.Context(), name, true)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// region is bytes of a package from one place to another.
type region struct{ from, to int }

func after(t *testing.T, b []byte, from int, mark string) int {
	t.Helper()
	i := bytes.Index(b[from:], []byte(mark))
	if i < 0 {
		t.Fatalf("the package has no %q", mark)
	}
	return from + i + len(mark)
}

// TestDamage changes one bit in many places of packages, each in all that a digest is
// of, and the damage is found and told with its place.
func TestDamage(t *testing.T) {
	for _, tt := range []struct {
		name, arch string
		format     packaging.Format
		codec      string
		digested   func(t *testing.T, b []byte) []region // what digests are of
		place      []string                              // one of them is in each finding
	}{
		{
			name: "gzip.rpm", format: rpm.Format{}, arch: "x86_64", codec: "gzip", place: []string{"at byte", "offset", "/usr/share/small"},
			digested: func(t *testing.T, b []byte) []region {
				const magic = "\x8e\xad\xe8\x01" // of the headers: that of signatures, and the one that counts
				return []region{{after(t, b, after(t, b, 0, magic), magic) - len(magic), len(b)}}
			},
		},
		{
			name: "none.rpm", format: rpm.Format{}, arch: "x86_64", codec: "none", place: []string{"at byte", "offset", "/usr/share/small"},
			digested: func(t *testing.T, b []byte) []region {
				const magic = "\x8e\xad\xe8\x01"
				return []region{{after(t, b, after(t, b, 0, magic), magic) - len(magic), len(b)}}
			},
		},
		{
			name: "gzip.deb", format: deb.Format{}, arch: "amd64", codec: "gzip", place: []string{"at byte", "offset", "/usr/share/small/file"},
			digested: func(_ *testing.T, b []byte) []region {
				// All but the headers of members, of ar and of gzip: nothing depends on times in them.
				var all []region
				end := len(b) - 1
				for {
					i := bytes.LastIndex(b[:end], []byte("\x1f\x8b\x08"))
					if i < 0 {
						return all
					}
					all = append(all, region{i + 10, end})
					if end = i; bytes.Equal(b[i-2:i], []byte("`\n")) {
						end -= 61 // ar's header, and what makes the length even
					}
				}
			},
		},
		{
			name: "none.deb", format: deb.Format{}, arch: "amd64", codec: "none", place: []string{"at byte", "offset", "/usr/share/small/file"},
			digested: func(_ *testing.T, b []byte) []region {
				start := bytes.Index(b, packagingtest.Noise(1, 20_000))
				return []region{{start, start + 20_000}} // md5sums are of the files' content
			},
		},
		{
			name: "mszip.msi", format: msi.Format{}, arch: "x64", codec: "mszip", place: []string{"cabinet", "cab1.cab"},
			digested: func(t *testing.T, b []byte) []region {
				data := after(t, b, after(t, b, 0, "MSCF"), "CK") // the first block of MSZIP
				return []region{{data, data + 19_000}}
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := packagingtest.Small(strings.TrimPrefix(filepath.Ext(tt.name), "."), tt.arch, 20_000)
			p.Compression.Codec = tt.codec
			b := written(t, tt.format, p)
			if x := verified(t, tt.name, b); x.Digests != "good" {
				t.Fatalf("the package is bad to begin with: %v", x.Findings)
			}
			want, err := tt.format.Read(t.Context(), bytes.NewReader(b), int64(len(b)), packaging.Payload)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, r := range tt.digested(t, b) {
				step := max((r.to-r.from)/60, 1)
				for i := r.from; i < r.to; i += step {
					n++
					changed := slices.Clone(b)
					changed[i] ^= 1 << (i % 8)
					x := verified(t, tt.name, changed)
					j := slices.IndexFunc(x.Findings, func(f verify.Finding) bool { return f.Rule == "damaged" })
					if x.Digests != "bad" || j < 0 || !x.failed {
						got, err := tt.format.Read(t.Context(), bytes.NewReader(changed), int64(len(changed)), packaging.Payload)
						if err != nil || !reflect.DeepEqual(got, want) { // some bits of a compressed stream mean nothing
							t.Errorf("byte %d of %d: digests are %s, and the package is another one", i, len(b), x.Digests)
						}
						continue
					}
					if text := x.Findings[j].Text; !slices.ContainsFunc(tt.place, func(s string) bool { return strings.Contains(text, s) }) {
						t.Errorf("byte %d: the finding names no place: %s", i, text)
					}
				}
			}
			t.Logf("%d of %d bytes", n, len(b))
		})
	}
}

// TestCut: a package of which the end is missing is damaged, wherever it is cut.
func TestCut(t *testing.T) {
	for ext, f := range map[string]packaging.Format{"rpm": rpm.Format{}, "deb": deb.Format{}, "msi": msi.Format{}} {
		b := written(t, f, packagingtest.Small(ext, map[string]string{"rpm": "x86_64", "deb": "amd64", "msi": "x64"}[ext], 20_000))
		for i := 100; i < len(b)-1; i += len(b) / 60 {
			if x := verified(t, "cut."+ext, b[:i]); x.Digests != "bad" {
				t.Errorf("%s: of %d bytes %d are there, and digests are %s", ext, len(b), i, x.Digests)
			}
		}
	}
}
