package cab

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/vpkg/vpkg/packaging"
)

// A FormatError says where a cabinet is wrong.
type FormatError struct {
	Offset int64 // bytes from the cabinet's start
	Err    error
}

func (e *FormatError) Error() string { return fmt.Sprintf("cabinet, offset %d: %v", e.Offset, e.Err) }

// Unwrap gives what is wrong.
func (e *FormatError) Unwrap() error { return e.Err }

// ErrUnsupported is in the error for a cabinet that is spanned, or compressed with
// Quantum or LZX.
var ErrUnsupported = packaging.ErrUnsupported

// A Reader reads a cabinet. The input may be hostile.
type Reader struct {
	Files []Entry // in the cabinet's order

	// Strict makes Each fail where a frame has an incomplete Huffman tree. Without it
	// trees of one code or none, which zlib and Windows accept in places, are decoded
	// and counted in Incomplete.
	Strict bool
	// Incomplete is what Each found so far.
	Incomplete Incomplete

	r       io.ReaderAt
	size    int64 // of the cabinet
	folders []folder
	reserve int // bytes of each CFDATA between its header and its data
}

// An Entry is a file in a cabinet.
type Entry struct {
	Name       string // as it stands there: bytes of any encoding, UTF-8 with NameIsUTF
	Size       int64  // bytes
	Folder     int
	Offset     int64     // in the folder's plain bytes
	ModTime    time.Time // in no time zone that the format tells; here UTC
	Attributes uint16
}

// Incomplete counts frames with incomplete Huffman trees, which some readers refuse.
type Incomplete struct {
	Frames int    // how many there are
	Folder int    // of the first
	Frame  int    // of the first, in its folder
	File   string // the first file with bytes in that frame, "" if there is none
}

type folder struct {
	data   int64 // offset of the first CFDATA
	frames int
	method uint16
}

// Open reads the headers of the cabinet in the first size bytes of r. What follows
// the cabinet, a signature for example, is ignored.
func Open(r io.ReaderAt, size int64) (*Reader, error) {
	c := &cursor{r: r, end: size}
	head := c.next(headerSize)
	if c.err != nil {
		return nil, c.err
	}
	le := binary.LittleEndian
	if string(head[:4]) != signature {
		return nil, &FormatError{0, fmt.Errorf("signature %q is not %q", head[:4], signature)}
	}
	if v := le.Uint16(head[24:]); v != version {
		return nil, &FormatError{24, fmt.Errorf("version %d.%d is not 1.3", v>>8, v&0xff)}
	}
	z := &Reader{r: r, size: int64(le.Uint32(head[8:]))}
	if z.size < headerSize || z.size > size {
		return nil, &FormatError{sizeOffset, fmt.Errorf("cabinet of %d bytes in %d", z.size, size)}
	}
	c.end = z.size
	entries := int64(le.Uint32(head[16:]))
	folders, files := int(le.Uint16(head[26:])), int(le.Uint16(head[28:]))
	flags := le.Uint16(head[30:])
	if flags&(flagPrev|flagNext) != 0 {
		return nil, &FormatError{30, fmt.Errorf("cabinet that is one of several with files in common: %w", ErrUnsupported)}
	}
	folderReserve := 0
	if flags&flagReserve != 0 {
		b := c.next(4)
		if c.err != nil {
			return nil, c.err
		}
		folderReserve, z.reserve = int(b[2]), int(b[3])
		c.seek(c.at + int64(le.Uint16(b)))
	}
	for range folders {
		at := c.at
		b := c.next(folderSize + folderReserve)
		if c.err != nil {
			return nil, c.err
		}
		f := folder{int64(le.Uint32(b)), int(le.Uint16(b[4:])), le.Uint16(b[6:])}
		if f.data > z.size || int64(f.frames)*int64(dataSize+z.reserve) > z.size-f.data {
			return nil, &FormatError{at, fmt.Errorf("folder of %d frames at %d in a cabinet of %d bytes", f.frames, f.data, z.size)}
		}
		z.folders = append(z.folders, f)
	}
	if entries < c.at {
		return nil, &FormatError{16, fmt.Errorf("files at %d, before the end of what precedes them", entries)}
	}
	c.seek(entries)
	for range files {
		if err := z.entry(c); err != nil {
			return nil, err
		}
	}
	return z, nil
}

