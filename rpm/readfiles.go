package rpm

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/vpkg/vpkg/packaging"
)

// maxPath is the longest path that is read, in bytes: Linux' PATH_MAX. Without it,
// a long name of a folder could be repeated for each of many files.
const maxPath = 4096

// maxPaths is the most bytes that all paths have together, for the same reason.
const maxPaths = 128 << 20

// A fileList is what the main header says of the files, in its order.
type fileList struct {
	entries []packaging.Entry
	digests []string // in hex, of regular files; nil where they are SHA-256 and in the entries
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

// readFiles reads the list of files. The lists of the header are gone through side by
// side, and each file is made of one value of each: a package may have a hundred
// thousand of them.
func readFiles(h *fields) fileList {
	paths := readPaths(h)
	n := len(paths)
	l := fileList{entries: make([]packaging.Entry, n), algo: h.int(tagFileDigestAlgo)}
	if l.algo == 0 {
		l.algo = 1 // MD5, before there was the tag
	}
	sizeTag := tagFileSizes
	if h.has(tagLongFileSizes) {
		sizeTag = tagLongFileSizes
	}
	sizes, modes, times := h.list(sizeTag, n), h.list(tagFileModes, n), h.list(tagFileMTimes, n)
	targets, owners, groups := h.textList(tagFileLinkTos, n), h.textList(tagFileUserName, n), h.textList(tagFileGroupName, n)
	langs, caps, digests := h.textList(tagFileLangs, n), h.textList(tagFileCaps, n), h.textList(tagFileDigests, n)
	flags, verify := h.list(tagFileFlags, n), h.list(tagFileVerifyFlags, n)
	if l.algo != digestSHA256 && h.err == nil {
		l.digests = make([]string, n)
	}
	same := texts{}
	attributes, hasVerify := map[noVerify][]string{}, h.has(tagFileVerifyFlags)
	for i := 0; i < n && h.err == nil; i++ {
		e := &l.entries[i]
		*e = packaging.Entry{
			Path: paths[i], Mode: packaging.FileMode(uint32(modes.number())), Owner: same.string(owners.text()), Group: same.string(groups.text()),
			Caps: same.string(caps.text()), Lang: same.string(langs.text()), ModTime: unixTime(times.number()),
		}
		setFlags(e, uint32(flags.number()))
		if k := (noVerify{uint32(verify.number()), e.Ghost}); hasVerify {
			if _, ok := attributes[k]; !ok {
				attributes[k] = k.names()
			}
			e.NoVerify = attributes[k]
		}
		size, target, digest := sizes.number(), targets.text(), digests.text()
		if !e.Regular() {
			e.Target = string(target)
			continue
		}
		if e.Size = int64(size); e.Size < 0 {
			h.fail(tagFileSizes, "%s has %d bytes", e.Path, size)
		}
		if l.digests != nil {
			l.digests[i] = string(digest)
		} else if len(digest) > 0 {
			var err error
			if e.SHA256, err = packaging.ParseDigest(string(digest)); err != nil {
				h.fail(tagFileDigests, "%s: %w", e.Path, err)
			}
		}
	}
	if h.err != nil {
		return fileList{}
	}
	l.byPath = sortPaths(h, paths)
	l.readLinks(h)
	return l
}

// texts has each of some strings once, of which there are few.
type texts map[string]string

func (t texts) string(b []byte) string {
	if s, ok := t[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(t) < 1000 {
		t[s] = s
	}
	return s
}

// A list is one of the header's lists with a value for each file, which is read from
// front to back. Without such a list all values are zero.
type list struct {
	h     *fields
	tag   tag
	width int // bytes of a number
	in    *bufio.Reader
}

// list gives a list of n numbers.
func (f *fields) list(t tag, n int) *list {
	e, in := f.values(t, n)
	if in != nil && e.typ.size() == 0 {
		f.fail(t, "type %d is not a number", e.typ)
	}
	return &list{f, t, e.typ.size(), in}
}

// textList gives a list of n strings.
func (f *fields) textList(t tag, n int) *list {
	e, in := f.values(t, n)
	if in != nil && !e.typ.isString() {
		f.fail(t, "type %d is not a string", e.typ)
	}
	return &list{h: f, tag: t, in: in}
}

// values gives a reader of n values; nil if the header has none.
func (f *fields) values(t tag, n int) (entry, *bufio.Reader) {
	const piece = maxPath + 1 // the longest value, with its NUL
	e, ok := f.lookup(t)
	switch {
	case !ok:
		return entry{}, nil
	case e.count > maxValues:
		f.fail(t, "%d values, want at most %d", e.count, maxValues)
	case int(e.count) != n:
		f.fail(t, "%d values, want %d", e.count, n)
	}
	if e.large.size > 0 {
		return e, bufio.NewReaderSize(io.NewSectionReader(f.h.r, e.large.offset, e.large.size), 4*piece)
	}
	return e, bufio.NewReaderSize(bytes.NewReader(e.data), piece)
}

// number gives the next number.
func (l *list) number() uint64 {
	if l.in == nil || l.h.err != nil {
		return 0
	}
	var b [8]byte
	if _, err := io.ReadFull(l.in, b[:l.width]); err != nil {
		l.h.fail(l.tag, "%w", err)
	}
	return bigEndian(b[:l.width])
}

// text gives the next string, which is good until the one after it.
func (l *list) text() []byte {
	if l.in == nil || l.h.err != nil {
		return nil
	}
	b, err := l.in.ReadSlice(0)
	if errors.Is(err, bufio.ErrBufferFull) || len(b) > maxPath+1 {
		l.h.fail(l.tag, "a value of more than %d bytes", maxPath)
		return nil
	}
	if err != nil {
		l.h.fail(l.tag, "%w", err)
		return nil
	}
	return b[:len(b)-1]
}

// readPaths gives the paths of the files, all of them different.
func readPaths(h *fields) []string {
	e, ok := h.lookup(tagBaseNames)
	if !ok {
		if e, ok = h.lookup(tagOldFileNames); !ok { // before rpm 4
			return nil
		}
	}
	var dirs []string
	names := h.textList(e.tag, int(e.count))
	indexes := &list{h: h}
	if e.tag == tagBaseNames {
		dirs = h.strings(tagDirNames)
		indexes = h.list(tagDirIndexes, int(e.count))
		if len(dirs) > 0 && indexes.in == nil {
			h.fail(tagDirIndexes, "no values, want %d", e.count)
		}
	}
	if h.err != nil {
		return nil
	}
	paths := make([]string, e.count)
	total := 0
	var b strings.Builder // of some paths, so that none takes more than it needs
	for i := range paths {
		name, dir := names.text(), ""
		if e.tag == tagBaseNames {
			k := indexes.number()
			if k >= uint64(len(dirs)) {
				h.fail(tagDirIndexes, "folder %d of %d", k, len(dirs))
				return nil
			}
			dir = dirs[k]
		}
		if total += len(dir) + len(name); len(dir)+len(name) > maxPath || total > maxPaths {
			h.fail(tagBaseNames, "path of %d bytes, and %d with those before it: want at most %d and %d", len(dir)+len(name), total, maxPath, maxPaths)
			return nil
		}
		if b.Cap()-b.Len() < len(dir)+len(name) {
			b = strings.Builder{}
			b.Grow(16 << 10)
		}
		start := b.Len()
		b.WriteString(dir)
		b.Write(name)
		paths[i] = b.String()[start:]
		if p := paths[i]; !path.IsAbs(p) || p != path.Clean(p) {
			h.fail(tagBaseNames, "path %q is not an absolute path without . and ..", p)
		}
		if h.err != nil {
			return nil
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
func setFlags(e *packaging.Entry, flags uint32) {
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
}

// A noVerify is what of a file is not verified: the flags of what is, and whether it is
// a ghost.
type noVerify struct {
	verify uint32
	ghost  bool
}

func (n noVerify) names() []string {
	var names []string
	for _, v := range verifyFlags {
		if n.verify&v.flag == 0 && (!n.ghost || v.flag&verifyNotGhost == 0) {
			names = append(names, v.name)
		}
	}
	return names
}

// compareDigests orders files by their digests.
func (l *fileList) compareDigests(a, b int) int {
	if l.digests != nil {
		return cmp.Compare(l.digests[a], l.digests[b])
	}
	return bytes.Compare(l.entries[a].SHA256[:], l.entries[b].SHA256[:])
}

// readLinks finds the files with several names: they have the same device and
// inode, and what else belongs to the file.
func (l *fileList) readLinks(h *fields) {
	n := len(l.entries)
	devices, inodes := make([]uint32, n), make([]uint32, n) // rpm has 32 bits of both
	d, ino := h.list(tagFileDevices, n), h.list(tagFileInodes, n)
	for i := range n {
		devices[i], inodes[i] = uint32(d.number()), uint32(ino.number())
	}
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
			cmp.Compare(l.entries[a].Size, l.entries[b].Size), l.compareDigests(a, b))
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
