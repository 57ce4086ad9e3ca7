package packaging_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/packaging/packagingtest"
)

func put(t *testing.T, root, name, text string) packaging.Entry {
	t.Helper()
	at := filepath.Join(root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return packaging.Entry{Path: name, Mode: 0o644, Size: int64(len(text)), SHA256: sha256.Sum256([]byte(text))}
}

// TestScanWindows: what is there, missing and extra, on every system. The name makes
// it run on Windows too.
func TestScanWindows(t *testing.T) {
	root := packagingtest.TempDir(t)
	want := packaging.Layout{
		put(t, root, "/Program Files/Agent/bin/agent.exe", "program"),
		put(t, root, "/Program Files/Agent/bin/empty", ""),
		{Path: "/Program Files/Agent/bin/gone", Mode: 0o644, SHA256: packaging.Digest{1}},
		put(t, root, "/Program Files/Agent/etc/other", "other"),
		{Path: "/nowhere/at/all", Mode: 0o644},
	}
	want = append(want, packaging.Entry{Path: "/Program Files/Agent", Mode: fs.ModeDir | 0o755}, packaging.Entry{Path: "/Program Files/Agent/bin", Mode: fs.ModeDir | 0o755})
	want.Sort()
	put(t, root, "/Program Files/Agent/etc/other", "OTHER")
	put(t, root, "/Program Files/Agent/bin/more", "")
	put(t, root, "/Program Files/Agent/etc/more", "")
	var hashed int
	s := packaging.Scan{Root: root, Whole: []string{"/Program Files/Agent", "/not there"}, Workers: 1, Hashed: func(n int) { hashed += n }}
	got, errs, err := s.Read(t.Context(), want)
	if err != nil || len(errs) > 0 {
		t.Fatal(errs, err)
	}
	var found []string
	for _, m := range packaging.Diff(want, got) {
		if m.Attribute != "mode" && m.Attribute != "owner" && m.Attribute != "group" {
			found = append(found, m.Attribute+" "+m.Path)
		}
	}
	if want := []string{
		"missing /Program Files/Agent/bin/gone", "extra /Program Files/Agent/bin/more", "extra /Program Files/Agent/etc", // which is not wanted
		"sha256 /Program Files/Agent/etc/other", "missing /nowhere/at/all",
	}; !slices.Equal(found, want) {
		t.Errorf("found %q, want %q", found, want)
	}
	if hashed != len("program")+len("other") {
		t.Errorf("%d bytes were read", hashed)
	}
	if b, err := s.ReadFile("/Program Files/Agent/bin/agent.exe", 100); err != nil || string(b) != "program" {
		t.Errorf("read %q, %v", b, err)
	}
	if _, err := s.ReadFile("/Program Files/Agent/bin/agent.exe", 3); err == nil {
		t.Error("more than the limit was read")
	}
	if _, err := s.ReadFile("/Program Files/Agent/bin", 100); err == nil {
		t.Error("a folder was read")
	}
	if names, err := s.Names("/Program Files/Agent"); err != nil || !slices.Equal(names, []string{"bin", "etc"}) {
		t.Errorf("names %q, %v", names, err)
	}
	if _, err := s.Names("/not there"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("names of nothing: %v", err)
	}
	if _, _, err := (&packaging.Scan{Root: filepath.Join(root, "x")}).Read(t.Context(), want); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a root that is not there: %v", err)
	}
}

// TestScanPlacesWindows: a product that is not where its layout has it.
func TestScanPlacesWindows(t *testing.T) {
	root, disk := packagingtest.TempDir(t), packagingtest.TempDir(t)
	want := packaging.Layout{{Path: "/Agent", Mode: fs.ModeDir | 0o755}, put(t, disk, "/bin/agent", "program"), put(t, root, "/other", "x")}
	want[1].Path = "/Agent/bin/agent"
	s := packaging.Scan{Root: root, Places: map[string]string{"/Agent": disk, "/Agent/data": filepath.Join(disk, "not there")}}
	got, errs, err := s.Read(t.Context(), append(slices.Clone(want), packaging.Entry{Path: "/zzz"}))
	if err != nil || len(errs) > 0 || len(got) != 3 || got[1].SHA256 != want[1].SHA256 || !got[0].Mode.IsDir() {
		t.Errorf("got %v, %v, %v", got, errs, err)
	}
}

// TestScanMany: several goroutines read what one would.
func TestScanMany(t *testing.T) {
	root := packagingtest.TempDir(t)
	var want packaging.Layout
	for i := range 300 {
		want = append(want, put(t, root, fmt.Sprintf("/d%d/f%03d", i%7, i), fmt.Sprint(i)))
	}
	want.Sort()
	for _, workers := range []int{0, 1, 5} {
		got, errs, err := (&packaging.Scan{Root: root, Workers: workers}).Read(t.Context(), want)
		if err != nil || len(errs) > 0 || len(got) != len(want) {
			t.Fatal(len(got), errs, err)
		}
		for i := range got {
			if got[i].SHA256 != want[i].SHA256 {
				t.Fatalf("%s has another digest", got[i].Path)
			}
		}
	}
}