// entry reads the next CFFILE.
func (z *Reader) entry(c *cursor) error {
	at := c.at
	b := c.next(fileSize)
	if c.err != nil {
		return c.err
	}
	le := binary.LittleEndian
	e := Entry{
		Size:       int64(le.Uint32(b)),
		Offset:     int64(le.Uint32(b[4:])),
		Folder:     int(le.Uint16(b[8:])),
		ModTime:    fromDOS(le.Uint16(b[10:]), le.Uint16(b[12:])),
		Attributes: le.Uint16(b[14:]),
	}
	e.Name = c.name()
	if c.err != nil {
		return c.err
	}
	switch {
	case e.Folder >= 0xfffd:
		return &FormatError{at, fmt.Errorf("file %q that goes on in another cabinet: %w", e.Name, ErrUnsupported)}
	case e.Folder >= len(z.folders):
		return &FormatError{at, fmt.Errorf("file %q is in folder %d of %d", e.Name, e.Folder, len(z.folders))}
	case e.Offset+e.Size > int64(z.folders[e.Folder].frames)*frameSize:
		return &FormatError{at, fmt.Errorf("file %q of %d bytes at %d is more than its folder's %d frames hold", e.Name, e.Size, e.Offset, z.folders[e.Folder].frames)}
	}
	if n := len(z.Files); n > 0 {
		last := z.Files[n-1]
		if e.Folder < last.Folder || e.Folder == last.Folder && e.Offset < last.Offset+last.Size {
			return &FormatError{at, fmt.Errorf("file %q is not behind %q, which comes before", e.Name, last.Name)}
		}
	}
	z.Files = append(z.Files, e)
	return nil
}

// Each calls f for every file, in the cabinet's order, with its content. What f
// leaves unread is skipped; the body is valid until f returns. Content that is
// wrong, in a checksum for example, is an error of the body's Read and of Each, for
// skipped files too. Each stops at the first error. Memory does not depend on the
// cabinet.
func (z *Reader) Each(ctx context.Context, f func(e *Entry, body io.Reader) error) error {
	var d *folderReader
	for i := range z.Files {
		e := &z.Files[i]
		if d == nil || d.number != e.Folder {
			if err := d.finish(); err != nil {
				return err
			}
			if d == nil {
				d = &folderReader{stop: ctx.Err}
			}
			if err := d.open(z, e.Folder); err != nil {
				return err
			}
		}
		if err := d.skip(e.Offset); err != nil {
			return err
		}
		b := &body{d, e.Offset + e.Size}
		if err := f(e, b); err != nil {
			return err
		}
		if err := d.skip(b.end); err != nil {
			return err
		}
	}
	return d.finish()
}

// body reads a folder up to where a file ends.
type body struct {
	d   *folderReader
	end int64
}

func (b *body) Read(p []byte) (int, error) {
	left := b.end - b.d.offset()
	if left <= 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), left)]
	if err := b.d.fill(); err != nil {
		return 0, err
	}
	n := copy(p, b.d.unread)
	b.d.unread = b.d.unread[n:]
	return n, nil
}

// A folderReader decodes a folder's frames one after another.
type folderReader struct {
	z      *Reader
	number int
	folder
	stop   func() error // says whether to go on
	frame  int          // the next one
	plain  int64        // bytes decoded so far
	unread []byte
	err    error // that ended it

	c   cursor
	dec inflater
	buf [windowSize + frameSize + slack]byte // the window, then the frame
}

// open begins a folder. Its data must not be data that were read before, or a small
// cabinet could keep a reader busy for days.
func (d *folderReader) open(z *Reader, number int) error {
	if z.folders[number].data < d.c.at {
		return &FormatError{z.folders[number].data, fmt.Errorf("folder %d begins before the end of one that precedes it", number)}
	}
	d.z, d.number, d.folder = z, number, z.folders[number]
	d.frame, d.plain, d.unread, d.err = 0, 0, nil, nil
	d.c.r, d.c.end, d.c.err = z.r, z.size, nil
	d.c.seek(d.data)
	switch d.method & methodMask {
	case methodNone, methodMSZIP:
		return nil
	case methodQuantum:
		return fmt.Errorf("cabinet folder %d: Quantum compression is %w", number, ErrUnsupported)
	case methodLZX:
		return fmt.Errorf("cabinet folder %d: LZX compression is %w", number, ErrUnsupported)
	}
	return fmt.Errorf("cabinet folder %d: compression method %d is %w", number, d.method, ErrUnsupported)
}

// offset is the place of the next unread byte in the folder's plain bytes.
func (d *folderReader) offset() int64 { return d.plain - int64(len(d.unread)) }

// skip goes forward to an offset.
func (d *folderReader) skip(offset int64) error {
	for d.offset() < offset {
		if err := d.fill(); err != nil {
			return err
		}
		d.unread = d.unread[min(int64(len(d.unread)), offset-d.offset()):]
	}
	return d.err
}

// finish decodes what no file needs, so that all of the folder is checked.
func (d *folderReader) finish() error {
	if d == nil {
		return nil
	}
	for d.frame < d.frames {
		d.unread = nil
		if err := d.fill(); err != nil {
			return err
		}
	}
	return nil
}

// fill decodes the next frame if there is nothing unread.
func (d *folderReader) fill() error {
	if len(d.unread) > 0 || d.err != nil {
		return d.err
	}
	if err := d.stop(); err != nil {
		return err
	}
	at := d.c.at
	if err := d.next(); err != nil {
		d.err = &FormatError{at, fmt.Errorf("folder %d, frame %d: %w", d.number, d.frame, err)}
		return d.err
	}
	return nil
}

