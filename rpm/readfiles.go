package rpm

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/packaging"
)

// maxPath is the longest path that is read, in bytes: Linux' PATH_MAX. Without it,
// a long name of a folder could be repeated for each of many files.
const maxPath = 4096

// A fileList is what the main header says of the files, in its order.
type fileList struct {
	entries []packaging.Entry
	digests []string // hex, of regular files; of the algorithm below
	algo    uint64   // digest algorithm, by its number in OpenPGP
	byPath  []int    // all of them, sorted by path
	links   [][]int  // of each file with several names, all of them
	group   []int    // of each file, the number in links, or -1
}

// find gives the number of the file with a path.
func (l *fileList) find(path string) (int, bool) {
	k, ok := slices.BinarySearchFunc(l.byPath, path, func(i int, p string) int { return cmp.Compare(l.entries[i].Path, p) })
	if !ok {
		return 0, false
	}
	return l.byPath[k], true
}

// readFiles reads the list of files.
func readFiles(h *fields) fileList {
	paths := readPaths(h)
	n := len(paths)
	byPath := sortPaths(h, paths)
	l := fileList{byPath: byPath, entries: make([]packaging.Entry, n), algo: h.int(tagFileDigestAlgo)}
	if l.algo == 0 {
		l.algo = 1 // MD5, before there was the tag
	}
	sizes := h.ints(tagFileSizes)
	if h.has(tagLongFileSizes) {
		sizes = h.ints(tagLongFileSizes)
	}
	sizes = sized(h, tagFileSizes, sizes, n)
	modes := sized(h, tagFileModes, h.ints(tagFileModes), n)
	times := sized(h, tagFileMTimes, h.ints(tagFileMTimes), n)
	targets := sized(h, tagFileLinkTos, h.strings(tagFileLinkTos), n)
	flags := sized(h, tagFileFlags, h.ints(tagFileFlags), n)
	owners := sized(h, tagFileUserName, h.strings(tagFileUserName), n)
	groups := sized(h, tagFileGroupName, h.strings(tagFileGroupName), n)
	verify := sized(h, tagFileVerifyFlags, h.ints(tagFileVerifyFlags), n)
	langs := sized(h, tagFileLangs, h.strings(tagFileLangs), n)
	caps := sized(h, tagFileCaps, h.strings(tagFileCaps), n)
	l.digests = sized(h, tagFileDigests, h.strings(tagFileDigests), n)
	if h.err != nil {
		return fileList{}
	}
	for i := range l.entries {
		e := &l.entries[i]
		*e = packaging.Entry{
			Path: paths[i], Mode: packaging.FileMode(uint32(modes[i])), Owner: owners[i], Group: groups[i],
			Caps: caps[i], Lang: langs[i], ModTime: unixTime(times[i]),
		}
		setFlags(e, uint32(flags[i]), uint32(verify[i]), h.has(tagFileVerifyFlags))
		if !e.Regular() {
			e.Target = targets[i]
			continue
		}
		if e.Size = int64(sizes[i]); e.Size < 0 {
			h.fail(tagFileSizes, "%s has %d bytes", e.Path, sizes[i])
		}
		if d := l.digests[i]; d != "" && l.algo == digestSHA256 {
			var err error
			if e.SHA256, err = packaging.ParseDigest(d); err != nil {
				h.fail(tagFileDigests, "%s: %w", e.Path, err)
			}
		}
	}
	l.readLinks(h)
	return l
}

