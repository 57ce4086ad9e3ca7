// Package pe reads and writes the little that packages need of Windows programs:
// their version, for the installer compares it, and a resource section.
//
// The format is [PE]; version resources are described with [VS_VERSIONINFO].
// Loading, relocating and linking are not what it is for, and debug/pe reads the
// rest.
//
// [PE]: https://learn.microsoft.com/en-us/windows/win32/debug/pe-format
// [VS_VERSIONINFO]: https://learn.microsoft.com/en-us/windows/win32/menurc/vs-versioninfo
package pe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrNotPE means that a file is something else than a Windows program.
var ErrNotPE = errors.New("not a Windows program")

// A FormatError says where a file breaks the rules of the format.
type FormatError struct {
	Offset int64 // bytes from the start of the file
	Err    error
}

// Error implements error.
func (e *FormatError) Error() string { return fmt.Sprintf("at byte %d: %v", e.Offset, e.Err) }

// Unwrap gives what is wrong.
func (e *FormatError) Unwrap() error { return e.Err }

func malformed(offset int64, format string, args ...any) error {
	return &FormatError{offset, fmt.Errorf(format, args...)}
}

// Data directories, by their place in the table.
const (
	DirectoryResource    = 2 // an RVA and a size
	DirectoryCertificate = 4 // the only one with an offset in the file instead of an RVA
)

const (
	dosHeaderSize     = 64 // bytes
	coffHeaderSize    = 24 // bytes, with the four of the signature
	sectionHeaderSize = 40 // bytes
	// maxHeaders bounds what is read of the headers. Linkers write a few hundred
	// bytes and 40 for each section.
	maxHeaders = 64 << 10
)

// Headers is the start of a program, up to the end of its section table:
//
//	     0  64  DOS header; at 60 the offset of what follows its program
//	lfanew  24  "PE\0\0", machine, number of sections, …, size of the optional header, flags
//	        96  optional header, 112 bytes in PE32+; at 64 the checksum
//	         8  × data directories: RVA, size
//	        40  × sections
type Headers struct {
	Raw      []byte // all of it, as it is in the file
	Checksum int    // where in Raw the checksum is, four bytes
	Sections []Section
	DLL      bool

	coff        int // where in Raw the signature before the COFF header is
	optional    int // where in Raw the optional header is
	directories int // where in Raw the data directories are
	count       int // of data directories
}

// A Section is one part of a program.
type Section struct {
	VirtualSize    uint32 // bytes in memory; 0 in some means RawSize
	VirtualAddress uint32 // bytes from where the program is loaded
	RawSize        uint32 // bytes in the file
	RawOffset      uint32 // bytes from the start of the file; without meaning where RawSize is 0
}

// memory gives the size of s in memory.
func (s Section) memory() uint32 {
	if s.VirtualSize == 0 {
		return s.RawSize
	}
	return s.VirtualSize
}

// ReadHeaders reads the headers of a program and nothing after them. It returns
// [ErrNotPE] for a file of another kind and a [*FormatError] for a broken one.
func ReadHeaders(r io.Reader) (*Headers, error) {
	h := &Headers{Raw: make([]byte, dosHeaderSize)}
	switch _, err := io.ReadFull(r, h.Raw); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, ErrNotPE
	case err != nil:
		return nil, err
	}
	le := binary.LittleEndian
	lfanew := le.Uint32(h.Raw[60:])
	// MZ alone is a program of MS-DOS. Headers that overlap that for DOS are allowed
	// by the loader and made by nobody but those who play with the format; odd
	// places are not allowed.
	if string(h.Raw[:2]) != "MZ" || lfanew < dosHeaderSize || lfanew > maxHeaders || lfanew%4 != 0 {
		return nil, ErrNotPE
	}
	h.coff = int(lfanew)
	h.optional = h.coff + coffHeaderSize
	if err := h.readTo(r, h.optional); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, ErrNotPE
		}
		return nil, err
	}
	if string(h.Raw[h.coff:h.coff+4]) != "PE\x00\x00" {
		return nil, ErrNotPE
	}
	sections := int(le.Uint16(h.Raw[h.coff+6:]))
	optionalSize := int(le.Uint16(h.Raw[h.coff+20:]))
	h.DLL = le.Uint16(h.Raw[h.coff+22:])&0x2000 != 0 // IMAGE_FILE_DLL
	end := h.optional + optionalSize + sections*sectionHeaderSize
	if end > maxHeaders {
		return nil, malformed(int64(h.coff), "headers of %d bytes, more than %d", end, maxHeaders)
	}
	if err := h.readTo(r, end); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, malformed(int64(len(h.Raw)), "headers of %d bytes are cut off", end)
		}
		return nil, err
	}
	if err := h.parseOptional(h.Raw[h.optional : h.optional+optionalSize]); err != nil {
		return nil, err
	}
	for b := h.Raw[h.optional+optionalSize:]; len(b) > 0; b = b[sectionHeaderSize:] {
		h.Sections = append(h.Sections, Section{
			VirtualSize:    le.Uint32(b[8:]),
			VirtualAddress: le.Uint32(b[12:]),
			RawSize:        le.Uint32(b[16:]),
			RawOffset:      le.Uint32(b[20:]),
		})
	}
	return h, nil
}

