package payload

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// An xz payload is one stream, because dpkg refuses concatenated ones. Each frame
// is a block of it (The .xz File Format, 1.1.0), so that blocks are compressed in
// parallel, and decompressed in parallel by xz 5.4:
//
//	head    12  magic FD "7zXZ" 00, flags 00 01 (check is CRC32), CRC32 of the flags
//	block       header (20 bytes, below), LZMA2 chunks, padding to 4, CRC32 of the plain bytes
//	…
//	index       00, number of blocks, (unpadded size, plain size) of each, padding to 4, CRC32
//	footer  12  CRC32, backward size, flags, magic "YZ"
//
// A block's header has a fixed length here, with room for sizes below 2^28:
//
//	 0  1  real size / 4 - 1
//	 1  1  flags: C0, both sizes are present, one filter
//	 2  n  compressed size, then plain size, as variable-length integers
//	    3  filter 21 (LZMA2), 1 byte of properties, size of the dictionary
//	       zeros
//	16  4  CRC32 of everything before
const (
	xzBlockHeader = frameHead // bytes
	xzCheck       = 4         // bytes of a block's CRC32
)

var xzFlags = [2]byte{0, 1} // the stream's: check is CRC32

func xzCodec(level int) codec {
	dict := min(1<<(17+level), frameSize) // 256 KiB at level 1, 4 MiB from level 5 on
	return codec{
		name: "xz",
		id:   fmt.Sprintf("xz %d %s", level, ulikunitzVersion),
		newEncoder: func() (encoder, error) {
			return &xzEncoder{config: lzma.Writer2Config{DictCap: dict, Matcher: lzma.HashTable4}}, nil
		},
		stored: storedXz,
		head:   xzHead(),
		tail:   xzTail,
	}
}

type xzEncoder struct {
	config lzma.Writer2Config
	buf    bytes.Buffer
}

func (x *xzEncoder) encode(w io.Writer, plain []byte) error {
	x.buf.Reset()
	e, err := x.config.NewWriter2(&x.buf)
	if err != nil {
		return err
	}
	if _, err := e.Write(plain); err != nil {
		return err
	}
	if err := e.Close(); err != nil {
		return err
	}
	b := appendXzBlock(make([]byte, 0, xzBlockHeader+x.buf.Len()+8), x.buf.Bytes(), plain, lzma.EncodeDictCap(int64(x.config.DictCap)))
	_, err = w.Write(b)
	return err
}

// appendXzBlock appends a block that holds plain, compressed to chunks.
func appendXzBlock(b, chunks, plain []byte, dict byte) []byte {
	le := binary.LittleEndian
	start := len(b)
	b = append(b, xzBlockHeader/4-1, 0xc0)
	b = binary.AppendUvarint(b, uint64(len(chunks)))
	b = binary.AppendUvarint(b, uint64(len(plain)))
	b = append(b, 0x21, 1, dict)
	for len(b)-start < xzBlockHeader-4 {
		b = append(b, 0)
	}
	b = le.AppendUint32(b, crc32.ChecksumIEEE(b[start:]))
	b = append(b, chunks...)
	for (len(b)-start)%4 != 0 {
		b = append(b, 0)
	}
	return le.AppendUint32(b, crc32.ChecksumIEEE(plain))
}

// storedXz appends a block with one LZMA2 chunk that is not compressed.
func storedXz(b, plain []byte) []byte {
	const resetDictStored, end = 1, 0
	var chunks []byte
	if len(plain) > 0 {
		chunks = append(chunks, resetDictStored)
		chunks = binary.BigEndian.AppendUint16(chunks, uint16(len(plain)-1))
		chunks = append(chunks, plain...)
	}
	chunks = append(chunks, end)
	return appendXzBlock(b, chunks, plain, lzma.EncodeDictCap(lzma.MinDictCap))
}

func xzHead() []byte {
	b := append([]byte{0xfd, '7', 'z', 'X', 'Z', 0}, xzFlags[:]...)
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(xzFlags[:]))
}

// xzTail is the index and the footer of a stream of the given blocks.
func xzTail(frames []*frame) ([]byte, error) {
	le := binary.LittleEndian
	b := binary.AppendUvarint([]byte{0}, uint64(len(frames)))
	for _, f := range frames {
		unpadded, err := xzUnpadded(f.head[:])
		if err != nil {
			return nil, err
		}
		b = binary.AppendUvarint(b, unpadded)
		b = binary.AppendUvarint(b, uint64(f.plain))
	}
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	b = le.AppendUint32(b, crc32.ChecksumIEEE(b))
	rest := le.AppendUint32(nil, uint32(len(b)/4-1))
	rest = append(rest, xzFlags[:]...)
	b = le.AppendUint32(b, crc32.ChecksumIEEE(rest))
	b = append(b, rest...)
	return append(b, 'Y', 'Z'), nil
}

// xzUnpadded is the size of a block without the padding after its chunks, which
// is what the index wants. header is the block's.
func xzUnpadded(header []byte) (uint64, error) {
	if header[0] != xzBlockHeader/4-1 || header[1] != 0xc0 {
		return 0, fmt.Errorf("xz block has an unknown header % x", header)
	}
	n, w := binary.Uvarint(header[2:])
	if w <= 0 || n >= 1<<28 {
		return 0, fmt.Errorf("xz block header % x has no compressed size", header)
	}
	return xzBlockHeader + n + xzCheck, nil
}
