package rpm

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/vpkg/vpkg/packaging"
)

// The lead is what file(1) knows an RPM by. rpm itself reads only the magic, and
// takes everything else from the header:
//
//	 0  4  magic ed ab ee db
//	 4  2  version 3.0, which is that of the lead
//	 6  2  0 for a package with programs, 1 for one with sources
//	 8  2  number of the architecture
//	10 66  NAME-[EPOCH:]VERSION-RELEASE, NUL at the end
//	76  2  number of the operating system, 1 for Linux
//	78  2  kind of signature, 5 for a signature header
//	80 16  zero
const leadSize = 96 // bytes

var leadMagic = []byte{0xed, 0xab, 0xee, 0xdb}

// appendLead appends the lead of a package.
func appendLead(b []byte, nevr string, arch uint16) []byte {
	be := binary.BigEndian
	b = append(b, leadMagic...)
	b = append(b, 3, 0)
	b = be.AppendUint16(b, 0)
	b = be.AppendUint16(b, arch)
	var name [66]byte
	copy(name[:len(name)-1], nevr)
	b = append(b, name[:]...)
	b = be.AppendUint16(b, 1)
	b = be.AppendUint16(b, 5)
	return append(b, make([]byte, 16)...)
}

// readLead checks the lead at the start of a file.
func readLead(r io.ReaderAt, size int64) error {
	var b [leadSize]byte
	if err := readFull(r, b[:], 0, size, "lead"); err != nil {
		return err
	}
	if !bytes.Equal(b[:4], leadMagic) {
		return formatErrorf(0, "starts with % x, want % x: not an RPM", b[:4], leadMagic)
	}
	if b[4] != 3 && b[4] != 4 {
		return formatErrorf(4, "RPM format %d is %w", b[4], packaging.ErrUnsupported)
	}
	if kind := binary.BigEndian.Uint16(b[78:]); kind != 5 {
		return formatErrorf(78, "signature of kind %d, want 5, a header", kind)
	}
	return nil
}
