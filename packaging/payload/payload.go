// Package payload moves the content of files into packages: it reads folders and
// archives as lists of files (ReadDir, ReadArchive), and compresses what a format
// writes as a list of frames that it keeps in a Store.
//
// A frame is a gzip member, an xz block or a run of zstd blocks that refers to
// nothing outside it. A payload is frames one after the other, for zstd and xz as
// one stream, since that is what dpkg reads. Where a frame begins and ends depends
// on the content alone, so that frames are compressed in parallel, and once: a
// file of 256 KiB or more has frames of its own, which the RPMs and DEBs of all
// targets and of later versions share.
//
// Nothing here holds a payload, or a whole file, in memory.
package payload

const (
	// frameSize is the most plain bytes in a frame, and the size of a buffer. Larger
	// frames find more repeated bytes, where a file has them far apart: 130 MB of
	// programs in one file were 48.1 MB with 4 MiB, 46.7 MB with 6, 45.8 MB with 8;
	// as files of their own 49.2, 49.1 and 49.0 MB. Each MiB costs a build 2.5 MB.
	frameSize = 6 << 20

	// ownFrames is the least size of a body with frames of its own.
	ownFrames = 256 << 10

	// storedSize is the most plain bytes of a frame that is not compressed and not
	// kept: the header of a large file between the frames of two others. There is
	// one for each large file, and a file in the store costs more than it saves.
	storedSize = 1 << 10
)

// cut gives the number of frames of a body of the given size, and the plain bytes
// of all but the last. They are all about as large, so that no worker waits for a
// last one that is small.
func cut(size int64) (frames int, each int64) {
	n := (size + frameSize - 1) / frameSize
	const round = 4 << 10 // pages
	each = (size + n - 1) / n
	each = (each + round - 1) / round * round
	return int((size + each - 1) / each), each
}
