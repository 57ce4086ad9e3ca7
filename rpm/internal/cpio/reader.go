package cpio

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxName is the longest name that is read, in bytes: Linux' PATH_MAX and the
// dot before it.
const maxName = 4096 + 2

// A Reader reads an archive.
type Reader struct {
	r      io.Reader
	offset int64 // bytes read so far
	body   int64 // bytes of the current body that are still to come; -1 if unknown
	done   bool
	buf    [headerSize]byte
}

// NewReader returns a Reader from r, which need not be buffered beyond what its
// codec does.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Offset is the number of bytes of the archive that were read so far.
func (r *Reader) Offset() int64 { return r.offset }

// Next skips what is left of the current body and gives the next header. At the
// archive's end, which is its trailer, it gives io.EOF.
func (r *Reader) Next() (*Header, error) {
	if r.done {
		return nil, io.EOF
	}
	if r.body < 0 {
		return nil, errors.New("size of the stripped entry before was not set")
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return nil, err
	}
	if err := r.full(r.buf[:padding(r.offset)]); err != nil {
		return nil, err
	}
	magic := r.buf[:len(magicNew)]
	if err := r.full(magic); err != nil {
		return nil, err
	}
	switch string(magic) {
	case magicNew, magicChecksum:
		return r.header()
	case magicStripped:
		return r.stripped()
	}
	return nil, fmt.Errorf("cpio header starts with %q, want %q", magic, magicNew)
}

func (r *Reader) header() (*Header, error) {
	b := r.buf[len(magicNew):]
	if err := r.full(b); err != nil {
		return nil, err
	}
	var n [13]uint32
	for i := range n {
		var err error
		if n[i], err = parseHex(b[8*i : 8*i+8]); err != nil {
			return nil, err
		}
	}
	nameSize := n[11]
	if nameSize == 0 || nameSize > maxName {
		return nil, fmt.Errorf("cpio header has a name of %d bytes, want 1 to %d", nameSize, maxName)
	}
	name := make([]byte, nameSize)
	if err := r.full(name); err != nil {
		return nil, err
	}
	if err := r.full(r.buf[:padding(r.offset)]); err != nil {
		return nil, err
	}
	h := &Header{Inode: n[0], Mode: n[1], Links: n[4], MTime: n[5], Size: int64(n[6])}
	h.Name, _, _ = strings.Cut(string(name), "\x00")
	if h.Name == trailer {
		r.done = true
		return nil, io.EOF
	}
	r.body = h.Size
	return h, nil
}

func (r *Reader) stripped() (*Header, error) {
	b := r.buf[len(magicStripped):strippedSize]
	if err := r.full(b); err != nil {
		return nil, err
	}
	index, err := parseHex(b)
	if err != nil {
		return nil, err
	}
	if err := r.full(r.buf[:padding(r.offset)]); err != nil {
		return nil, err
	}
	r.body = -1
	return &Header{Stripped: true, Index: index}, nil
}

// SetSize says how many bytes the body after a stripped header has.
func (r *Reader) SetSize(n int64) {
	if r.body < 0 {
		r.body = max(n, 0)
	}
}

// Read reads the current body.
func (r *Reader) Read(p []byte) (int, error) {
	if r.body <= 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > r.body {
		p = p[:r.body]
	}
	n, err := r.r.Read(p)
	r.offset += int64(n)
	r.body -= int64(n)
	if errors.Is(err, io.EOF) && r.body > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (r *Reader) full(p []byte) error {
	n, err := io.ReadFull(r.r, p)
	r.offset += int64(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func parseHex(b []byte) (uint32, error) {
	var n [4]byte
	if _, err := hex.Decode(n[:], b); err != nil {
		return 0, fmt.Errorf("cpio header has %q for a number", b)
	}
	return uint32(n[0])<<24 | uint32(n[1])<<16 | uint32(n[2])<<8 | uint32(n[3]), nil
}
