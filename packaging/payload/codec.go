package payload

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/vpkg/vpkg/packaging"
)

// The libraries that make the compressed bytes. They are part of a frame's key,
// for another version may give other bytes; a test compares them with go.mod.
const (
	klauspostVersion = "klauspost/compress v1.20.3"
	ulikunitzVersion = "ulikunitz/xz v0.5.17"
)

// The levels that Compression.Level 0 stands for, chosen by measuring: see
// bench/ for what they cost beside other packagers.
const (
	defaultZstd = 7 // what klauspost calls "better"
	defaultGzip = 6
	defaultXz   = 6
)

// A codec makes frames that can stand one after the other in one payload.
type codec struct {
	name string // as packaging.Compression has it

	// id names everything but the plain bytes that a frame's bytes depend on.
	id string

	newEncoder func() (encoder, error)

	// stored appends a frame that holds plain as it is, not compressed.
	stored func(b, plain []byte) []byte

	// head and tail are what the payload has around its frames; nil means nothing.
	head []byte
	tail func([]*frame) ([]byte, error)
}

// An encoder makes one frame after the other. It is used by one goroutine.
type encoder interface {
	encode(w io.Writer, plain []byte) error
}

// findCodec resolves c.
func findCodec(c packaging.Compression) (codec, error) {
	check := func(most, def int) (int, error) {
		switch {
		case c.Level == 0:
			return def, nil
		case c.Level < 0 || c.Level > most:
			return 0, fmt.Errorf("%s level %d: there are 1 to %d, and 0 for the default, %d", c.Codec, c.Level, most, def)
		}
		return c.Level, nil
	}
	switch c.Codec {
	case "zstd":
		level, err := check(22, defaultZstd)
		return zstdCodec(zstd.EncoderLevelFromZstd(level)), err
	case "gzip":
		level, err := check(9, defaultGzip)
		return gzipCodec(level), err
	case "xz":
		level, err := check(9, defaultXz)
		return xzCodec(level), err
	case "none":
		if c.Level != 0 {
			return codec{}, fmt.Errorf("compression %q has no levels, found %d", c.Codec, c.Level)
		}
		return noCodec(), nil
	}
	return codec{}, fmt.Errorf("compression %q: there are zstd, gzip, xz and none", c.Codec)
}

func gzipCodec(level int) codec {
	return codec{
		name: "gzip",
		id:   fmt.Sprintf("gzip %d %s", level, klauspostVersion),
		newEncoder: func() (encoder, error) {
			e, err := gzip.NewWriterLevel(nil, level)
			return gzipEncoder{e}, err
		},
		stored: storedGzip,
	}
}

type gzipEncoder struct{ e *gzip.Writer }

func (g gzipEncoder) encode(w io.Writer, plain []byte) error {
	g.e.Reset(w)
	if _, err := g.e.Write(plain); err != nil {
		return err
	}
	return g.e.Close()
}

// storedGzip appends a gzip member (RFC 1952) with one stored block (RFC 1951).
func storedGzip(b, plain []byte) []byte {
	le := binary.LittleEndian
	const deflate, unknownOS, finalStored = 8, 255, 1
	b = append(b, 0x1f, 0x8b, deflate, 0, 0, 0, 0, 0, 0, unknownOS)
	n := uint16(len(plain))
	b = append(b, finalStored)
	b = le.AppendUint16(b, n)
	b = le.AppendUint16(b, ^n)
	b = append(b, plain...)
	b = le.AppendUint32(b, crc32.ChecksumIEEE(plain))
	return le.AppendUint32(b, uint32(n))
}

func noCodec() codec {
	return codec{
		name:       "none",
		id:         "none",
		newEncoder: func() (encoder, error) { return noEncoder{}, nil },
		stored:     func(b, plain []byte) []byte { return append(b, plain...) },
	}
}

type noEncoder struct{}

func (noEncoder) encode(w io.Writer, plain []byte) error {
	_, err := io.Copy(w, bytes.NewReader(plain))
	return err
}
