package rpm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/google/rpmpack"

	"github.com/vpkg/vpkg/packaging"
	"github.com/vpkg/vpkg/rpm/internal/cpio"
)

// File flags (RPMFILE_* in rpmfiles.h), by rpmpack's names.
const (
	fileConfig    = uint32(rpmpack.ConfigFile)
	fileDoc       = uint32(rpmpack.DocFile)
	fileMissingOK = uint32(rpmpack.MissingOkFile)
	fileNoReplace = uint32(rpmpack.NoReplaceFile)
	fileGhost     = uint32(rpmpack.GhostFile)
	fileLicense   = uint32(rpmpack.LicenceFile)
	fileReadme    = uint32(rpmpack.ReadmeFile)
)

// configFlags gives the flags of each kind of configuration file.
var configFlags = [...]uint32{
	packaging.NotConfig:       0,
	packaging.ConfigReplace:   fileConfig,
	packaging.ConfigNoReplace: fileConfig | fileNoReplace,
	packaging.ConfigMissingOK: fileConfig | fileMissingOK,
}

// verifyFlags are the attributes that `rpm -V` checks (RPMVERIFY_*), by the names
// that packaging.Entry.NoVerify has for them.
var verifyFlags = []struct {
	name string
	flag uint32
}{
	{"md5", 1 << 0},
	{"size", 1 << 1},
	{"link", 1 << 2},
	{"user", 1 << 3},
	{"group", 1 << 4},
	{"mtime", 1 << 5},
	{"mode", 1 << 6},
	{"rdev", 1 << 7},
	{"caps", 1 << 8},
}

// verifyNotGhost are the attributes that are never checked of a ghost: content,
// size, link target and time.
const verifyNotGhost = 1<<0 | 1<<1 | 1<<2 | 1<<5

// digestSHA256 is the number of SHA-256 among digest algorithms, which are those
// of OpenPGP (RFC 9580, 9.5).
const digestSHA256 = 8

// maxName is the longest name that rpm can install, in bytes: it unpacks a file
// as NAME;TRANSACTION, with 8 digits, and the kernel takes at most 255.
const maxName = 255 - 9

// large reports whether the layout has a file that 32-bit sizes cannot express.
func large(l packaging.Layout) (e *packaging.Entry, ok bool) {
	for i := range l {
		if l[i].Size >= cpio.MaxSize {
			return &l[i], true
		}
	}
	return nil, false
}

// validateFiles checks what RPM asks of a layout beyond packaging.Validate.
func validateFiles(p *packaging.Package) []error {
	var errs []error
	bad := func(e *packaging.Entry, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %w", e.Path, fmt.Errorf(format, args...)))
	}
	for i := range p.Layout {
		e := &p.Layout[i]
		if e.HasBody() && e.Body == nil {
			bad(e, "has no body")
		}
		if e.HasBody() && e.SHA256.IsZero() && e.Size > 0 {
			bad(e, "has no digest")
		}
		if int(e.Config) >= len(configFlags) {
			bad(e, "unknown kind of configuration file %d", e.Config)
		}
		if t := e.ModTime; !t.IsZero() && !fitsTime(t) {
			bad(e, "time %v is not between 1970 and 2106", t)
		}
		for _, n := range e.NoVerify {
			if _, ok := verifyFlag(n); !ok {
				bad(e, "there is no attribute %q to be verified or not", n)
			}
		}
		if e.Caps != "" {
			if _, err := packaging.ParseCaps(e.Caps); err != nil {
				bad(e, "capabilities %q: %w", e.Caps, err)
			}
			if !e.Regular() {
				bad(e, "is no file, but has capabilities")
			}
		}
		if name := path.Base(e.Path); len(name) > maxName && !e.Mode.IsDir() {
			bad(e, "name has %d bytes, and rpm can install at most %d", len(name), maxName)
		}
		if strings.ContainsAny(e.Target+e.Lang+e.Caps, "\x00") {
			bad(e, "link target, language or capabilities have a NUL byte")
		}
	}
	return errs
}

func fitsTime(t time.Time) bool { return t.Unix() >= 0 && t.Unix() <= math.MaxUint32 }