// readTo makes Raw end bytes long. It returns io.ErrUnexpectedEOF where the file
// is shorter.
func (h *Headers) readTo(r io.Reader, end int) error {
	have := len(h.Raw)
	h.Raw = append(h.Raw, make([]byte, end-have)...)
	n, err := io.ReadFull(r, h.Raw[have:])
	h.Raw = h.Raw[:have+n]
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseOptional finds the fields of the optional header, which differs between
// 32 and 64 bits from the 24th byte to the directories.
func (h *Headers) parseOptional(b []byte) error {
	le := binary.LittleEndian
	size := 96
	if len(b) >= 2 {
		switch magic := le.Uint16(b); magic {
		case 0x10b: // PE32
		case 0x20b: // PE32+
			size = 112
		default:
			return malformed(int64(h.optional), "optional header of kind %#x, want PE32 or PE32+", magic)
		}
	}
	if len(b) < size {
		return malformed(int64(h.optional), "optional header of %d bytes, want at least %d", len(b), size)
	}
	count := le.Uint32(b[size-4:])
	if uint64(count)*8 > uint64(len(b)-size) {
		return malformed(int64(h.optional+size-4), "%d data directories do not fit in %d bytes", count, len(b)-size)
	}
	h.Checksum = h.optional + 64
	h.directories, h.count = h.optional+size, int(count)
	return nil
}

// DirectoryOffset gives where in Raw the data directory i is, which has eight
// bytes. It returns false where the program has no such directory.
func (h *Headers) DirectoryOffset(i int) (int, bool) {
	return h.directories + 8*i, i < h.count
}

// Directory gives a data directory: the address and the size of what it points to,
// zero where the program has none.
func (h *Headers) Directory(i int) (address, size uint32) {
	at, ok := h.DirectoryOffset(i)
	if !ok {
		return 0, 0
	}
	le := binary.LittleEndian
	return le.Uint32(h.Raw[at:]), le.Uint32(h.Raw[at+4:])
}

// End gives where the last section ends, in bytes from the start of the file.
// Signatures and what some programs carry with them follow.
func (h *Headers) End() int64 {
	end := int64(len(h.Raw))
	for _, s := range h.Sections {
		if s.RawSize > 0 {
			end = max(end, int64(s.RawOffset)+int64(s.RawSize))
		}
	}
	return end
}

// A Checksum adds up a program that is written to it as the field for it wants,
// which has to be zero meanwhile. The zero value is ready for use.
type Checksum struct {
	sum  uint64
	size uint64
}

// Write implements io.Writer; it returns no error.
func (c *Checksum) Write(p []byte) (int, error) {
	n := len(p)
	if c.size%2 == 1 && n > 0 {
		c.sum += uint64(p[0]) << 8
		c.size++
		p = p[1:]
	}
	c.size += uint64(len(p))
	// The sum is one of 16-bit words whose carry is added at the end, so that two
	// words can be added at once.
	for ; len(p) >= 4; p = p[4:] {
		c.sum += uint64(binary.LittleEndian.Uint32(p))
	}
	for i, b := range p {
		c.sum += uint64(b) << (8 * (i % 2))
	}
	c.sum = c.sum>>32 + c.sum&0xffffffff
	return n, nil
}

// Sum gives the checksum of all that was written.
func (c *Checksum) Sum() uint32 {
	s := c.sum
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint32(s + c.size)
}
