package cfb

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/oracle"
)

func runTool(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func openFile(t *testing.T, path string) *Reader {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func writeTo(t *testing.T, streams []Stream) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.msi")
	if err := os.WriteFile(path, write(t, root, streams...), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// oracleStreams has all that the layout knows: mini streams, others, and so many
// sectors that there is a DIFAT.
func oracleStreams() []Stream {
	streams := []Stream{pattern("a", 0), pattern("bb", 1), pattern("ccc", 4095), pattern("dddd", 4096), pattern("eeeee", 4097), pattern("large", 8<<20)}
	for i := range 50 {
		streams = append(streams, pattern(fmt.Sprint("stream", i), int64(100*i)))
	}
	return streams
}

var large = flag.Bool("large", false, "also give 7z a file of more than 2 GiB, most of which is a hole on disk")

// TestSevenZipVersion4 lets 7z list and extract from a file with the range lock.
func TestSevenZipVersion4(t *testing.T) {
	if !*large {
		t.Skip("-large is not set")
	}
	oracle.Need(t, "7z")
	f, err := os.Create(filepath.Join(t.TempDir(), "x.msi"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := &sparse{pages: make(map[int64][]byte)}
	streams := []Stream{pattern("first", 5000), zeros("large", 2<<30+1<<20), pattern("last", 5000), pattern("small", 100)}
	if err := Write(s, root, streams); err != nil {
		t.Fatal(err)
	}
	for n, b := range s.pages {
		if _, err := f.WriteAt(b, n*page); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(s.size); err != nil {
		t.Fatal(err)
	}
	for _, s := range streams {
		cmd := exec.CommandContext(t.Context(), "7z", "x", "-tCompound", "-so", f.Name(), quotable(s.Name))
		got, want := sha256.New(), sha256.New()
		cmd.Stdout = got
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		r, err := s.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(want, r); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
			t.Errorf("7z extracts other content of %q", quotable(s.Name))
		}
	}
}

func TestSevenZip(t *testing.T) {
	oracle.Need(t, "7z")
	streams := oracleStreams()
	path := writeTo(t, streams)
	dir := t.TempDir()
	runTool(t, "7z", "x", "-tCompound", "-o"+dir, path)
	for _, s := range streams {
		got, err := os.ReadFile(filepath.Join(dir, quotable(s.Name)))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, readAll(t, s)) {
			t.Errorf("7z extracts other content of %q", quotable(s.Name))
		}
	}
}

// TestMetadata lets osslsigncode make the digest of the metadata, which it keeps in
// the file that it signs.
func TestMetadata(t *testing.T) {
	oracle.Need(t, "osslsigncode", "openssl")
	dir := t.TempDir()
	key, cert, signed := filepath.Join(dir, "key"), filepath.Join(dir, "cert"), filepath.Join(dir, "signed.msi")
	runTool(t, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Test", "-keyout", key, "-out", cert, "-addext", "extendedKeyUsage=codeSigning")
	meta := pattern("meta", 100)
	meta.State, meta.Created, meta.Modified = 3, 1<<60, 1<<61
	streams := append(oracleStreams(), meta, pattern("日本", 7))
	path := writeTo(t, streams)
	runTool(t, "osslsigncode", "sign", "-h", "sha256", "-add-msi-dse", "-certs", cert, "-key", key, "-in", path, "-out", signed)

	r := openFile(t, signed)
	i := slices.IndexFunc(r.Streams, func(s Stream) bool { return quotable(s.Name) == "\x05MsiDigitalSignatureEx" })
	if i < 0 {
		t.Fatal("osslsigncode wrote no digest of the metadata")
	}
	want := readAll(t, r.Streams[i])
	SortForImprint(streams)
	if got := sha256.Sum256(AppendMetadata(nil, root, streams)); !bytes.Equal(got[:], want) {
		t.Errorf("digest of the metadata: %x, want %x", got, want)
	}

	// And of the file that was read, without the signature.
	unsigned := slices.DeleteFunc(slices.Clone(r.Streams), func(s Stream) bool { return strings.HasPrefix(quotable(s.Name), "\x05") })
	SortForImprint(unsigned)
	if got := sha256.Sum256(AppendMetadata(nil, r.Root, unsigned)); !bytes.Equal(got[:], want) {
		t.Errorf("digest of the metadata read: %x, want %x", got, want)
	}
}

// TestForeign reads a package that Windows Installer made: dummy.msi of relic.
func TestForeign(t *testing.T) {
	r := openFile(t, filepath.Join(oracle.Module(t, "github.com/sassoftware/relic/v8@v8.2.0"), "functest", "packages", "dummy.msi"))
	if r.Root.CLSID != [16]byte{0x84, 0x10, 0x0c, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x46} {
		t.Errorf("CLSID %x", r.Root.CLSID)
	}
	found := false
	for _, s := range r.Streams {
		if int64(len(readAll(t, s))) != s.Size {
			t.Errorf("stream %q has other than %d bytes", quotable(s.Name), s.Size)
		}
		found = found || quotable(s.Name) == "\x05SummaryInformation"
	}
	if !found {
		t.Error("no summary information")
	}
}
