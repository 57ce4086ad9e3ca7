package packaging_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

func TestBuild(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "dist")
	p := packagingtest.Small("fake", "any", 1000)
	a, err := packaging.Build(t.Context(), dir, p, fake{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(a.Path)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "small-1.0.fake"); a.Path != want {
		t.Errorf("path is %q, want %q", a.Path, want)
	}
	if a.Size != int64(len(b)) || a.SHA256 != sha256.Sum256(b) {
		t.Errorf("artifact says %d bytes, %s, and the file differs", a.Size, a.SHA256)
	}
	if fi, err := os.Stat(a.Path); err != nil || fi.Mode().Perm() != 0o644 {
		t.Errorf("mode is %v (%v), want 0644", fi.Mode(), err)
	}
	wantFiles(t, dir, "small-1.0.fake")
}

// TestBuildFails checks that a build that fails leaves the older file alone and
// nothing else behind.
func TestBuildFails(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	lateCtx, late := context.WithCancel(t.Context())
	defer late()
	tests := []struct {
		name   string
		ctx    context.Context //nolint:containedctx // the context is what is tested
		format fake
		change func(*packaging.Package)
		want   error  // errors.Is
		text   string // part of the message
	}{
		{name: "write fails", format: fake{failAt: 100}, want: errFake, text: "small-1.0.fake"},
		{name: "invalid package", change: func(p *packaging.Package) { p.Summary = "" }, text: "summary"},
		{name: "cancelled", ctx: cancelled, want: context.Canceled},
		{
			name: "cancelled in the last moment", ctx: lateCtx, want: context.Canceled,
			format: fake{wrote: func(w packaging.Written) packaging.Written {
				w.Confirm = func() error { late(); return nil }
				return w
			}},
		},
		{
			name: "other name read back", want: packaging.ErrReadBack, text: "it is other 1.0-1 any, want small",
			format: fake{read: func(p *packaging.Package) { p.Name = "other" }},
		},
		{
			name: "mode lost", want: packaging.ErrReadBack, text: "/usr/share/small/file: mode is 0600, want 0644",
			format: fake{read: func(p *packaging.Package) { p.Layout[1].Mode = 0o600 }},
		},
		{
			name: "layout lost", want: packaging.ErrReadBack, text: "/usr/share/small: missing (and 1 more)",
			format: fake{read: func(p *packaging.Package) { p.Layout = nil }},
		},
		{
			name: "verdict cannot be kept", want: errFake,
			format: fake{wrote: func(w packaging.Written) packaging.Written {
				w.Confirm = func() error { return errFake }
				return w
			}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			older := filepath.Join(dir, "small-1.0.fake")
			if err := os.WriteFile(older, []byte("older"), 0o600); err != nil {
				t.Fatal(err)
			}
			p := packagingtest.Small("fake", "any", 1000)
			if tt.change != nil {
				tt.change(p)
			}
			ctx := tt.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			_, err := packaging.Build(ctx, dir, p, tt.format)
			if err == nil {
				t.Fatal("no error")
			}
			if tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("error is %q, want %q", err, tt.want)
			}
			if !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error is %q, want it to say %q", err, tt.text)
			}
			wantFiles(t, dir, "small-1.0.fake")
			if b, err := os.ReadFile(older); err != nil || string(b) != "older" {
				t.Errorf("older file holds %q (%v), want it untouched", b, err)
			}
		})
	}
}

// TestBuildReadsBack checks how deep Build looks, and when it remembers that.
func TestBuildReadsBack(t *testing.T) {
	for _, verified := range []bool{false, true} {
		var depths []packaging.Depth
		confirmed := 0
		f := fake{depths: &depths, wrote: func(w packaging.Written) packaging.Written {
			w.Verified = verified
			w.Confirm = func() error { confirmed++; return nil }
			return w
		}}
		if _, err := packaging.Build(t.Context(), t.TempDir(), packagingtest.Small("fake", "any", 10), f); err != nil {
			t.Fatal(err)
		}
		want, wantConfirmed := []packaging.Depth{packaging.Payload}, 1
		if verified {
			want, wantConfirmed = []packaging.Depth{packaging.Headers}, 0
		}
		if !slices.Equal(depths, want) || confirmed != wantConfirmed {
			t.Errorf("verified %v: read at depths %v and confirmed %d times, want %v and %d", verified, depths, confirmed, want, wantConfirmed)
		}
	}
}

func TestBuildWithoutFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := packaging.Build(t.Context(), filepath.Join(file, "dist"), packagingtest.Small("fake", "any", 10), fake{}); err == nil {
		t.Error("a build into a folder that cannot be made has no error")
	}
}

func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	es, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range es {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}
