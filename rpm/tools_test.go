package rpm_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/internal/oracle"
	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
	"github.com/vpkg/vpkg/rpm"
)

// writeFile writes p into a folder of the test's own and gives the file's path.
func writeFile(t *testing.T, p *packaging.Package) string {
	t.Helper()
	a, err := packaging.Build(t.Context(), t.TempDir(), p, rpm.Format{})
	if err != nil {
		t.Fatal(err)
	}
	return a.Path
}

// run runs a program and gives what it prints. It skips the test if there is no
// such program.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	oracle.Need(t, name)
	var out, errs bytes.Buffer
	c := exec.CommandContext(t.Context(), name, args...)
	c.Stdout, c.Stderr = &out, &errs
	c.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "HOME="+t.TempDir())
	if err := c.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out.Bytes(), errs.Bytes())
	}
	return out.String()
}

func TestToolsAccept(t *testing.T) {
	for _, codec := range []string{"zstd", "gzip", "xz", "none"} {
		t.Run(codec, func(t *testing.T) {
			p := packagingtest.Rich("rpm", "x86_64")
			p.Compression.Codec = codec
			if codec == "xz" { // slow
				p.Layout = slices.DeleteFunc(p.Layout, func(e packaging.Entry) bool { return e.Size > 1<<20 })
			}
			name := writeFile(t, p)
			out := run(t, "rpm", "-Kv", name)
			for _, want := range []string{"Header SHA256 digest: OK", "Header SHA1 digest: OK", "Payload SHA256 digest: OK", "MD5 digest: OK"} {
				if !strings.Contains(out, want) {
					t.Errorf("rpm -Kv says\n%swant %s", out, want)
				}
			}
			var paths strings.Builder
			for _, e := range p.Layout {
				paths.WriteString(e.Path + "\n")
			}
			if got := run(t, "rpm", "-qpl", name); got != paths.String() {
				t.Errorf("rpm -qpl says\n%swant\n%s", got, paths.String())
			}
			// rpm2cpio compares the archive's size with the one in the header.
			archive := run(t, "rpm2cpio", name)
			file := filepath.Join(t.TempDir(), "archive")
			if err := os.WriteFile(file, []byte(archive), 0o600); err != nil {
				t.Fatal(err)
			}
			list := run(t, "cpio", "-t", "--quiet", "-F", file)
			if got, want := strings.Count(list, "\n"), len(p.Layout)-1; got != want { // without the ghost
				t.Errorf("cpio -t lists %d files, want %d", got, want)
			}
		})
	}
}

// TestSign has rpmsign add a signature, for which there is room.
func TestSign(t *testing.T) {
	oracle.Need(t, "rpmsign", "gpgconf", "gpg")
	gpg, err := exec.LookPath("gpg")
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	t.Setenv("GNUPGHOME", home)
	t.Cleanup(func() { // the agent that gpg started
		if err := exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run(); err != nil { //nolint:noctx // the test's context is done
			t.Error(err)
		}
	})
	run(t, "gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "Test <test@example.org>", "rsa2048", "sign", "never")

	name := writeFile(t, packagingtest.Small("rpm", "x86_64", 1000))
	before, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	run(t, "rpmsign", "--define", "_gpg_name Test", "--define", "__gpg "+gpg, "--addsign", name)
	after, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(before, after) {
		t.Error("rpmsign added nothing")
	}
	const headers = 96 + 16 + 7*16 + 4276 + 4 // where the main header starts
	if !bytes.Equal(before[headers:], after[headers:]) {
		t.Error("header or payload were moved")
	}
	_, err = rpm.Format{}.Read(t.Context(), bytes.NewReader(after), int64(len(after)), packaging.Payload)
	if err != nil {
		t.Error(err)
	}
}
