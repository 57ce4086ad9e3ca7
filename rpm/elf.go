package rpm

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/vpkg/vpkg/packaging"
)

// addELF adds what the layout's ELF files need and provide: sonames, and versions
// of symbols, as rpm's elfdeps finds them. Like there, only files that can be
// executed count, which shared libraries are by custom.
func (ds dependencies) addELF(ctx context.Context, l packaging.Layout) error {
	for i := range l {
		e := &l[i]
		if !e.HasBody() || e.Mode&0o111 == 0 || e.Size < 52 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		requires, provides, err := elfFileDependencies(e)
		if err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
		for _, name := range requires {
			ds.add(tagRequireName, dependency{name, "", senseFindRequires})
		}
		for _, name := range provides {
			ds.add(tagProvideName, dependency{name, "", senseFindProvides})
		}
	}
	return nil
}

// elfFileDependencies reads an entry's body if it is an ELF file.
func elfFileDependencies(e *packaging.Entry) (requires, provides []string, err error) {
	if color, err := elfColor(e.Body); color == 0 || err != nil {
		return nil, nil, err
	}
	r, err := e.Body.Open()
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	at, ok := r.(io.ReaderAt)
	if !ok {
		f, err := spool(r)
		if err != nil {
			return nil, nil, err
		}
		defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
		at = f
	}
	f, err := elf.NewFile(at)
	if err != nil {
		return nil, nil, nil //nolint:nilerr // an ELF file that is broken, or not for this purpose, needs nothing
	}
	return elfDependencies(f, path.Base(e.Path))
}

// spool copies r to a temporary file.
func spool(r io.Reader) (*os.File, error) {
	f, err := os.CreateTemp("", "vpkg-elf-*")
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(f, r); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return f, nil
}

// elfDependencies gives what f, a file of the given name, needs and provides.
func elfDependencies(f *elf.File, name string) (requires, provides []string, err error) {
	if f.Type != elf.ET_DYN && f.Type != elf.ET_EXEC || f.SectionByType(elf.SHT_DYNAMIC) == nil {
		return nil, nil, nil
	}
	capability := func(soname, version string) string {
		switch {
		case f.Class == elf.ELFCLASS64 && f.Machine != elf.EM_ALPHA:
			return soname + "(" + version + ")(64bit)"
		case version != "":
			return soname + "(" + version + ")"
		}
		return soname
	}
	sonames, err := f.DynString(elf.DT_SONAME)
	if err != nil {
		return nil, nil, err
	}
	needed, err := f.DynString(elf.DT_NEEDED)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range sonames {
		provides = append(provides, capability(s, ""))
	}
	for _, s := range needed {
		requires = append(requires, capability(s, ""))
	}
	if f.Type == elf.ET_DYN && len(sonames) == 0 && !hasDynamic(f, elf.DT_DEBUG) {
		provides = append(provides, capability(name, "")) // a library by its file's name
	}
	versions, err := f.DynamicVersions()
	if err == nil {
		base := ""
		for _, v := range versions {
			if v.Flags&elf.VER_FLG_BASE != 0 {
				base = v.Name
			} else if base != "" {
				provides = append(provides, capability(base, v.Name))
			}
		}
	} else if !errors.Is(err, elf.ErrNoSymbols) {
		return nil, nil, err
	}
	needs, err := f.DynamicVersionNeeds()
	if err == nil {
		for _, n := range needs {
			for _, d := range n.Needs {
				requires = append(requires, capability(n.Name, d.Dep))
			}
		}
	} else if !errors.Is(err, elf.ErrNoSymbols) {
		return nil, nil, err
	}
	if hasDynamic(f, elf.DT_GNU_HASH) && !hasDynamic(f, elf.DT_HASH) {
		requires = append(requires, "rtld(GNU_HASH)") // a C library that knows it
	}
	return requires, provides, nil
}

func hasDynamic(f *elf.File, t elf.DynTag) bool {
	v, err := f.DynValue(t)
	return err == nil && len(v) > 0
}
