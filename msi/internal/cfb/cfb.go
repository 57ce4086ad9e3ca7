// Package cfb reads and writes compound files: a small file system inside a file,
// in which Windows Installer keeps a package's tables, cabinets and signature.
//
// The format is [MS-CFB]. Only what such a package has is here: one storage, the
// root, with streams. A storage inside the root, as a package with embedded
// transforms has, is named by a [Reader] and not entered, and is never written.
//
// [MS-CFB]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-cfb/
package cfb

import (
	"cmp"
	"encoding/binary"
	"io"
	"slices"
	"unicode"
	"unicode/utf16"
)

// MaxName is the length of the longest name of a stream in UTF-16 code units
// ([MS-CFB] 2.6.1: 64 bytes, of which two are a terminating zero).
const MaxName = 31

// A Root is the storage that has all streams.
type Root struct {
	CLSID [16]byte // of the program that the file belongs to, in the byte order of the file
	State uint32   // bits for the program; Windows Installer has none
}

// A Stream is a file inside the file.
type Stream struct {
	Name     []uint16 // UTF-16 code units, 1 to [MaxName] of them, none zero; not always valid Unicode
	Size     int64    // bytes
	State    uint32   // bits for the program; Windows Installer has none
	Created  uint64   // 100 ns since 1601; zero, as [Write]'s callers want it, is unknown
	Modified uint64
	// Open gives the content from the beginning, any number of times and to several
	// goroutines at once.
	Open func() (io.ReadCloser, error)
	// At is the content of a stream of a [Reader], and nil in others. Write does not
	// use it.
	At io.ReaderAt
	// Entry is the place in the directory of a stream of a [Reader], and 0 in others.
	// Streams that are written in the order of these have the same again.
	Entry uint32
}

// Sector numbers and other marks of [MS-CFB] 2.1 and 2.6.1.
const (
	maxSector  = 0xfffffffa // the largest number of a sector, MAXREGSECT
	difatMark  = 0xfffffffc // in the FAT: a sector of the DIFAT
	fatMark    = 0xfffffffd // in the FAT: a sector of the FAT
	endOfChain = 0xfffffffe
	freeSector = 0xffffffff
	noStream   = 0xffffffff // no sibling, no child

	typeStorage = 1
	typeStream  = 2
	typeRoot    = 5

	red   = 0
	black = 1
)

const (
	magic         = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
	headerSize    = 512 // bytes, followed by zeros to the end of a sector
	headerDIFAT   = 109 // sector numbers of the DIFAT that the header has
	entrySize     = 128 // bytes of a directory entry
	miniSize      = 64  // bytes of a mini sector
	miniCutoff    = 4096
	rootName      = "Root Entry"
	rangeLock     = 0x7ffff000 // offset of the sector that [MS-CFB] 2.8 keeps free of data
	maxVersion3   = 0x7fffff00 // bytes of a file of version 3, which cannot keep the range lock
	largestStream = 1 << 44    // bytes: more sectors than there are numbers
)

// compareNames orders a directory: shorter names first, then by upper-cased code
// units ([MS-CFB] 2.6.4). Names that compare as equal cannot be in one directory.
func compareNames(a, b []uint16) int {
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return slices.CompareFunc(a, b, func(x, y uint16) int { return cmp.Compare(upper(x), upper(y)) })
}

// upper is the simple upper case of a code unit; a surrogate has none.
func upper(c uint16) uint16 {
	if u := unicode.ToUpper(rune(c)); u <= 0xffff {
		return uint16(u)
	}
	return c
}

// SortForImprint sorts streams into the order in which Authenticode hashes those of
// a Windows Installer package: by the bytes of their UTF-16LE names, a name before
// those that it begins.
//
// Source: osslsigncode and relic, which Windows agrees with.
func SortForImprint(streams []Stream) {
	slices.SortFunc(streams, func(a, b Stream) int {
		return slices.CompareFunc(a.Name, b.Name, func(x, y uint16) int {
			// Little-endian bytes: the low one counts first.
			return cmp.Compare(x<<8|x>>8, y<<8|y>>8)
		})
	})
}

// AppendMetadata appends what the digest in the stream "\x05MsiDigitalSignatureEx"
// is of: the names, sizes and other metadata of a file with these streams. They
// must be without the signature's own, and in the order of [SortForImprint].
//
// For the root these are its CLSID and state, and for each stream its name, the low
// 32 bits of its size, its state and its two times, all in the form of the
// directory. Source: osslsigncode -add-msi-dse.
func AppendMetadata(b []byte, root Root, streams []Stream) []byte {
	le := binary.LittleEndian
	b = append(b, root.CLSID[:]...)
	b = le.AppendUint32(b, root.State)
	for _, s := range streams {
		for _, c := range s.Name {
			b = le.AppendUint16(b, c)
		}
		b = le.AppendUint32(b, uint32(s.Size))
		b = le.AppendUint32(b, s.State)
		b = le.AppendUint64(b, s.Created)
		b = le.AppendUint64(b, s.Modified)
	}
	return b
}

// quotable is a name for an error message.
func quotable(name []uint16) string { return string(utf16.Decode(name)) }