// readPaths gives the paths of the files, all of them different.
func readPaths(h *fields) []string {
	var paths []string
	if names := h.strings(tagBaseNames); names != nil {
		dirs := h.strings(tagDirNames)
		indexes := sized(h, tagDirIndexes, h.ints(tagDirIndexes), len(names))
		paths = make([]string, len(names))
		for i, name := range names {
			if indexes[i] >= uint64(len(dirs)) {
				h.fail(tagDirIndexes, "folder %d of %d", indexes[i], len(dirs))
				return nil
			}
			dir := dirs[indexes[i]]
			if len(dir)+len(name) > maxPath {
				h.fail(tagBaseNames, "path of %d bytes, want at most %d", len(dir)+len(name), maxPath)
				return nil
			}
			paths[i] = dir + name
		}
	} else {
		paths = h.strings(tagOldFileNames) // before rpm 4
	}
	for _, p := range paths {
		if !path.IsAbs(p) || p != path.Clean(p) {
			h.fail(tagBaseNames, "path %q is not an absolute path without . and ..", p)
		}
	}
	return paths
}

// sortPaths gives the numbers of the paths in their order, and fails where there are
// two of the same. It takes less memory than a map does.
func sortPaths(h *fields, paths []string) []int {
	byPath := make([]int, len(paths))
	for i := range byPath {
		byPath[i] = i
	}
	slices.SortFunc(byPath, func(a, b int) int { return cmp.Compare(paths[a], paths[b]) })
	for k := 1; k < len(byPath); k++ {
		if p := paths[byPath[k]]; p == paths[byPath[k-1]] {
			h.fail(tagBaseNames, "path %q is there twice", p)
		}
	}
	return byPath
}

// setFlags fills in what a file's flags say.
func setFlags(e *packaging.Entry, flags, verify uint32, hasVerify bool) {
	e.Ghost = flags&fileGhost != 0
	e.Doc = flags&fileDoc != 0
	e.Lic = flags&fileLicense != 0
	e.Readme = flags&fileReadme != 0
	switch {
	case flags&fileConfig == 0:
	case flags&fileNoReplace != 0:
		e.Config = packaging.ConfigNoReplace
	case flags&fileMissingOK != 0:
		e.Config = packaging.ConfigMissingOK
	default:
		e.Config = packaging.ConfigReplace
	}
	if !hasVerify {
		return
	}
	for _, v := range verifyFlags {
		if verify&v.flag == 0 && (!e.Ghost || v.flag&verifyNotGhost == 0) {
			e.NoVerify = append(e.NoVerify, v.name)
		}
	}
}

// readLinks finds the files with several names: they have the same device and
// inode, and what else belongs to the file.
func (l *fileList) readLinks(h *fields) {
	n := len(l.entries)
	devices := sized(h, tagFileDevices, h.ints(tagFileDevices), n)
	inodes := sized(h, tagFileInodes, h.ints(tagFileInodes), n)
	l.group = make([]int, n)
	var files []int
	for _, i := range l.byPath {
		l.group[i] = -1
		if l.entries[i].HasBody() && (inodes[i] != 0 || devices[i] != 0) {
			files = append(files, i)
		}
	}
	same := func(a, b int) int {
		return cmp.Or(cmp.Compare(devices[a], devices[b]), cmp.Compare(inodes[a], inodes[b]),
			cmp.Compare(l.entries[a].Size, l.entries[b].Size), cmp.Compare(l.digests[a], l.digests[b]))
	}
	slices.SortStableFunc(files, same) // the names of a file stay sorted by path
	for len(files) > 0 {
		names := 1
		for names < len(files) && same(files[0], files[names]) == 0 {
			names++
		}
		if names > 1 {
			group := slices.Clone(files[:names])
			for k, i := range group {
				l.group[i] = len(l.links)
				if k > 0 {
					l.entries[i].HardLink = l.entries[group[0]].Path
				}
			}
			l.links = append(l.links, group)
		}
		files = files[names:]
	}
}

// layout gives the entries sorted by path. The list is not one after it.
func (l *fileList) layout() packaging.Layout {
	out := packaging.Layout(l.entries)
	*l = fileList{}
	out.Sort()
	return out
}

// pathInArchive is the path of a name in a cpio archive, which may have a dot, a
// slash, or neither before it.
func pathInArchive(name string) string {
	return "/" + strings.TrimPrefix(strings.TrimPrefix(name, "."), "/")
}