func verifyFlag(name string) (uint32, bool) {
	for _, v := range verifyFlags {
		if v.name == name {
			return v.flag, true
		}
	}
	return 0, false
}

// linkGroups gives the number of the first name of each file in the layout: its
// own, but for hard links.
func linkGroups(l packaging.Layout) []int {
	first := make([]int, len(l))
	numbers := map[string]int{}
	for i := range l {
		if l[i].HardLink == "" {
			numbers[l[i].Path] = i
		}
	}
	for i := range l {
		if first[i] = i; l[i].HardLink != "" {
			first[i] = numbers[l[i].HardLink] // packaging.Validate looked
		}
	}
	return first
}

// addFiles adds the tags of the layout's entries, whose ELF classes are given.
func addFiles(h *header, p *packaging.Package, classes []uint32, n *needs) {
	l := p.Layout
	h.addUint32s(tagFileDigestAlgo, digestSHA256)
	if len(l) == 0 {
		return
	}
	count := len(l)
	var (
		sizes   = make([]uint64, count)
		modes   = make([]uint16, count)
		times   = make([]uint32, count)
		digests = make([]string, count)
		targets = make([]string, count)
		flags   = make([]uint32, count)
		owners  = make([]string, count)
		groups  = make([]string, count)
		verify  = make([]uint32, count)
		devices = make([]uint32, count)
		inodes  = make([]uint32, count)
		langs   = make([]string, count)
		colors  = make([]uint32, count)
		caps    = make([]string, count)
		hasCaps = false
	)
	first := linkGroups(l)
	for i := range l {
		e := &l[i]
		sizes[i] = uint64(fileSize(e))
		modes[i] = uint16(unixMode(e)) // type and permissions have 16 bits
		times[i] = uint32(modTime(p, e).Unix())
		if e.Regular() && !e.Ghost {
			digests[i] = digest(e).String()
		}
		targets[i] = e.Target
		flags[i] = fileFlags(e)
		owners[i], groups[i] = e.OwnerName(), e.GroupName()
		verify[i] = fileVerify(e)
		devices[i] = 1
		inodes[i] = uint32(first[i]) + 1
		langs[i] = e.Lang
		if e.Mode&0o111 != 0 { // like rpmbuild
			colors[i] = classes[i]
		}
		caps[i] = e.Caps
		hasCaps = hasCaps || e.Caps != ""
	}
	addSizes(h, tagFileSizes, tagLongFileSizes, sizes)
	h.addUint16s(tagFileModes, modes)
	h.addUint16s(tagFileRDevs, make([]uint16, count))
	h.addUint32s(tagFileMTimes, times...)
	h.addStrings(tagFileDigests, digests)
	h.addStrings(tagFileLinkTos, targets)
	h.addUint32s(tagFileFlags, flags...)
	h.addStrings(tagFileUserName, owners)
	h.addStrings(tagFileGroupName, groups)
	h.addUint32s(tagFileVerifyFlags, verify...)
	h.addUint32s(tagFileDevices, devices...)
	h.addUint32s(tagFileInodes, inodes...)
	h.addStrings(tagFileLangs, langs)
	h.addUint32s(tagFileColors, colors...)
	if hasCaps {
		h.addStrings(tagFileCaps, caps)
	}
	addNames(h, l)
	noteFileFeatures(l, n)
}

func noteFileFeatures(l packaging.Layout, n *needs) {
	if e, ok := large(l); ok {
		n.add(featLargeFiles, fmt.Sprintf("%s, of %d bytes", e.Path, e.Size))
	}
	for i := range l {
		if l[i].Caps != "" {
			n.add(featFileCaps, l[i].Path)
		}
		if l[i].HardLink != "" {
			n.add(featPartialHardlinkSets, l[i].Path)
		}
	}
}

// addSizes adds sizes with 32 bits each, or all of them with 64 if one needs it.
func addSizes(h *header, short, long tag, sizes []uint64) {
	if slices.Max(sizes) >= cpio.MaxSize {
		h.addUint64s(long, sizes...)
		return
	}
	ns := make([]uint32, len(sizes))
	for i, s := range sizes {
		ns[i] = uint32(s)
	}
	h.addUint32s(short, ns...)
}

