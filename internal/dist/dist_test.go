package dist

import (
	"archive/tar"
	"compress/bzip2"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vpkg/vpkg/packaging"
)

// text is a format whose files hold the package's name.
type text struct{ fail string }

func (text) Name() string                         { return "text" }
func (text) FileName(p *packaging.Package) string { return p.Name + ".text" }

func (f text) Write(_ context.Context, w io.Writer, p *packaging.Package) (packaging.Written, error) {
	if p.Name == f.fail {
		return packaging.Written{}, errors.New("no such body")
	}
	_, err := io.WriteString(w, p.Name)
	return packaging.Written{}, err
}

func (text) Read(_ context.Context, r io.ReaderAt, size int64, _ packaging.Depth) (*packaging.Package, error) {
	b := make([]byte, size)
	_, err := r.ReadAt(b, 0)
	return &packaging.Package{Name: string(b)}, err
}

func jobs(f packaging.Format, names ...string) []Job {
	var js []Job
	for _, n := range names {
		js = append(js, Job{OS: "os-" + n, Package: &packaging.Package{Name: n}, Format: f})
	}
	return js
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	es, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range es {
		names = append(names, e.Name())
	}
	return names
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestBuildListsWhatIsThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dist")
	for _, names := range [][]string{{"b", "a"}, {"c"}} {
		if _, err := Build(t.Context(), Options{Dir: dir, Jobs: 2}, jobs(text{}, names...)); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := list(t, dir), []string{"SHA256SUMS", "a.text", "artifacts.json", "b.text", "c.text"}; !slices.Equal(got, want) {
		t.Errorf("dist holds %q, want %q", got, want)
	}
	const want = "" +
		"ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb  a.text\n" +
		"3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d  b.text\n" +
		"2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6  c.text\n"
	if got := read(t, filepath.Join(dir, "SHA256SUMS")); got != want {
		t.Errorf("SHA256SUMS is\n%swant\n%s", got, want)
	}
	var as []Artifact
	if err := json.Unmarshal([]byte(read(t, filepath.Join(dir, "artifacts.json"))), &as); err != nil {
		t.Fatal(err)
	}
	if len(as) != 3 || as[0].OS != "os-a" || as[0].Size != 1 || as[0].Format != "text" {
		t.Errorf("artifacts.json lists %+v", as)
	}
}

func TestBuildForgetsWhatIsGone(t *testing.T) {
	dir := t.TempDir()
	if _, err := Build(t.Context(), Options{Dir: dir}, jobs(text{}, "a", "b")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "a.text")); err != nil {
		t.Fatal(err)
	}
	if _, err := Build(t.Context(), Options{Dir: dir}, jobs(text{}, "c")); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(dir, "SHA256SUMS")); strings.Contains(got, "a.text") || !strings.Contains(got, "b.text") {
		t.Errorf("SHA256SUMS is\n%s", got)
	}
}

func TestBuildIsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "a.text")
	if err := os.WriteFile(old, []byte("older"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Build(t.Context(), Options{Dir: dir}, jobs(text{fail: "b"}, "a", "b"))
	if err == nil || err.Error() != "writing b.text: no such body" {
		t.Errorf("Build says %q", err)
	}
	if got := list(t, dir); !slices.Equal(got, []string{"a.text"}) || read(t, old) != "older" {
		t.Errorf("a failed build left %q", got)
	}
	gone := filepath.Join(t.TempDir(), "new")
	if _, err := Build(t.Context(), Options{Dir: gone}, jobs(text{fail: "a"}, "a")); err == nil {
		t.Error("Build succeeded")
	}
	if _, err := os.Stat(gone); err == nil {
		t.Error("a failed build left its folder")
	}
}

func TestBuildRefusesOneNameTwice(t *testing.T) {
	_, err := Build(t.Context(), Options{Dir: t.TempDir()}, jobs(text{}, "a", "a"))
	if err == nil || !strings.Contains(err.Error(), "would be the same file") {
		t.Errorf("Build says %v", err)
	}
}

func TestBuildStopsWhenInterrupted(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	begin := func(Job) func() { cancel(); return func() {} }
	if _, err := Build(ctx, Options{Dir: dir, Begin: begin}, jobs(text{}, "a")); !errors.Is(err, context.Canceled) {
		t.Errorf("Build says %v", err)
	}
	if got := list(t, dir); len(got) > 0 {
		t.Errorf("an interrupted build left %q", got)
	}
}

func TestBundle(t *testing.T) {
	dir := t.TempDir()
	if _, err := Build(t.Context(), Options{Dir: dir}, jobs(text{}, "older")); err != nil {
		t.Fatal(err)
	}
	as, err := Build(t.Context(), Options{Dir: dir}, jobs(text{}, "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	date := time.Unix(1700000000, 0)
	path, err := Bundle(dir, "p", "1.0.0-1", date, as)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Base(path) != "p-bundle-1.0.0-1.tar.bz2" {
		t.Errorf("the bundle is %s", path)
	}
	first := read(t, path)
	var names []string
	tr := tar.NewReader(bzip2.NewReader(strings.NewReader(first)))
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		if b, _ := io.ReadAll(tr); strings.HasSuffix(h.Name, "SUMS") && strings.Contains(string(b), "older") {
			t.Error("the bundle's SHA256SUMS names a package that is not in it")
		}
	}
	want := []string{"p-bundle-1.0.0-1/SHA256SUMS", "p-bundle-1.0.0-1/artifacts.json", "p-bundle-1.0.0-1/a.text", "p-bundle-1.0.0-1/b.text"}
	if !slices.Equal(names, want) {
		t.Errorf("the bundle holds %q, want %q", names, want)
	}
	if _, err := Bundle(dir, "p", "1.0.0-1", date, as); err != nil || read(t, path) != first {
		t.Errorf("a second bundle differs (%v)", err)
	}
}
