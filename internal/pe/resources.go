package pe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Types of resources.
const (
	typeData    = 10 // RT_RCDATA
	typeVersion = 16 // RT_VERSION
)

// versionName is the name of the version resource that Windows looks for.
const versionName = 1 // VS_VERSION_INFO

const (
	languageNeutral = 0
	languageEnglish = 0x0409 // of the United States, 1033
	codepageUTF16   = 1200   // 0x04b0
)

// Resources is what [Stamp] puts into a program.
type Resources struct {
	// Version is that of the file and of the product. Windows Installer compares
	// all four numbers.
	Version [4]uint16

	// What Explorer shows of the file. An empty one is left out.
	Product     string // "Illumio VEN"
	Company     string // "Illumio, Inc."
	Description string // "Illumio VEN Agent Manager"
	Original    string // the name of the file: "venAgentMgr.exe"

	// Data is a resource of type RT_RCDATA with the number 1, for the program
	// itself. Nil means none; an empty one is there with no bytes.
	Data []byte
}

// section gives the content of a resource section that is loaded at address. It is
// a tree of three levels, type, name and language, whose leaves say where the data
// is:
//
//	16  directory: …, number of named entries, of numbered entries (2 bytes each)
//	 8  × entries: number, offset of a leaf or, with the highest bit, a directory
//	16  leaf: RVA, size, codepage, 0
//
// Every type here has one name in one language, so that a type takes 64 bytes.
func (r Resources) section(address uint32, dll bool) ([]byte, error) {
	version, err := r.versionInfo(dll)
	if err != nil {
		return nil, err
	}
	type resource struct {
		kind, name, language uint32
		data                 []byte
	}
	all := []resource{{typeVersion, versionName, languageEnglish, version}}
	if r.Data != nil {
		// Types ascend.
		all = []resource{{typeData, 1, languageNeutral, r.Data}, all[0]}
	}

	const directory, entry, leaf, subdirectory = 16, 8, 16, 1 << 31
	n := uint32(len(all))
	names := directory + n*entry
	languages := names + n*(directory+entry)
	leaves := languages + n*(directory+entry)
	data := align(uint64(leaves+n*leaf), 8)

	le := binary.LittleEndian
	appendDirectory := func(b []byte, entries uint32) []byte {
		b = append(b, make([]byte, 14)...) // flags, time and version, which nobody uses; no named entries
		return le.AppendUint16(b, uint16(entries))
	}
	b := appendDirectory(nil, n)
	for i, res := range all {
		b = le.AppendUint32(b, res.kind)
		b = le.AppendUint32(b, subdirectory|(names+uint32(i)*(directory+entry)))
	}
	for i, res := range all {
		b = appendDirectory(b, 1)
		b = le.AppendUint32(b, res.name)
		b = le.AppendUint32(b, subdirectory|(languages+uint32(i)*(directory+entry)))
	}
	for i, res := range all {
		b = appendDirectory(b, 1)
		b = le.AppendUint32(b, res.language)
		b = le.AppendUint32(b, leaves+uint32(i)*leaf)
	}
	for _, res := range all {
		if data+uint64(len(res.data)) >= 1<<31 {
			return nil, fmt.Errorf("a resource of %d bytes is too large", len(res.data))
		}
		b = le.AppendUint32(b, address+uint32(data))
		b = le.AppendUint32(b, uint32(len(res.data)))
		b = le.AppendUint32(b, 0) // the codepage, which nobody uses either
		b = le.AppendUint32(b, 0)
		data = align(data+uint64(len(res.data)), 8)
	}
	for _, res := range all {
		b = append(b, make([]byte, align(uint64(len(b)), 8)-uint64(len(b)))...)
		b = append(b, res.data...)
	}
	return b, nil
}

// fixedMagic begins the numbers of a version resource, VS_FIXEDFILEINFO.
const fixedMagic = 0xfeef04bd

// fixedSize is how many bytes they take.
const fixedSize = 52

// versionInfo gives the version resource, VS_VERSIONINFO.
func (r Resources) versionInfo(dll bool) ([]byte, error) {
	le := binary.LittleEndian
	kind := uint32(1) // VFT_APP
	if dll {
		kind = 2 // VFT_DLL
	}
	high, low := uint32(r.Version[0])<<16|uint32(r.Version[1]), uint32(r.Version[2])<<16|uint32(r.Version[3])
	var fixed []byte
	for _, field := range []uint32{
		fixedMagic,
		0x10000,   // version of this structure
		high, low, // of the file
		high, low, // of the product
		0x3f, 0, // which flags are valid, and that none is set
		0x40004, // VOS_NT_WINDOWS32
		kind,
		0, 0, 0, // no subtype and no date
	} {
		fixed = le.AppendUint32(fixed, field)
	}

	number := fmt.Sprintf("%d.%d.%d.%d", r.Version[0], r.Version[1], r.Version[2], r.Version[3])
	var table [][]byte
	for _, s := range []struct{ key, value string }{
		{"CompanyName", r.Company},
		{"FileDescription", r.Description},
		{"FileVersion", number},
		{"OriginalFilename", r.Original},
		{"ProductName", r.Product},
		{"ProductVersion", number},
	} {
		if s.value == "" {
			continue
		}
		if strings.ContainsRune(s.value, 0) || !utf8.ValidString(s.value) {
			return nil, fmt.Errorf("%s %q has a NUL or is no UTF-8", s.key, s.value)
		}
		value := appendUTF16(nil, s.value)
		table = append(table, versionBlock(s.key, true, value))
	}
	translation := le.AppendUint16(le.AppendUint16(nil, languageEnglish), codepageUTF16)
	b := versionBlock("VS_VERSION_INFO", false, fixed,
		versionBlock("StringFileInfo", true, nil,
			versionBlock(fmt.Sprintf("%04x%04x", languageEnglish, codepageUTF16), true, nil, table...)),
		versionBlock("VarFileInfo", true, nil,
			versionBlock("Translation", false, translation)))
	// The sizes of its parts, which are smaller, have two bytes too.
	if len(b) > 0xffff {
		return nil, errors.New("names and description together are too long for a version resource")
	}
	return b, nil
}

// versionBlock gives one part of a version resource. All of them have the same
// form, each part aligned to four bytes:
//
//	2  size, with the children and without what aligns the next block
//	2  size of the value: in bytes, or of text in UTF-16 units
//	2  1 for text
//	   key in UTF-16 with a NUL, value, children
func versionBlock(key string, text bool, value []byte, children ...[]byte) []byte {
	le := binary.LittleEndian
	b := make([]byte, 6)
	le.PutUint16(b[2:], uint16(len(value)))
	if text {
		le.PutUint16(b[2:], uint16(len(value)/2))
		b[4] = 1
	}
	b = appendUTF16(b, key)
	for _, part := range append([][]byte{value}, children...) {
		if len(part) > 0 {
			b = append(b, make([]byte, align(uint64(len(b)), 4)-uint64(len(b)))...)
			b = append(b, part...)
		}
	}
	le.PutUint16(b, uint16(len(b)))
	return b
}

// appendUTF16 appends s in UTF-16 and a NUL.
func appendUTF16(b []byte, s string) []byte {
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return append(b, 0, 0)
}