// next decodes the next frame.
func (d *folderReader) next() error {
	if d.frame >= d.frames {
		return errors.New("files need more frames than there are")
	}
	c := &d.c
	head := c.next(dataSize + d.z.reserve)
	if c.err != nil {
		return c.err
	}
	le := binary.LittleEndian
	sum := le.Uint32(head)
	noSum := sum == 0
	size, plain := int(le.Uint16(head[4:])), int(le.Uint16(head[6:]))
	// [MS-CAB] and 7-Zip count the reserved area in, cabextract and Wine do not.
	with, without := checksum(head[4:], 0), checksum(head[4:dataSize], 0)
	last := d.frame == d.frames-1
	switch {
	case plain == 0:
		return fmt.Errorf("frame that goes on in another cabinet: %w", ErrUnsupported)
	case plain > frameSize || plain < frameSize && !last && d.method&methodMask == methodMSZIP:
		return fmt.Errorf("%d plain bytes are not %d", plain, frameSize)
	case size > maxData:
		return fmt.Errorf("%d bytes of compressed data are more than %d", size, maxData)
	}
	data := c.next(size)
	if c.err != nil {
		return c.err
	}
	if sum ^= checksum(data, 0); sum != with && sum != without && !noSum {
		return errors.New("checksum is wrong")
	}

	// Frames are 32 KiB but for the last, so all of the frame before is the window.
	start := 0
	if d.frame > 0 {
		start = windowSize
		if d.method&methodMask == methodMSZIP && d.frame > 1 {
			copy(d.buf[:windowSize], d.buf[windowSize:])
		}
	}
	out := d.buf[start:]
	if d.method&methodMask == methodNone {
		if size != plain {
			return fmt.Errorf("%d bytes are stored as %d", plain, size)
		}
		copy(out, data)
	} else if err := d.inflate(data, start, plain); err != nil {
		return err
	}
	d.unread = out[:plain]
	d.plain += int64(plain)
	d.frame++
	return nil
}

// inflate decodes an MSZIP frame.
func (d *folderReader) inflate(data []byte, start, plain int) error {
	if len(data) < 2 || data[0] != 'C' || data[1] != 'K' {
		return errors.New(`MSZIP data do not start with "CK"`)
	}
	d.dec.lenient, d.dec.incomplete = !d.z.Strict, false
	n, err := d.dec.inflate(d.buf[:], start, start+plain, data[2:])
	if err != nil {
		return err
	}
	if d.z.Strict && n < len(data)-2 {
		return errTrailing
	}
	if d.dec.incomplete {
		i := &d.z.Incomplete
		if i.Frames == 0 {
			i.Folder, i.Frame = d.number, d.frame
			for _, e := range d.z.Files {
				if e.Folder == d.number && e.Offset+e.Size > d.plain && e.Offset < d.plain+int64(plain) {
					i.File = e.Name
					break
				}
			}
		}
		i.Frames++
	}
	return nil
}

// A cursor reads pieces of a cabinet one after another and remembers its first
// error.
type cursor struct {
	r   io.ReaderAt
	at  int64 // of the next piece
	end int64 // nothing is read from here on
	err error

	ahead []byte // bytes from at on that were read already, in buf
	buf   [dataSize + 255 + maxData + 1<<16]byte
}

// seek makes at the place of the next piece.
func (c *cursor) seek(at int64) { c.at, c.ahead = at, nil }

// peek returns the next n bytes, or fewer where the cabinet ends. They are valid
// until the next call, and no more than buf holds.
func (c *cursor) peek(n int) []byte {
	if c.err != nil {
		return nil
	}
	n = int(max(0, min(int64(n), c.end-c.at)))
	if len(c.ahead) < n {
		b := c.buf[:min(int64(len(c.buf)), c.end-c.at)]
		got := copy(b, c.ahead)
		for got < n {
			m, err := c.r.ReadAt(b[got:], c.at+int64(got))
			got += m
			if got < n && err != nil {
				if errors.Is(err, io.EOF) {
					err = io.ErrUnexpectedEOF
				}
				c.err = &FormatError{c.at, err}
				return nil
			}
		}
		c.ahead = b[:got]
	}
	return c.ahead[:n]
}

// next is peek that goes on behind the bytes, and has an error if there are fewer
// than n.
func (c *cursor) next(n int) []byte {
	b := c.peek(n)
	if c.err == nil && len(b) < n {
		c.err = &FormatError{c.at, fmt.Errorf("%d bytes where %d are left: %w", n, len(b), io.ErrUnexpectedEOF)}
	}
	if c.err != nil {
		return nil
	}
	c.at += int64(n)
	c.ahead = c.ahead[n:]
	return b
}

// name reads a name and the NUL behind it.
func (c *cursor) name() string {
	name, _, ok := bytes.Cut(c.peek(maxName+1), []byte{0})
	if c.err == nil && !ok {
		c.err = &FormatError{c.at, fmt.Errorf("name without an end within %d bytes", maxName+1)}
	}
	if c.err != nil {
		return ""
	}
	s := string(name)
	c.next(len(s) + 1)
	return s
}
