package folder

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vpkg/vpkg/library"
	"github.com/vpkg/vpkg/packaging"
)

func put(t *testing.T, p Packages, d packaging.Digest, body string) {
	t.Helper()
	u, err := p.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(u, body); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len(body))
	if _, err := u.ReadAt(b, 0); err != nil || string(b) != body {
		t.Errorf("read %q, %v; want %q", b, err, body)
	}
	if err := u.Commit(d); err != nil {
		t.Fatal(err)
	}
	if err := u.Close(); err != nil {
		t.Errorf("closing what was committed: %v", err)
	}
}

func names(t *testing.T, p Packages) []string {
	t.Helper()
	es, err := os.ReadDir(string(p))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range es {
		all = append(all, e.Name())
	}
	return all
}

func TestPackages(t *testing.T) {
	p := Packages(filepath.Join(t.TempDir(), "a", "b"))
	one, two := packaging.Digest{1}, packaging.Digest{2}
	if _, _, err := p.Open(t.Context(), one); !errors.Is(err, library.ErrNotFound) {
		t.Errorf("opening nothing: %v, want %v", err, library.ErrNotFound)
	}
	if err := p.Sweep(t.Context(), func(packaging.Digest) bool { return false }); err != nil {
		t.Errorf("sweeping nothing: %v", err)
	}
	put(t, p, one, "one")
	put(t, p, one, "one") // again
	put(t, p, two, "two")
	f, size, err := p.Open(t.Context(), one)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(f); err != nil || string(b) != "one" || size != 3 {
		t.Errorf("got %q of %d bytes, %v", b, size, err)
	}
	if err := f.Close(); err != nil { // before the sweep, for Windows
		t.Error(err)
	}

	given, err := p.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := names(t, p); len(got) != 3 {
		t.Errorf("files %q, want 3", got)
	}
	if err := given.Close(); err != nil {
		t.Fatal(err)
	}

	young, old := filepath.Join(string(p), tempPrefix+"young"), filepath.Join(string(p), tempPrefix+"old")
	for _, name := range []string{young, old, filepath.Join(string(p), "README")} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := time.Now().Add(-stale - time.Hour)
	if err := os.Chtimes(old, before, before); err != nil {
		t.Fatal(err)
	}
	if err := p.Sweep(t.Context(), func(d packaging.Digest) bool { return d == two }); err != nil {
		t.Fatal(err)
	}
	got := names(t, p)
	if len(got) != 3 || got[0] != filepath.Base(young) || got[1] != two.String() || got[2] != "README" {
		t.Errorf("left are %q, want the young upload, %s and README", got, two)
	}
}

func TestSecret(t *testing.T) {
	name := filepath.Join(t.TempDir(), "secret")
	made := make(chan []byte, 4)
	for range cap(made) {
		go func() {
			b, err := Secret(name, rand.Reader)
			if err != nil {
				t.Error(err)
			}
			made <- b
		}()
	}
	first := <-made
	for range cap(made) - 1 {
		if b := <-made; !bytes.Equal(b, first) {
			t.Errorf("got two secrets of %d and %d bytes", len(first), len(b))
		}
	}
	if len(first) != secretBytes {
		t.Errorf("%d bytes, want %d", len(first), secretBytes)
	}
	if es, err := os.ReadDir(filepath.Dir(name)); err != nil || len(es) != 1 {
		t.Errorf("files %v, %v; want the secret alone", es, err)
	}
	if err := os.WriteFile(name, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Secret(name, rand.Reader); err == nil {
		t.Error("a short secret was taken")
	}
	if _, err := Secret(name+"2", bytes.NewReader(nil)); !errors.Is(err, io.EOF) {
		t.Errorf("no random numbers: %v, want %v", err, io.EOF)
	}
	if es, err := os.ReadDir(filepath.Dir(name)); err != nil || len(es) != 1 {
		t.Errorf("files %v, %v; want the old secret alone", es, err)
	}
}
