package payload

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// A zstd payload is a single zstd frame, because dpkg stops reading at the end of
// the first one. What this package calls a frame is a run of blocks in it that
// refers to nothing before it, so that it may stand anywhere: the blocks of a
// zstd frame that was made on its own.
//
// RFC 8878 has one thing that could still go from one run to the next: the three
// last match offsets, which a sequence may name instead of an offset (3.1.1.5),
// and which are 1, 4 and 8 only at the start of a frame. The library's encoders
// name them in a block only after three offsets in that block, as their own
// concurrent mode asks for. Not every encoder does (half of the frames that the C
// library makes of pieces of programs begin with the offset 1), so a test makes
// sure of it for each level, with other offsets before.

// zstdWindow is how far zstd looks back, in bytes. More than this made 130 MB of
// programs 0.05 % smaller.
const (
	zstdWindow    = 1 << zstdWindowLog
	zstdWindowLog = 22
)

// zstdHead is a frame header without content size and checksum, for a window of
// zstdWindow. zstdTail is an empty last block.
var (
	zstdHead = []byte{0x28, 0xb5, 0x2f, 0xfd, 0, (zstdWindowLog - 10) << 3}
	zstdTail = []byte{1, 0, 0}
)

func zstdCodec(level zstd.EncoderLevel) codec {
	return codec{
		name: "zstd",
		id:   fmt.Sprintf("zstd blocks %v window %d %s", level, zstdWindow, klauspostVersion),
		newEncoder: func() (encoder, error) {
			e, err := zstd.NewWriter(nil,
				zstd.WithEncoderLevel(level),
				zstd.WithEncoderConcurrency(1), // frames are the unit of parallel work
				zstd.WithEncoderCRC(false),     // the blocks are what is kept
				zstd.WithLowerEncoderMem(true),
				zstd.WithWindowSize(zstdWindow))
			return &zstdEncoder{e: e}, err
		},
		stored: storedZstd,
		head:   zstdHead,
		tail:   func([]*frame) ([]byte, error) { return zstdTail, nil },
	}
}

type zstdEncoder struct {
	e *zstd.Encoder
	s blockStripper
}

func (z *zstdEncoder) encode(w io.Writer, plain []byte) error {
	z.s = blockStripper{w: w, header: z.s.header[:0]}
	z.e.ResetContentSize(&z.s, int64(len(plain)))
	if _, err := z.e.Write(plain); err != nil {
		return err
	}
	if err := z.e.Close(); err != nil {
		return err
	}
	if z.s.left > 0 || len(z.s.header) > 0 || !z.s.inside {
		return errors.New("zstd encoder: frame ends inside a block")
	}
	return nil
}

// storedZstd appends a block that holds plain as it is.
func storedZstd(b, plain []byte) []byte {
	const raw = 0
	return append(appendBlockHeader(b, raw, len(plain)), plain...)
}

// appendBlockHeader appends the header of a block that is not the last (RFC
// 8878, 3.1.1.2).
func appendBlockHeader(b []byte, kind, size int) []byte {
	h := uint32(size)<<3 | uint32(kind)<<1
	return append(b, byte(h), byte(h>>8), byte(h>>16))
}

// A blockStripper is given one zstd frame without a checksum, and writes its
// blocks, none of them marked as the last.
type blockStripper struct {
	w      io.Writer
	header []byte // the part of a header that is there
	inside bool   // the frame's header is over
	left   int    // bytes of the block that are still to come
}

func (s *blockStripper) Write(p []byte) (n int, err error) {
	for n < len(p) {
		if s.left > 0 {
			m, err := s.w.Write(p[n:min(len(p), n+s.left)])
			n += m
			s.left -= m
			if err != nil {
				return n, err
			}
			continue
		}
		s.header = append(s.header, p[n])
		n++
		if !s.inside {
			if len(s.header) == frameHeaderSize(s.header) {
				s.inside = true
				s.header = s.header[:0]
			}
		} else if len(s.header) == 3 {
			if err := s.block(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// block begins the block whose header is there.
func (s *blockStripper) block() error {
	h := int(s.header[0]) | int(s.header[1])<<8 | int(s.header[2])<<16
	s.header = s.header[:0]
	const rle = 1
	kind, size := h>>1&3, h>>3
	if size == 0 {
		return nil // it only ends the frame
	}
	s.left = size
	if kind == rle {
		s.left = 1
	}
	var b [3]byte
	_, err := s.w.Write(appendBlockHeader(b[:0], kind, size))
	return err
}

// frameHeaderSize is the size of the frame header that b begins with (RFC 8878,
// 3.1.1.1); 0 if b is too short to tell.
func frameHeaderSize(b []byte) int {
	if len(b) < 5 {
		return 0
	}
	descriptor := b[4]
	n := 5 + []int{0, 1, 2, 4}[descriptor&3] + []int{0, 2, 4, 8}[descriptor>>6]
	if singleSegment := descriptor&0x20 != 0; !singleSegment || descriptor>>6 == 0 {
		n++ // the window, or a content size of one byte
	}
	return n
}
