package programs

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestGetBuildsOnceForEachArchitecture(t *testing.T) {
	s := Source{Dir: t.TempDir()}
	for goarch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "s390x": elf.EM_S390} {
		p, err := s.Get(t.Context(), "vpkg-hook", "linux", goarch)
		if err != nil {
			t.Fatal(err)
		}
		f, err := elf.Open(p.Path)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		if f.Machine != machine {
			t.Errorf("%s: machine %v, want %v", goarch, f.Machine, machine)
		}
		if f.Section(".interp") != nil {
			t.Errorf("%s: is not static", goarch)
		}
		before, err := os.Stat(p.Path)
		if err != nil {
			t.Fatal(err)
		}
		again, err := s.Get(t.Context(), "vpkg-hook", "linux", goarch)
		if err != nil || again != p {
			t.Errorf("%s: the second Get gives %+v, %v; the first gave %+v", goarch, again, err, p)
		}
		if after, err := os.Stat(p.Path); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s: the second Get made the program anew (%v)", goarch, err)
		}
	}
}

func TestCompiledBytesDependOnSourceAlone(t *testing.T) {
	src, err := moduleDir(t.Context(), "go")
	if err != nil {
		t.Fatal(err)
	}
	var first []byte
	for _, flags := range []string{"", "-race"} {
		t.Setenv("GOFLAGS", flags) // of the person who builds
		out := filepath.Join(t.TempDir(), "x")
		if err := Compile(t.Context(), "go", src, "vpkg-hook", "linux", "arm64", out); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = b
		} else if !bytes.Equal(first, b) {
			t.Error("GOFLAGS of the environment changes the program")
		}
	}
}

func TestSourceKeyChangesWithTheSource(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	key := func() string {
		k, err := sourceKey(dir)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	write("go.mod", "module x\n")
	write("go.sum", "")
	write("hooks/a.go", "package hooks\n")
	before := key()
	write("hooks/a_test.go", "package hooks\n")
	if key() != before {
		t.Error("a test changes the key")
	}
	write("hooks/a.go", "package hooks // changed\n")
	if key() == before {
		t.Error("a change of the source does not change the key")
	}
}

func TestMessageWithoutGo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Source{Dir: t.TempDir()}.Get(t.Context(), "vpkg-hook", "linux", "amd64")
	if err == nil || !strings.Contains(err.Error(), "no go command on PATH") {
		t.Errorf("Get says %v", err)
	}
}

// A folder that the programs are built from and the key leaves out would give a
// program of older source.
func TestKeyCoversTheSource(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ModulePath+"/cmd/vpkg-hook", ModulePath+"/cmd/vpkg-agent").Output()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for pkg := range strings.FieldsSeq(string(out)) {
		folder, own := strings.CutPrefix(pkg, ModulePath+"/")
		if !own {
			continue
		}
		found++
		if !slices.ContainsFunc(sourceFolders, func(f string) bool { return folder == f || strings.HasPrefix(folder, f+"/") }) {
			t.Errorf("the key leaves out %s", folder)
		}
	}
	if found < 4 {
		t.Errorf("the programs are built from %d packages of the module, want at least 4", found)
	}
}
