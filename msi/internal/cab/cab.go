// Package cab writes and reads Microsoft cabinet files.
//
// The format is [MS-CAB], and its MSZIP compression [MS-MCI] and RFC 1951. A
// cabinet that is written has one folder, compressed with MSZIP; what is too much
// for one cabinet goes on in the next, and no file spans two. Read are cabinets
// with any number of folders, compressed with MSZIP or stored. The LZX and Quantum
// methods and spanned cabinets are neither written nor read: Windows Installer
// packages do without them.
//
// [MS-CAB]: https://learn.microsoft.com/en-us/openspecs/exchange_server_protocols/ms-cab/
// [MS-MCI]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-mci/
package cab

import (
	"encoding/binary"
	"math/bits"
	"time"
)

// A cabinet is a CFHEADER, CFFOLDERs, CFFILEs and CFDATAs, all little-endian:
//
//	CFHEADER  0  4  "MSCF"            CFFOLDER  0  4  first CFDATA, from the cabinet's start
//	          8  4  size of the cabinet         4  2  number of CFDATAs
//	         16  4  offset of CFFILEs           6  2  method
//	         24  2  version, 1.3
//	         26  2  number of CFFOLDERs  CFFILE  0  4  size in bytes
//	         28  2  number of CFFILEs           4  4  offset in the folder's plain bytes
//	         30  2  flags                       8  2  number of the folder
//	         32  2  set, which is 0            10  2  date
//	         34  2  number in the set          12  2  time
//	                                           14  2  attributes
//	CFDATA    0  4  checksum                   16     name, NUL
//	          4  2  bytes that follow
//	          6  2  plain bytes
const (
	headerSize = 36 // bytes
	folderSize = 8  // bytes
	fileSize   = 16 // bytes, without the name
	dataSize   = 8  // bytes, without the data

	sizeOffset = 8 // of the cabinet's size, the only field that is not known in advance
)

const (
	signature = "MSCF"
	version   = 0x0103 // 1.3

	flagPrev    = 1 // cfhdrPREV_CABINET
	flagNext    = 2 // cfhdrNEXT_CABINET
	flagReserve = 4 // cfhdrRESERVE_PRESENT

	methodMask    = 0x000f
	methodNone    = 0
	methodMSZIP   = 1
	methodQuantum = 2
	methodLZX     = 3
)

const (
	frameSize = 32768          // plain bytes of every CFDATA but a folder's last
	maxData   = frameSize + 12 // bytes of a compressed frame, [MS-MCI] section 2.1
	maxName   = 255            // bytes of a CFFILE's name, [MS-CAB] section 2.3
	maxFiles  = 65535          // CFFILEs of a cabinet: the count has 16 bits
)

// Attributes of a file, [MS-CAB] section 2.3.
const (
	ReadOnly  = 0x01 // _A_RDONLY
	Hidden    = 0x02 // _A_HIDDEN
	System    = 0x04 // _A_SYSTEM
	Archive   = 0x20 // _A_ARCH
	Exec      = 0x40 // _A_EXEC: run after extraction
	NameIsUTF = 0x80 // _A_NAME_IS_UTF: the name is UTF-8
)

// checksum is the checksum of b after seed, [MS-CAB] section 3.1: little-endian
// words are XORed, and the bytes that are left over count from the other end.
func checksum(b []byte, seed uint32) uint32 {
	var wide uint64
	for len(b) >= 8 {
		wide ^= binary.LittleEndian.Uint64(b)
		b = b[8:]
	}
	sum := seed ^ uint32(wide) ^ uint32(wide>>32)
	if len(b) >= 4 {
		sum ^= binary.LittleEndian.Uint32(b)
		b = b[4:]
	}
	var rest uint32
	for _, c := range b {
		rest = rest<<8 | uint32(c)
	}
	return sum ^ rest
}

// dosTime gives t, in UTC, as a date and a time of two seconds' resolution. They
// reach from 1980 to 2107; a time outside is the nearest one inside.
func dosTime(t time.Time) (date, clock uint16) {
	t = t.UTC()
	switch {
	case t.Year() < 1980:
		t = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	case t.Year() > 2107:
		t = time.Date(2107, 12, 31, 23, 59, 58, 0, time.UTC)
	}
	date = uint16((t.Year()-1980)<<9 | int(t.Month())<<5 | t.Day())
	clock = uint16(t.Hour()<<11 | t.Minute()<<5 | t.Second()/2)
	return date, clock
}

// fromDOS is dosTime the other way round. Fields out of range carry over, as
// time.Date lets them.
func fromDOS(date, clock uint16) time.Time {
	return time.Date(1980+int(date>>9), time.Month(date>>5&15), int(date&31),
		int(clock>>11), int(clock>>5&63), int(clock&31)*2, 0, time.UTC)
}

// isASCII says that s needs no NameIsUTF.
func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// The length and distance codes of RFC 1951, section 3.2.5.
const (
	numLiterals  = 286 // symbols that may occur: literals, the end of a block, lengths
	numDistances = 30
	numCodes     = 19 // symbols of the code that code lengths are written in

	endOfBlock = 256
	minMatch   = 3
	maxMatch   = 258
	maxBits    = 15 // of a literal, length or distance code
	maxCodes   = 7  // bits of a code in which code lengths are written
)

// codeOrder is the order in which the lengths of the code length code stand in a
// block's header, RFC 1951, section 3.2.7.
var codeOrder = [numCodes]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// lengthBase and lengthExtra are a length symbol's shortest length and its extra
// bits, by symbol minus 257; distanceBase and distanceExtra are the same of
// distances.
var (
	lengthBase    [29]uint16
	lengthExtra   [29]uint8
	distanceBase  [numDistances]uint16
	distanceExtra [numDistances]uint8
)

// lengthSymbol is the symbol minus 257 of each length.
var lengthSymbol [maxMatch + 1]uint8

func init() {
	length := minMatch
	for s := range lengthBase {
		if s >= 8 {
			lengthExtra[s] = uint8(s/4 - 1)
		}
		if s == 28 { // 258 alone, which symbol 284 could write too
			lengthExtra[s], length = 0, maxMatch
		}
		lengthBase[s] = uint16(length)
		for i := range 1 << lengthExtra[s] {
			lengthSymbol[length+i] = uint8(s)
		}
		length += 1 << lengthExtra[s]
		if s == 27 {
			lengthSymbol[maxMatch] = 28
		}
	}
	distance := 1
	for s := range distanceBase {
		if s >= 4 {
			distanceExtra[s] = uint8(s/2 - 1)
		}
		distanceBase[s] = uint16(distance)
		distance += 1 << distanceExtra[s]
	}
}

// distanceSymbol is the symbol of a distance from 1 to 32768: its two highest bits
// and their place.
func distanceSymbol(distance uint32) uint32 {
	d := distance - 1
	if d < 4 {
		return d
	}
	n := uint32(bits.Len32(d)) - 1
	return n<<1 | d>>(n-1)&1
}
