// Wineshim writes a bcryptprimitives.dll with which programs made by Go run under
// Wine 8: Go has needed that library since 1.22, and Wine has it since 9.0.
//
//	go run ./internal/wineshim PREFIX/drive_c/windows/system32/bcryptprimitives.dll
//
// The library has one function, ProcessPrng, which it passes on to the one that
// fills memory with random bytes under an older name. For tests only.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "wineshim: %v\n", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("want one argument: the file to write")
	}
	return os.WriteFile(args[0], library(), 0o755) //nolint:gosec // the file that was asked for
}

const (
	fileAlign    = 0x200  // bytes, also the size of the headers
	sectionAlign = 0x1000 // bytes, also where the only section is in memory
)

// library is the DLL: a header and one section, which is an export table. The
// names are those of the PE specification,
// https://learn.microsoft.com/en-us/windows/win32/debug/pe-format.
func library() []byte {
	const table = 40 // bytes of the export directory table, before what it points to
	exports := make([]byte, fileAlign)
	le := binary.LittleEndian
	const (
		addresses = table
		pointers  = addresses + 4
		ordinals  = pointers + 4
		self      = ordinals + 4
		name      = self + len("bcryptprimitives.dll") + 1
		forward   = name + len("ProcessPrng") + 1
		end       = forward + len("advapi32.SystemFunction036") + 1
	)
	for at, v := range map[int]uint32{
		12: sectionAlign + self, 16: 1, 20: 1, 24: 1, // name, first ordinal, addresses, names
		28: sectionAlign + addresses, 32: sectionAlign + pointers, 36: sectionAlign + ordinals,
		addresses: sectionAlign + uint32(forward), // within the table: it is a forwarder
		pointers:  sectionAlign + uint32(name),
	} {
		le.PutUint32(exports[at:], v)
	}
	copy(exports[self:], "bcryptprimitives.dll")
	copy(exports[name:], "ProcessPrng")
	copy(exports[forward:], "advapi32.SystemFunction036")

	b := make([]byte, 0x40)
	copy(b, "MZ")
	b[0x3c] = 0x40 // where the PE header is
	b = append(b, "PE\x00\x00"...)
	for _, v := range []uint16{0x8664, 1, 0, 0, 0, 0, 0, 0, 0xf0, 0x2022} { // AMD64, sections, no date, no symbols, size of what follows, DLL
		b = le.AppendUint16(b, v)
	}
	b = le.AppendUint16(b, 0x20b)       // PE32+
	b = append(b, make([]byte, 22)...)  // linker's version, sizes and entry point: there is no code
	b = le.AppendUint64(b, 0x180000000) // image base
	b = le.AppendUint32(b, sectionAlign)
	b = le.AppendUint32(b, fileAlign)
	for _, v := range []uint16{6, 0, 0, 0, 6, 0} { // versions of the system, the image and the subsystem
		b = le.AppendUint16(b, v)
	}
	for _, v := range []uint32{0, 2 * sectionAlign, fileAlign, 0, 0x01000003} { // size of image and headers, no checksum; console, NX
		b = le.AppendUint32(b, v)
	}
	b = append(b, make([]byte, 4*8+4)...) // stack and heap: a library has none
	b = le.AppendUint32(b, 16)            // directories, of which the first is the export table
	b = le.AppendUint32(b, sectionAlign)
	b = le.AppendUint32(b, uint32(end))
	b = append(b, make([]byte, 15*8)...)

	b = append(b, ".edata\x00\x00"...)
	for _, v := range []uint32{fileAlign, sectionAlign, fileAlign, fileAlign, 0, 0, 0, 0x40000040} { // read only, initialized
		b = le.AppendUint32(b, v)
	}
	return append(append(b, make([]byte, fileAlign-len(b))...), exports...)
}
