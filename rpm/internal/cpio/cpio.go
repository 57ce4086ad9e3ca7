// Package cpio writes and reads the archives inside RPM packages: cpio's "new
// ASCII" format (magic 070701, see cpio(5)), and RPM's stripped variant of it
// (magic 07070X) for packages with files that the 32-bit sizes of the first
// cannot express.
//
// A stripped header has nothing but the number of the file in the package's
// header, where its size is found. Other variants of cpio, devices with numbers,
// owners and checksums are not supported: RPM keeps none of that in its archives.
package cpio

// A new ASCII header is this, all numbers in 8 hex digits, and then the name with
// its NUL, padded to a multiple of 4; then the body, padded likewise:
//
//	 0  6  magic 070701
//	 6  8  inode
//	14  8  mode
//	22  8  uid, 0
//	30  8  gid, 0
//	38  8  links
//	46  8  modification time
//	54  8  size of the body
//	62  8  device, major, 0
//	70  8  device, minor, 0
//	78  8  major of a device node
//	86  8  minor of a device node
//	94  8  size of the name with its NUL
//	102 8  checksum, 0
const (
	magicNew      = "070701"
	magicChecksum = "070702" // the same with a checksum, which is not looked at
	magicStripped = "07070X"
	headerSize    = 110 // bytes, magic included
	strippedSize  = 14  // bytes, magic included
	trailer       = "TRAILER!!!"
)

// MaxSize is the size at which a body no longer fits a header that is not
// stripped, as rpm has it.
const MaxSize = 1<<32 - 1

// A Header comes before each body of an archive.
type Header struct {
	Name  string // "./opt/agent/bin/agentd"; empty in a stripped header
	Inode uint32
	Mode  uint32 // type and permission bits, as stat(2) gives them
	Links uint32 // number of names of the file; 1 for everything but hard links
	MTime uint32 // seconds
	Size  int64  // bytes of the body: a file's content, a link's target

	// Stripped says that only Index is known. Size must be set with SetSize.
	Stripped bool
	Index    uint32 // number of the file in the package's header
}

// padding is the number of zeros that make a multiple of 4.
func padding(n int64) int64 { return -n & 3 }
