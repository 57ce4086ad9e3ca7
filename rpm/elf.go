package rpm

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"

	"github.com/vpkg/vpkg/packaging"
)

// An elfEntry is what an entry of the layout needs and provides as an ELF file.
type elfEntry struct {
	index              int // of the entry
	requires, provides []dependency
}

// readELF gives what the layout's ELF files need and provide: sonames, and
// versions of symbols, as rpm's elfdeps finds them. Like there, a file needs
// nothing unless it can be executed, which shared libraries can by custom.
func readELF(ctx context.Context, l packaging.Layout, classes []uint32) ([]elfEntry, error) {
	var list []elfEntry
	first := linkGroups(l)
	for i := range l {
		e := &l[i]
		if classes[i] == 0 || e.Ghost {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		requires, provides, err := elfFileDependencies(l[first[i]].Body, path.Base(e.Path))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Path, err)
		}
		if e.Mode&0o111 == 0 {
			requires = nil
		}
		list = append(list, elfEntry{i, found(requires, senseFindRequires), found(provides, senseFindProvides)})
	}
	return list, nil
}

// found gives capabilities that were found in a file, sorted and each once.
func found(names []string, sense uint32) []dependency {
	var list []dependency
	for _, n := range names {
		list = append(list, dependency{n, "", sense})
	}
	return slices.Compact(sortedDependencies(list))
}

// addFileDepends adds, for each entry, the numbers of what it needs and provides
// in the header's lists. The lists are already sorted.
func addFileDepends(h *header, count int, list []elfEntry, ds dependencies) {
	if len(list) == 0 {
		return
	}
	starts, counts := make([]uint32, count), make([]uint32, count)
	var dict []uint32
	for _, e := range list {
		starts[e.index] = uint32(len(dict))
		for _, k := range []struct {
			letter byte
			tag    tag
			list   []dependency
		}{{'P', tagProvideName, e.provides}, {'R', tagRequireName, e.requires}} {
			for _, d := range k.list {
				i, _ := slices.BinarySearchFunc(ds[k.tag], d, compareDependencies)
				dict = append(dict, uint32(k.letter)<<24|uint32(i))
			}
		}
		counts[e.index] = uint32(len(dict)) - starts[e.index]
	}
	if len(dict) > 0 {
		h.addUint32s(tagFileDependsX, starts...)
		h.addUint32s(tagFileDependsN, counts...)
		h.addUint32s(tagDependsDict, dict...)
	}
}

// elfFileDependencies gives what an ELF file of the given name needs and
// provides.
func elfFileDependencies(b packaging.Body, name string) (requires, provides []string, err error) {
	r, err := b.Open()
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
	return elfDependencies(f, name)
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
	if f.Type != elf.ET_DYN && f.Type != elf.ET_EXEC {
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
