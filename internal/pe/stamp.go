package pe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// ErrResources means that a program has resources already. One with a version
// needs no other.
var ErrResources = errors.New("the program has resources already")

// ErrSigned means that a program has a signature, which a change would break.
var ErrSigned = errors.New("the program is signed already")

// Stamp copies a program of size bytes to w and adds a section with resources.
// Its result depends on nothing but its arguments. The program is read twice, for
// the checksum comes before what it covers.
//
// It returns [ErrResources] and [ErrSigned] for programs that it leaves alone,
// before anything is written.
func Stamp(program io.ReaderAt, size int64, w io.Writer, res Resources) error {
	h, err := ReadHeaders(io.NewSectionReader(program, 0, size))
	if err != nil {
		return fmt.Errorf("adding resources: %w", err)
	}
	read := int64(len(h.Raw)) // before the section table grows
	section, gap, err := addResources(h, program, size, res)
	if err != nil {
		return fmt.Errorf("adding resources: %w", err)
	}
	emit := func(w io.Writer) error {
		if _, err := w.Write(h.Raw); err != nil {
			return err
		}
		// The new header lies over bytes that are zero in the program.
		rest := size - read - sectionHeaderSize
		if _, err := io.CopyN(w, io.NewSectionReader(program, read+sectionHeaderSize, rest), rest); err != nil {
			return err
		}
		if _, err := w.Write(make([]byte, gap)); err != nil {
			return err
		}
		_, err := w.Write(section)
		return err
	}
	var sum Checksum
	if err := emit(&sum); err != nil {
		return fmt.Errorf("adding resources: %w", err)
	}
	binary.LittleEndian.PutUint32(h.Raw[h.Checksum:], sum.Sum())
	if err := emit(w); err != nil {
		return fmt.Errorf("adding resources: %w", err)
	}
	return nil
}

// addResources changes the headers to those of a program with one more section,
// and returns that section and how many bytes of zeros are before it. The checksum
// is left zero.
func addResources(h *Headers, program io.ReaderAt, size int64, res Resources) (section []byte, gap int64, err error) {
	if _, n := h.Directory(DirectoryCertificate); n > 0 {
		return nil, 0, ErrSigned
	}
	if a, _ := h.Directory(DirectoryResource); a != 0 {
		return nil, 0, ErrResources
	}
	directory, ok := h.DirectoryOffset(DirectoryResource)
	if !ok {
		return nil, 0, malformed(int64(h.directories), "%d data directories have none for resources", h.count)
	}
	if h.End() > size {
		return nil, 0, malformed(size, "sections end at byte %d: the program is cut off", h.End())
	}

	le := binary.LittleEndian
	opt := h.Raw[h.optional:]
	sectionAlign, fileAlign := uint64(le.Uint32(opt[32:])), uint64(le.Uint32(opt[36:]))
	if bits.OnesCount64(fileAlign) != 1 || bits.OnesCount64(sectionAlign) != 1 || fileAlign > 64<<10 || sectionAlign < fileAlign {
		return nil, 0, malformed(int64(h.optional+32), "alignments of %d in memory and %d in the file", sectionAlign, fileAlign)
	}
	headers := le.Uint32(opt[60:])
	if err := roomForSection(h, program, int64(headers)); err != nil {
		return nil, 0, err
	}
	address := uint64(headers)
	for _, s := range h.Sections {
		address = max(address, uint64(s.VirtualAddress)+uint64(s.memory()))
	}
	address = align(address, sectionAlign)
	if address > 1<<31 {
		return nil, 0, malformed(int64(h.coff), "sections end at %#x in memory", address)
	}
	section, err = res.section(uint32(address), h.DLL)
	if err != nil {
		return nil, 0, err
	}
	used := uint64(len(section))
	section = append(section, make([]byte, align(used, fileAlign)-used)...)
	offset := align(uint64(size), fileAlign)
	end := align(address+used, sectionAlign)
	if offset+uint64(len(section)) >= 1<<31 || end >= 1<<31 {
		return nil, 0, fmt.Errorf("%d bytes of resources make a program of more than 2 GiB", used)
	}

	le.PutUint16(h.Raw[h.coff+6:], uint16(len(h.Sections)+1))
	le.PutUint32(opt[8:], le.Uint32(opt[8:])+uint32(len(section))) // initialized data
	le.PutUint32(opt[56:], uint32(end))                            // size in memory
	le.PutUint32(h.Raw[h.Checksum:], 0)
	le.PutUint32(h.Raw[directory:], uint32(address))
	le.PutUint32(h.Raw[directory+4:], uint32(used))

	h.Raw = append(h.Raw, ".rsrc\x00\x00\x00"...)
	for _, field := range []uint32{
		uint32(used), uint32(address), uint32(len(section)), uint32(offset),
		0, 0, 0, // no relocations and no line numbers
		0x40000040, // initialized data, readable
	} {
		h.Raw = le.AppendUint32(h.Raw, field)
	}
	return section, int64(offset) - size, nil
}

// roomForSection says whether another header fits behind the section table: before
// the end of the headers and the first section, where all is zero. What else may be
// there are bound imports, in programs older than Windows Vista.
func roomForSection(h *Headers, program io.ReaderAt, headers int64) error {
	table := int64(len(h.Raw))
	room := headers
	for _, s := range h.Sections {
		if s.RawSize > 0 {
			room = min(room, int64(s.RawOffset))
		}
	}
	var next [sectionHeaderSize]byte
	if table+sectionHeaderSize <= room {
		if _, err := program.ReadAt(next[:], table); err != nil {
			return err
		}
		if next == [sectionHeaderSize]byte{} {
			return nil
		}
	}
	return malformed(table, "no room for the header of another section")
}

func align(n, to uint64) uint64 { return (n + to - 1) &^ (to - 1) }