// addNames adds the paths, each as the number of its folder and a name.
func addNames(h *header, l packaging.Layout) {
	var dirs []string
	names := make([]string, len(l))
	indexes := make([]uint32, len(l))
	number := map[string]uint32{}
	for i := range l {
		dir, name := path.Split(l[i].Path)
		k, ok := number[dir]
		if !ok {
			k = uint32(len(dirs))
			number[dir], dirs = k, append(dirs, dir)
		}
		names[i], indexes[i] = name, k
	}
	h.addUint32s(tagDirIndexes, indexes...)
	h.addStrings(tagBaseNames, names)
	h.addStrings(tagDirNames, dirs)
}

// unixMode is the mode as stat(2) gives it, which for links is always 0777.
func unixMode(e *packaging.Entry) uint32 {
	if e.Mode&fs.ModeSymlink != 0 {
		return packaging.UnixMode(fs.ModeSymlink | 0o777)
	}
	return packaging.UnixMode(e.Mode)
}

// fileSize is the size of an entry as rpmbuild takes it from stat(2).
func fileSize(e *packaging.Entry) int64 {
	if e.Mode&fs.ModeSymlink != 0 {
		return int64(len(e.Target))
	}
	return e.Size
}

// installedSize is the sum of the sizes of all entries, with each hard linked
// file once.
func installedSize(l packaging.Layout) uint64 {
	var n uint64
	for i := range l {
		if l[i].HardLink == "" {
			n += uint64(fileSize(&l[i]))
		}
	}
	return n
}

// digest is the entry's digest, or that of no content for an empty file.
func digest(e *packaging.Entry) packaging.Digest {
	if e.SHA256.IsZero() && e.Size == 0 {
		return sha256.Sum256(nil)
	}
	return e.SHA256
}

func modTime(p *packaging.Package, e *packaging.Entry) time.Time {
	if e.ModTime.IsZero() {
		return p.Date
	}
	return e.ModTime
}

func fileFlags(e *packaging.Entry) uint32 {
	f := configFlags[e.Config]
	for _, b := range []struct {
		set  bool
		flag uint32
	}{{e.Ghost, fileGhost}, {e.Doc, fileDoc}, {e.Lic, fileLicense}, {e.Readme, fileReadme}} {
		if b.set {
			f |= b.flag
		}
	}
	return f
}

func fileVerify(e *packaging.Entry) uint32 {
	v := ^uint32(0)
	for _, n := range e.NoVerify {
		f, _ := verifyFlag(n) // validateFiles looked
		v &^= f
	}
	if e.Ghost {
		v &^= verifyNotGhost
	}
	return v
}

// elfClasses gives the ELF class of each entry, which is also its color: 1 for
// 32-bit files, 2 for 64-bit ones, 0 for everything that is not ELF. It reads the
// first bytes of each file whose class matters: only those that can be executed
// have a color, but others provide libraries.
func elfClasses(ctx context.Context, p *packaging.Package) ([]uint32, error) {
	l := p.Layout
	classes := make([]uint32, len(l))
	first := linkGroups(l)
	for i := range l {
		if first[i] != i {
			classes[i] = classes[first[i]]
			continue
		}
		const least = 52 // bytes of a 32-bit ELF header
		if e := &l[i]; e.HasBody() && e.Size >= least && (p.RequiresELF || e.Mode&0o111 != 0) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			var err error
			if classes[i], err = elfClass(e.Body); err != nil {
				return nil, fmt.Errorf("%s: %w", e.Path, err)
			}
		}
	}
	return classes, nil
}

func elfClass(b packaging.Body) (class uint32, err error) {
	r, err := b.Open()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	var ident [5]byte
	if _, err := io.ReadFull(r, ident[:]); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, nil // shorter than it says: writing the payload will notice
		}
		return 0, err
	}
	if !bytes.HasPrefix(ident[:], []byte("\x7fELF")) || ident[4] != 1 && ident[4] != 2 {
		return 0, nil
	}
	return uint32(ident[4]), nil
}
