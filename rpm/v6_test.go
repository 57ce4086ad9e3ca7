package rpm

import (
	"bytes"
	"crypto/sha3"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/packaging"
)

// v6 gives a package of testdata/v6, which its make.sh makes with rpm 6.1.
func v6(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "v6", name+".rpm"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestV6 reads packages of rpm 6 in its own format, one for each compressor.
func TestV6(t *testing.T) {
	const want = `-rw-r--r-- root:root 4 /etc/v6.conf config(noreplace)
drwxr-xr-x root:root 0 /opt/v6
drwxr-xr-x root:root 0 /opt/v6/empty
urwxr-x--- root:bin 5 /opt/v6/file "body\n"
-rw-r--r-- root:root 5 /opt/v6/hard = /opt/v6/file
Lrwxrwxrwx root:root 0 /opt/v6/link -> ../v6/file
-rw-r--r-- root:root 0 /opt/v6/nothing ""
-rw-r--r-- root:root 5000 /opt/v6/page
-rw-r--r-- root:root 5 /opt/v6/zhard = /opt/v6/file
`
	for _, codec := range []string{"gzip", "bzip2", "xz", "lzma", "zstd", "none", "signed"} {
		t.Run(codec, func(t *testing.T) {
			b := v6(t, codec)
			p, err := Format{}.Read(t.Context(), bytes.NewReader(b), int64(len(b)), packaging.Payload)
			if err != nil {
				t.Fatal(err)
			}
			bodies := map[string]string{}
			err = Format{}.Each(t.Context(), bytes.NewReader(b), int64(len(b)), func(e *packaging.Entry, body io.Reader) error {
				if body != nil && e.Config == packaging.NotConfig && e.Size < 1000 {
					content, err := io.ReadAll(body)
					bodies[e.Path] = fmt.Sprintf(" %q", content)
					return err
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, e := range p.Layout {
				fmt.Fprintf(&got, "%s %s:%s %d %s", e.Mode, e.Owner, e.Group, e.Size, e.Path)
				if e.Target != "" {
					got.WriteString(" -> " + e.Target)
				}
				if e.HardLink != "" {
					got.WriteString(" = " + e.HardLink)
				}
				if e.Config != packaging.NotConfig {
					got.WriteString(" " + e.Config.String())
				}
				got.WriteString(bodies[e.Path] + "\n")
			}
			if got.String() != want {
				t.Errorf("layout\n%swant\n%s", got.String(), want)
			}
			if s, _ := p.Script(packaging.PostInstall); p.Name != "v6" || s.Body != "echo installed" || !strings.Contains(fmt.Sprint(p.Relations), "other >= 2") {
				t.Errorf("read %s with %v and %v", p.Name, p.Scripts, p.Relations)
			}
		})
	}
	b := v6(t, "nofiles")
	p, err := Format{}.Read(t.Context(), bytes.NewReader(b), int64(len(b)), packaging.Payload)
	if err != nil || p.Name != "v6none" || len(p.Layout) != 0 {
		t.Errorf("a package without files is read as %v, error %v", p, err)
	}
}

// resignV6 gives a package of rpm 6 the digests of its header, after change changed
// that.
func resignV6(t *testing.T, b []byte, change func(h header) header) []byte {
	t.Helper()
	f := mustOpen(t, b)
	raw := change(mustWhole(t, f.main)).encode(tagRegionImmutable)
	sum := sha3.Sum256(raw)
	var s header
	s.addString(sigSHA256, hexSHA256(raw))
	s.addString(sigSHA3, hex.EncodeToString(sum[:]))
	out := append(bytes.Clone(b[:leadSize]), s.encode(tagRegionSignatures)...)
	out = append(out, make([]byte, -len(out)&7)...)
	return append(append(out, raw...), b[f.main.end():]...)
}

// TestV6Digests changes each digest and size that a package of rpm 6 has, one by one.
func TestV6Digests(t *testing.T) {
	b := v6(t, "zstd")
	if r := resignV6(t, b, func(h header) header { return h }); readError(t, r) != nil {
		t.Fatalf("unchanged: %v", readError(t, r))
	}
	for _, tag := range []tag{tagPayloadDigest, tagPayloadDigestAlt, tagPayloadSHA512, tagPayloadSHA512Alt, tagPayloadSHA3, tagPayloadSHA3Alt, tagPayloadSize, tagPayloadSizeAlt} {
		r := resignV6(t, b, func(h header) header {
			for i := range h {
				if h[i].tag == tag {
					h[i].data = bytes.Clone(h[i].data)
					if h[i].typ == typeInt64 {
						h[i].data[7] ^= 1
					} else {
						h[i].data[0] ^= 1 // another digit
					}
					return h
				}
			}
			t.Fatalf("package has no tag %d", tag)
			return h
		})
		if err := readError(t, r); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("tag %d: ", tag)) {
			t.Errorf("tag %d changed: %v", tag, err)
		}
	}
	// The header's own digest: a byte of the summary.
	c := bytes.Replace(b, []byte("a package of rpm 6"), []byte("a package of rpm 7"), 1)
	if err := readError(t, c); err == nil || !strings.Contains(err.Error(), "header has SHA3-256") {
		t.Errorf("header changed: %v", err)
	}
	for _, tt := range []struct {
		want string
		add  func(h *header)
	}{
		{"RPM's format 7", func(h *header) { h.addUint32s(tagRPMFormat, 7) }},
		{alignedFeature, func(h *header) { h.addStrings(tagRequireName, []string{alignedFeature}) }},
	} {
		r := resignV6(t, b, func(old header) header {
			var h, more header
			tt.add(&more)
			for _, e := range old {
				if e.tag != more[0].tag && e.tag != tagRequireVersion && e.tag != tagRequireFlags {
					h = append(h, e)
				}
			}
			return append(h, more...)
		})
		if err := readError(t, r); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error is %v, want %q", err, tt.want)
		}
	}
}

func readError(t *testing.T, b []byte) error {
	t.Helper()
	_, err := Format{}.Read(t.Context(), bytes.NewReader(b), int64(len(b)), packaging.Payload)
	return err
}

// TestListSignatures has each kind that rpm knows.
func TestListSignatures(t *testing.T) {
	list := func(b []byte) string {
		t.Helper()
		all, err := Format{}.ListSignatures(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		var text []string
		for _, s := range all {
			text = append(text, fmt.Sprintf("%s %s %s %d %d", s.Name, s.Kind, s.Covers, s.Size, s.Files))
		}
		return strings.Join(text, "; ")
	}
	if got := list(v6(t, "zstd")); got != "" {
		t.Errorf("an unsigned package has %s", got)
	}
	// Two of rpmsign's, of an RSA and an Ed25519 key.
	if got := list(v6(t, "signed")); got != "OPENPGP OpenPGP header 310 0; OPENPGP OpenPGP header 119 0" {
		t.Errorf("a signed package has %s", got)
	}
	f := mustOpen(t, v6(t, "none"))
	s := mustWhole(t, f.signature)
	for _, tag := range []tag{sigDSA, sigRSA, sigPGP, sigGPG, sigPGP5} {
		s.addBytes(tag, make([]byte, tag%100))
	}
	s.addStrings(274, []string{"0302", "", "0303"})
	s.addStrings(276, []string{"", ""})
	raw := s.encode(tagRegionSignatures)
	b := append(bytes.Clone(v6(t, "none")[:leadSize]), raw...)
	b = append(append(b, make([]byte, -len(b)&7)...), v6(t, "none")[f.main.offset:]...)
	const want = "DSA OpenPGP header 67 0; RSA OpenPGP header 68 0; FILESIGNATURES IMA files 8 2; " +
		"PGP OpenPGP header and payload 2 0; GPG OpenPGP header and payload 5 0; PGP5 OpenPGP header and payload 6 0"
	if got := list(b); got != want {
		t.Errorf("signatures are %s, want %s", got, want)
	}
}
